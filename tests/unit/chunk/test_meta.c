/* SPDX-License-Identifier: MIT */
/* The meta of a chunk, compared with a plain list of its records. */
#include "meta.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { RECORDS_MAX = 1200, KEY_MAX = 1024 };

struct expected {
	char key[KEY_MAX];
	size_t key_bytes;
	uint64_t arrival_ms;
	bool has_claim;
	struct claim claim;
};

static struct expected records[RECORDS_MAX];
static uint64_t seed;

static uint64_t next_random(uint64_t below)
{
	seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
	return seed % below;
}

static void set_key(struct expected *e, const char *key)
{
	e->key_bytes = strlen(key);
	memcpy(e->key, key, e->key_bytes);
}

static const struct buf *write_records(struct meta_writer *w, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct expected *e = &records[i];
		ck_assert_int_eq(meta_writer_record(w, e->key, e->key_bytes, e->arrival_ms,
					 e->has_claim ? &e->claim : NULL),
			0);
	}
	const struct buf *raw = meta_writer_finish(w);
	ck_assert_ptr_nonnull(raw);
	return raw;
}

static void check_record(const struct meta_record *got, const struct expected *e)
{
	ck_assert_uint_eq(got->key_bytes, e->key_bytes);
	ck_assert((got->key == NULL) == (e->key_bytes == 0));
	ck_assert(!e->key_bytes || !memcmp(got->key, e->key, e->key_bytes));
	ck_assert_uint_eq(got->arrival_ms, e->arrival_ms);
	ck_assert_int_eq(got->has_claim, e->has_claim);
	ck_assert(!e->has_claim || !memcmp(&got->claim, &e->claim, sizeof e->claim));
}

/* Writes the first `count` of `records` and reads them back from a copy of the exact size. */
static size_t check_round_trip(struct meta_writer *w, size_t count)
{
	meta_writer_reset(w);
	const struct buf *raw = write_records(w, count);
	struct buf copy = {.data = malloc(raw->size + 1), .size = raw->size};
	struct meta_view view;
	if (raw->size)
		memcpy(copy.data, raw->data, raw->size);
	ck_assert_int_eq(meta_view_init(&view, &copy, count ? records[0].arrival_ms : 7), 0);
	for (size_t i = 0; i < count; i++) {
		struct meta_record got;
		ck_assert_int_eq(meta_view_next(&view, &got), 0);
		check_record(&got, &records[i]);
	}
	meta_view_fini(&view);
	free(copy.data);
	return raw->size;
}

static void clear(void)
{
	memset(records, 0, sizeof records);
	for (size_t i = 0; i < RECORDS_MAX; i++)
		records[i].arrival_ms = 1700000000000;
}

START_TEST(records_that_are_all_alike_take_no_room)
{
	struct meta_writer w = {0};
	clear();
	ck_assert_uint_eq(check_round_trip(&w, 0), 0);
	ck_assert_uint_eq(check_round_trip(&w, 1000), 0);
	for (size_t i = 0; i < 1000; i++)
		set_key(&records[i], "one key");
	ck_assert_uint_eq(check_round_trip(&w, 1000), 2 + 7);
	meta_writer_fini(&w);
}
END_TEST

START_TEST(keys_come_back)
{
	struct meta_writer w = {0};
	clear();
	for (size_t i = 0; i < 1000; i++) {
		char key[32];
		snprintf(key, sizeof key, "key %zu", i * 7919 % (size_t)(1 << _i));
		set_key(&records[i], i % 5 == 4 ? "" : key);
	}
	check_round_trip(&w, 1000);
	check_round_trip(&w, 1);
	check_round_trip(&w, 999);
	meta_writer_fini(&w);
}
END_TEST

START_TEST(keys_of_every_length_come_back)
{
	struct meta_writer w = {0};
	clear();
	for (size_t i = 0; i <= KEY_MAX; i++) {
		memset(records[i].key, (int)i, i);
		records[i].key_bytes = i;
	}
	check_round_trip(&w, KEY_MAX + 1);
	meta_writer_fini(&w);
}
END_TEST

START_TEST(times_come_back)
{
	static const uint64_t deltas[] = {0, 0, 1, 0, 0, 127, 128, UINT32_MAX, 0, 1ull << 40};
	struct meta_writer w = {0};
	clear();
	uint64_t now = 1700000000000;
	for (size_t i = 0; i < 1000; i++)
		records[i].arrival_ms = now += deltas[i % 10];
	check_round_trip(&w, 1000);
	check_round_trip(&w, 2);
	check_round_trip(&w, 3);
	meta_writer_fini(&w);
}
END_TEST

static void add_claim(struct expected *e, uint64_t bytes)
{
	e->has_claim = true;
	e->claim.payload_bytes = bytes;
	for (int i = 0; i < 32; i++)
		e->claim.digest[i] = (uint8_t)(bytes >> i % 8);
}

