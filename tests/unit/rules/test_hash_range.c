/* SPDX-License-Identifier: MIT */
#include "hash_range.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void expect_hex(struct hash_key hash, const char *hex)
{
	char text[HASH_KEY_HEX + 1];
	hash_key_to_hex(hash, text);
	ck_assert_str_eq(text, hex);
}

static bool same(struct hash_key a, struct hash_key b)
{
	return a.high == b.high && a.low == b.low;
}

static struct hash_key plus_one(struct hash_key hash)
{
	return (struct hash_key){.high = hash.high + (hash.low == UINT64_MAX), .low = hash.low + 1};
}

START_TEST(hash_is_the_md5_as_a_big_endian_number)
{
	expect_hex(hash_key_of("", 0), "d41d8cd98f00b204e9800998ecf8427e");
	expect_hex(hash_key_of("abc", 3), "900150983cd24fb0d6963f7d28e17f72");
	expect_hex(hash_key_of("message digest", 14), "f96b697d7cb7938d525a2f31aaf161d0");
	ck_assert(hash_key_of("abc", 3).high == UINT64_C(0x900150983cd24fb0));
	ck_assert(hash_key_of("abc", 3).low == UINT64_C(0xd6963f7d28e17f72));
}
END_TEST

START_TEST(comparison_looks_at_all_128_bits)
{
	struct hash_key a = {1, 5}, b = {2, 0}, c = {1, 6};
	ck_assert(hash_key_le(a, a));
	ck_assert(hash_key_le(a, b) && !hash_key_le(b, a));
	ck_assert(hash_key_le(a, c) && !hash_key_le(c, a));
}
END_TEST

