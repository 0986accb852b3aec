/* SPDX-License-Identifier: MIT */
/* The typed growable array. */
#include "vector.h"

#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

struct point {
	int x;
	uint64_t y;
};

VECTOR(numbers, uint64_t);
VECTOR(points, struct point);

/* More items than an address space holds. */
static const size_t too_many = SIZE_MAX / sizeof(uint64_t);

START_TEST(what_is_pushed_stays_in_order)
{
	struct numbers v = {0};
	for (uint64_t i = 0; i < 1000; i++)
		ck_assert_int_eq(vector_push(&v, i * i), 0);
	ck_assert_uint_eq(v.count, 1000);
	ck_assert_uint_ge(v.capacity, v.count);
	for (uint64_t i = 0; i < 1000; i++)
		ck_assert_uint_eq(v.items[i], i * i);
	vector_fini(&v);
	ck_assert_ptr_null(v.items);
	ck_assert_uint_eq(v.count + v.capacity, 0);
}
END_TEST

START_TEST(structs_and_members_without_a_type_name)
{
	struct {
		VECTOR(, struct point) all;
	} owner = {0};
	struct points named = {0};
	ck_assert_int_eq(vector_push(&owner.all, (struct point){1, 2}), 0);
	ck_assert_int_eq(vector_push(&named, (struct point){.x = 3, .y = 4}), 0);
	ck_assert_int_eq(owner.all.items[0].x, 1);
	ck_assert_uint_eq(named.items[0].y, 4);
	vector_fini(&owner.all);
	vector_fini(&named);
}
END_TEST

START_TEST(reserved_room_is_not_moved)
{
	struct numbers v = {0};
	ck_assert_int_eq(vector_reserve(&v, 100), 0);
	ck_assert_uint_eq(v.count, 0);
	const uint64_t *before = v.items;
	for (uint64_t i = 0; i < 100; i++)
		ck_assert_int_eq(vector_push(&v, i), 0);
	ck_assert_ptr_eq(v.items, before);
	vector_clear(&v);
	ck_assert_uint_eq(v.count, 0);
	ck_assert_ptr_eq(v.items, before);
	vector_fini(&v);
}
END_TEST

START_TEST(resizing_adds_zeros)
{
	VECTOR(, bool) flags = {0};
	ck_assert_int_eq(vector_resize(&flags, 10), 0);
	flags.items[3] = true;
	ck_assert_int_eq(vector_resize(&flags, 2), 0);
	ck_assert_int_eq(vector_resize(&flags, 20), 0);
	for (size_t i = 0; i < 20; i++)
		ck_assert(!flags.items[i]);
	ck_assert_int_eq(vector_resize(&flags, 0), 0);
	vector_fini(&flags);
}
END_TEST

START_TEST(a_size_that_overflows_changes_nothing)
{
	struct numbers v = {0};
	ck_assert_int_eq(vector_push(&v, 7), 0);
	const uint64_t *before = v.items;
	ck_assert_int_eq(vector_reserve(&v, SIZE_MAX), -ENOMEM);
	ck_assert_int_eq(vector_reserve(&v, too_many), -ENOMEM);
	ck_assert_int_eq(vector_resize(&v, SIZE_MAX), -ENOMEM);
	ck_assert_int_eq(vector_resize(&v, too_many + 1), -ENOMEM);
	ck_assert_ptr_eq(v.items, before);
	ck_assert_uint_eq(v.count, 1);
	ck_assert_uint_eq(v.items[0], 7);
	vector_fini(&v);
}
END_TEST

START_TEST(an_item_is_removed_from_anywhere)
{
	struct numbers v = {0};
	for (uint64_t i = 0; i < 5; i++)
		ck_assert_int_eq(vector_push(&v, i), 0);
	vector_remove(&v, 4);
	vector_remove(&v, 0);
	vector_remove(&v, 1);
	ck_assert_uint_eq(v.count, 2);
	ck_assert_uint_eq(v.items[0], 1);
	ck_assert_uint_eq(v.items[1], 3);
	vector_fini(&v);
}
END_TEST

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

START_TEST(an_empty_one_can_be_sorted)
{
	struct numbers v = {0};
	vector_sort(&v, compare);
	for (uint64_t i = 0; i < 50; i++)
		ck_assert_int_eq(vector_push(&v, i * 37 % 50), 0);
	vector_sort(&v, compare);
	for (uint64_t i = 0; i < 50; i++)
		ck_assert_uint_eq(v.items[i], i);
	vector_fini(&v);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("vector");
	TCase *tcase = tcase_create("vector");
	tcase_add_test(tcase, what_is_pushed_stays_in_order);
	tcase_add_test(tcase, structs_and_members_without_a_type_name);
	tcase_add_test(tcase, reserved_room_is_not_moved);
	tcase_add_test(tcase, resizing_adds_zeros);
	tcase_add_test(tcase, a_size_that_overflows_changes_nothing);
	tcase_add_test(tcase, an_item_is_removed_from_anywhere);
	tcase_add_test(tcase, an_empty_one_can_be_sorted);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
