/* SPDX-License-Identifier: MIT */
/* The cache of counted objects, and the growable buffer. */
#include "buf.h"
#include "lru.h"

#include <check.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

static int holders[16];

static void ref(void *object)
{
	++*(int *)object;
}

static void unref(void *object)
{
	--*(int *)object;
}

static bool has(struct lru *lru, uint64_t a, uint64_t b)
{
	int *object = lru_get(lru, a, b);
	if (object)
		unref(object);
	return object;
}

START_TEST(what_was_not_used_longest_goes_first)
{
	struct lru *lru = lru_new(3, 100, ref, unref);
	for (uint64_t i = 0; i < 3; i++)
		lru_put(lru, i, 7, &holders[i], 1);
	ck_assert(has(lru, 0, 7));
	lru_put(lru, 3, 7, &holders[3], 1);
	ck_assert(has(lru, 0, 7) && !has(lru, 1, 7) && has(lru, 2, 7) && has(lru, 3, 7));
	ck_assert(!has(lru, 0, 8) && !has(lru, 7, 0));
	ck_assert_int_eq(holders[1], 0);
	ck_assert_int_eq(holders[3], 1);
	lru_free(lru);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(holders[i], 0);
}
END_TEST

START_TEST(weight_is_kept_below_the_limit)
{
	struct lru *lru = lru_new(8, 10, ref, unref);
	for (uint64_t i = 0; i < 5; i++)
		lru_put(lru, i, 0, &holders[i], 2);
	lru_put(lru, 5, 0, &holders[5], 5);
	ck_assert(!has(lru, 0, 0) && !has(lru, 1, 0) && !has(lru, 2, 0));
	ck_assert(has(lru, 3, 0) && has(lru, 4, 0) && has(lru, 5, 0));
	lru_put(lru, 6, 0, &holders[6], 11); /* heavier than the cache: changes nothing */
	ck_assert(has(lru, 3, 0) && !has(lru, 6, 0));
	lru_put(lru, 7, 0, &holders[7], 10);
	ck_assert(!has(lru, 5, 0) && has(lru, 7, 0));
	lru_free(lru);
	for (int i = 0; i < 8; i++)
		ck_assert_int_eq(holders[i], 0);
}
END_TEST

START_TEST(the_first_under_a_pair_stays)
{
	struct lru *lru = lru_new(2, 10, ref, unref);
	lru_put(lru, 1, 1, &holders[0], 1);
	lru_put(lru, 1, 1, &holders[1], 1);
	int *got = lru_get(lru, 1, 1);
	ck_assert_ptr_eq(got, &holders[0]);
	lru_drop(lru, 1, 1);
	lru_drop(lru, 1, 1);
	ck_assert_int_eq(holders[0], 1); /* a reference outlives the cache's own */
	unref(got);
	ck_assert(!has(lru, 1, 1));
	lru_free(lru);
	lru_free(NULL);
}
END_TEST

START_TEST(a_buffer_grows)
{
	struct buf b = {0};
	for (unsigned i = 0; i < 5000; i++)
		ck_assert_int_eq(buf_append(&b, &i, sizeof i), 0);
	ck_assert_uint_eq(b.size, 5000 * sizeof(unsigned));
	for (unsigned i = 0; i < 5000; i++)
		ck_assert_mem_eq(b.data + i * sizeof i, &i, sizeof i);
	ck_assert_int_eq(buf_append(&b, NULL, 0), 0);
	ck_assert_int_eq(buf_reserve(&b, SIZE_MAX), -ENOMEM);
	ck_assert_int_eq(buf_reserve(&b, SIZE_MAX / 2), -ENOMEM);
	buf_reset(&b, 1 << 20);
	ck_assert_uint_eq(b.size, 0);
	ck_assert_ptr_nonnull(b.data);
	ck_assert_int_eq(buf_printf(&b, "%s %d", "x", 5), 0);
	ck_assert_uint_eq(b.size, 3);
	ck_assert_mem_eq(b.data, "x 5", 3);
	buf_reset(&b, 10);
	ck_assert_ptr_null(b.data);
	buf_fini(&b);
}
END_TEST

START_TEST(every_varint_comes_back)
{
	for (unsigned bit = 0; bit <= 64; bit++)
		for (int delta = -1; delta <= 1; delta++) {
			uint64_t n = (bit < 64 ? UINT64_C(1) << bit : 0) + (uint64_t)delta, got = 1;
			struct buf b = {0};
			ck_assert_int_eq(buf_varint(&b, n), 0);
			for (size_t cut = 0; cut < b.size; cut++) {
				const uint8_t *p = b.data;
				ck_assert_int_eq(varint_get(&p, b.data + cut, &got), -EBADMSG);
				ck_assert_ptr_eq(p, b.data);
			}
			const uint8_t *p = b.data;
			ck_assert_int_eq(varint_get(&p, b.data + b.size, &got), 0);
			ck_assert_uint_eq(got, n);
			ck_assert_ptr_eq(p, b.data + b.size);
			buf_fini(&b);
		}
}
END_TEST

START_TEST(a_varint_of_over_64_bits_is_refused)
{
	static const uint8_t most[] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 1};
	static const uint8_t over[] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 2};
	static const uint8_t endless[] = {128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 0};
	uint64_t n;
	const uint8_t *p = most;
	ck_assert_int_eq(varint_get(&p, most + sizeof most, &n), 0);
	ck_assert_uint_eq(n, UINT64_MAX);
	p = over;
	ck_assert_int_eq(varint_get(&p, over + sizeof over, &n), -EBADMSG);
	p = endless;
	ck_assert_int_eq(varint_get(&p, endless + sizeof endless, &n), -EBADMSG);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("lru");
	TCase *tcase = tcase_create("lru");
	tcase_add_test(tcase, what_was_not_used_longest_goes_first);
	tcase_add_test(tcase, weight_is_kept_below_the_limit);
	tcase_add_test(tcase, the_first_under_a_pair_stays);
	tcase_add_test(tcase, a_buffer_grows);
	tcase_add_test(tcase, every_varint_comes_back);
	tcase_add_test(tcase, a_varint_of_over_64_bits_is_refused);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