START_TEST(ranges_start_at_the_floor_of_the_even_division)
{
	expect_hex(hash_range_first(0, 1), "00000000000000000000000000000000");
	expect_hex(hash_range_last(0, 1), "ffffffffffffffffffffffffffffffff");
	expect_hex(hash_range_first(1, 2), "80000000000000000000000000000000");
	expect_hex(hash_range_last(0, 2), "7fffffffffffffffffffffffffffffff");
	expect_hex(hash_range_first(1, 3), "55555555555555555555555555555555");
	expect_hex(hash_range_first(2, 3), "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	expect_hex(hash_range_last(2, 3), "ffffffffffffffffffffffffffffffff");
	expect_hex(hash_range_first(3, 7), "6db6db6db6db6db6db6db6db6db6db6d");
	expect_hex(hash_range_first(9, 10), "e6666666666666666666666666666666");
	expect_hex(hash_range_first(4095, 4096), "fff00000000000000000000000000000");
	expect_hex(hash_range_first(4094, 4095), "ffeffeffeffeffeffeffeffeffeffeff");
}
END_TEST

START_TEST(largest_counts_divide_exactly)
{
	expect_hex(
		hash_range_first(UINT32_MAX - 1, UINT32_MAX), "fffffffefffffffefffffffefffffffe");
	expect_hex(hash_range_first(1, UINT32_MAX), "00000001000000010000000100000001");
}
END_TEST

START_TEST(ranges_of_any_count_cover_all_hashes_without_overlap)
{
	for (uint32_t count = 1; count <= 4096; count = count < 40 ? count + 1 : count * 2 - 17) {
		ck_assert(same(hash_range_first(0, count), (struct hash_key){0, 0}));
		for (uint32_t i = 0; i < count; i++) {
			struct hash_key first = hash_range_first(i, count);
			struct hash_key last = hash_range_last(i, count);
			ck_assert(hash_key_le(first, last) && !same(first, last));
			if (i + 1 < count)
				ck_assert(same(plus_one(last), hash_range_first(i + 1, count)));
		}
		ck_assert(
			same(plus_one(hash_range_last(count - 1, count)), (struct hash_key){0, 0}));
	}
}
END_TEST

START_TEST(every_hash_is_found_in_its_range)
{
	struct hash_key firsts[100];
	for (uint32_t count = 1; count <= 100; count++) {
		for (uint32_t i = 0; i < count; i++)
			firsts[i] = hash_range_first(i, count);
		for (uint32_t i = 0; i < count; i++) {
			struct hash_key first = firsts[i], last = hash_range_last(i, count);
			struct hash_key middle = {first.high + (last.high - first.high) / 2, 0};
			ck_assert_uint_eq(hash_range_find(firsts, count, first), i);
			ck_assert_uint_eq(hash_range_find(firsts, count, plus_one(first)), i);
			ck_assert_uint_eq(hash_range_find(firsts, count, plus_one(middle)), i);
			ck_assert_uint_eq(hash_range_find(firsts, count, last), i);
		}
	}
}
END_TEST

START_TEST(uneven_ranges_are_searched_too)
{
	struct hash_key firsts[] = {
		{0, 0}, {0, 1}, {0, 7}, {5, 0}, {5, 1}, {UINT64_MAX, UINT64_MAX}};
	ck_assert_uint_eq(hash_range_find(firsts, 6, (struct hash_key){0, 0}), 0);
	ck_assert_uint_eq(hash_range_find(firsts, 6, (struct hash_key){0, 6}), 1);
	ck_assert_uint_eq(hash_range_find(firsts, 6, (struct hash_key){4, UINT64_MAX}), 2);
	ck_assert_uint_eq(hash_range_find(firsts, 6, (struct hash_key){5, 0}), 3);
	ck_assert_uint_eq(hash_range_find(firsts, 6, (struct hash_key){UINT64_MAX, 0}), 4);
	ck_assert_uint_eq(hash_range_find(firsts, 6, (struct hash_key){UINT64_MAX, UINT64_MAX}), 5);
}
END_TEST

START_TEST(hex_comes_back_as_the_same_hash)
{
	static const char *const texts[] = {"00000000000000000000000000000000",
		"0123456789abcdeffedcba9876543210", "ffffffffffffffffffffffffffffffff",
		"00000000000000010000000000000000"};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct hash_key hash;
		ck_assert_int_eq(hash_key_from_hex(texts[i], &hash), 0);
		expect_hex(hash, texts[i]);
	}
}
END_TEST

START_TEST(what_is_not_32_lower_case_digits_is_refused)
{
	static const char *const texts[] = {"", "0123456789abcdeffedcba987654321",
		"0123456789abcdeffedcba98765432100", "0123456789ABCDEFfedcba9876543210",
		"0x23456789abcdeffedcba9876543210", " 123456789abcdeffedcba9876543210",
		"0123456789abcdeffedcba987654321g", "0123456789abcdeffedcba987654321/",
		"0123456789abcdeffedcba987654321:", "0123456789abcdeffedcba987654321`",
		"0123456789abcdeffedcba98765432 "};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct hash_key hash = {47, 11};
		ck_assert_msg(hash_key_from_hex(texts[i], &hash) == -EINVAL, "%s", texts[i]);
		ck_assert(hash.high == 47 && hash.low == 11);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("hash_range");
	TCase *cases = tcase_create("route");
	tcase_add_test(cases, hash_is_the_md5_as_a_big_endian_number);
	tcase_add_test(cases, comparison_looks_at_all_128_bits);
	tcase_add_test(cases, ranges_start_at_the_floor_of_the_even_division);
	tcase_add_test(cases, largest_counts_divide_exactly);
	tcase_add_test(cases, ranges_of_any_count_cover_all_hashes_without_overlap);
	tcase_add_test(cases, every_hash_is_found_in_its_range);
	tcase_add_test(cases, uneven_ranges_are_searched_too);
	tcase_add_test(cases, hex_comes_back_as_the_same_hash);
	tcase_add_test(cases, what_is_not_32_lower_case_digits_is_refused);
	suite_add_tcase(suite, cases);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