START_TEST(claims_come_back)
{
	struct meta_writer w = {0};
	for (size_t step = 1; step < 400; step = step * 2 + 1) {
		clear();
		for (size_t i = step - 1; i < 1000; i += step)
			add_claim(&records[i], i == 999 ? UINT64_MAX : i);
		check_round_trip(&w, 1000);
		check_round_trip(&w, step);
	}
	clear();
	add_claim(&records[0], 0);
	check_round_trip(&w, 1);
	check_round_trip(&w, 1000);
	meta_writer_fini(&w);
}
END_TEST

static void make_random(size_t count)
{
	unsigned keys = 1 + (unsigned)next_random(200), keyed = (unsigned)next_random(101);
	unsigned steps = (unsigned)next_random(3), claims = 1 + (unsigned)next_random(50);
	uint64_t now = next_random(1ull << 42);
	clear();
	for (size_t i = 0; i < count; i++) {
		struct expected *e = &records[i];
		char key[64];
		snprintf(key, sizeof key, "%0*u", 1 + (int)(keys % 7), (unsigned)next_random(keys));
		set_key(e, next_random(100) < keyed ? key : "");
		now += steps && !next_random(steps * 10) ? next_random(1ull << 36) : 0;
		e->arrival_ms = now;
		if (!next_random(claims))
			add_claim(e, next_random(UINT64_MAX));
	}
}

START_TEST(random_records_come_back)
{
	struct meta_writer w = {0};
	const char *given = getenv("STREAMFS_SEED");
	uint64_t first = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL) * 2654435761u | 1;
	for (unsigned round = 0; round < 40; round++) {
		seed = first + round * 2;
		size_t count = next_random(RECORDS_MAX);
		make_random(count);
		if (round == 0)
			printf("random_records_come_back: STREAMFS_SEED=%llu\n",
				(unsigned long long)first);
		check_round_trip(&w, count);
	}
	meta_writer_fini(&w);
}
END_TEST

/* Reads until the end or an error. A sanitizer sees reads outside the buffer. */
static void read_wild(const uint8_t *data, size_t bytes)
{
	struct buf copy = {.data = malloc(bytes + 1), .size = bytes};
	struct meta_view view;
	struct meta_record got;
	memcpy(copy.data, data, bytes);
	copy.data = realloc(copy.data, bytes ? bytes : 1);
	int r = meta_view_init(&view, &copy, 1);
	ck_assert(r == 0 || r == -EBADMSG);
	for (size_t i = 0; r == 0 && i < 500; i++) {
		r = meta_view_next(&view, &got);
		ck_assert(r == 0 || r == -EBADMSG);
		if (r == 0 && got.key_bytes)
			ck_assert(got.key >= copy.data &&
				  got.key + got.key_bytes <= copy.data + bytes);
	}
	meta_view_fini(&view);
	free(copy.data);
}

START_TEST(wild_meta_is_refused_or_read_within_bounds)
{
	struct meta_writer w = {0};
	seed = 99;
	make_random(300);
	add_claim(&records[3], 5);
	const struct buf *raw = write_records(&w, 300);
	uint8_t *data = malloc(raw->size);
	for (size_t bytes = 0; bytes < raw->size; bytes++)
		read_wild(raw->data, bytes);
	memcpy(data, raw->data, raw->size);
	for (unsigned round = 0; round < 4000; round++) {
		size_t at = next_random(round % 2 ? 40 : raw->size);
		data[at] = (uint8_t)next_random(256);
		read_wild(data, raw->size);
		if (round % 5 == 0)
			memcpy(data, raw->data, raw->size);
	}
	free(data);
	meta_writer_fini(&w);
}
END_TEST

START_TEST(unknown_sections_are_skipped)
{
	static const uint8_t data[] = {200, 3, 'a', 'b', 'c', 1, 2, 'k', 'y', 99, 0};
	struct buf raw = {.data = (uint8_t *)(uintptr_t)data, .size = sizeof data};
	struct meta_view view;
	struct meta_record got;
	ck_assert_int_eq(meta_view_init(&view, &raw, 5), 0);
	ck_assert_int_eq(meta_view_next(&view, &got), 0);
	ck_assert_uint_eq(got.key_bytes, 2);
	ck_assert_mem_eq(got.key, "ky", 2);
	ck_assert_uint_eq(got.arrival_ms, 5);
	meta_view_fini(&view);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("meta");
	TCase *tcase = tcase_create("meta");
	tcase_set_timeout(tcase, 300);
	tcase_add_test(tcase, records_that_are_all_alike_take_no_room);
	tcase_add_loop_test(tcase, keys_come_back, 0, 11);
	tcase_add_test(tcase, keys_of_every_length_come_back);
	tcase_add_test(tcase, times_come_back);
	tcase_add_test(tcase, claims_come_back);
	tcase_add_test(tcase, random_records_come_back);
	tcase_add_test(tcase, wild_meta_is_refused_or_read_within_bounds);
	tcase_add_test(tcase, unknown_sections_are_skipped);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
