/* SPDX-License-Identifier: MIT */
/* Decimal numbers as text. */
#include "number.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void assert_number(const char *text, uint64_t max, uint64_t want)
{
	uint64_t got = ~want;
	ck_assert_msg(number_parse(text, max, &got) == 0, "%s", text);
	ck_assert_uint_eq(got, want);
}

static void assert_refused(const char *text, uint64_t max)
{
	uint64_t got = 4711;
	ck_assert_msg(number_parse(text, max, &got) == -EINVAL, "%s", text);
	ck_assert_uint_eq(got, 4711);
}

START_TEST(digits_are_a_number)
{
	assert_number("0", UINT64_MAX, 0);
	assert_number("0", 0, 0);
	assert_number("00000000000000000000000007", UINT64_MAX, 7);
	assert_number("52100", UINT64_MAX, 52100);
	assert_number("18446744073709551615", UINT64_MAX, UINT64_MAX);
	assert_number("9223372036854775807", INT64_MAX, INT64_MAX);
	assert_number("65535", 65535, 65535);
}
END_TEST

START_TEST(anything_else_is_not)
{
	static const char *const texts[] = {
		"", " 1", "1 ", "1\n", "+1", "-1", "0x10", "1e3", "1.0", "a", "1a", "\xd9\xa1"};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		assert_refused(texts[i], UINT64_MAX);
}
END_TEST

START_TEST(the_bound_holds)
{
	assert_refused("18446744073709551616", UINT64_MAX);
	assert_refused("99999999999999999999", UINT64_MAX);
	assert_refused("184467440737095516150", UINT64_MAX);
	assert_refused("9223372036854775808", INT64_MAX);
	assert_refused("65536", 65535);
	assert_refused("1", 0);
	assert_refused("10", 9);
	assert_refused("9", 8);
}
END_TEST

START_TEST(a_number_ends_where_the_digits_end)
{
	const char *text = "0012:34", *at = text;
	uint64_t number;
	ck_assert_int_eq(number_take(&at, NULL, 100, &number), 0);
	ck_assert_uint_eq(number, 12);
	ck_assert_ptr_eq(at, text + 4);
	ck_assert_int_eq(number_take(&at, NULL, 100, &number), -EINVAL);
	ck_assert_ptr_eq(at, text + 4);
	at++;
	ck_assert_int_eq(number_take(&at, text + strlen(text), 100, &number), 0);
	ck_assert_uint_eq(number, 34);
	ck_assert_int_eq(*at, 0);
}
END_TEST

START_TEST(nothing_is_read_past_the_end)
{
	char text[3] = {'1', '2', '3'};
	const char *at = text;
	uint64_t number;
	ck_assert_int_eq(number_take(&at, text + 2, UINT64_MAX, &number), 0);
	ck_assert_uint_eq(number, 12);
	ck_assert_int_eq(number_take(&at, text + 3, UINT64_MAX, &number), 0);
	ck_assert_uint_eq(number, 3);
	ck_assert_int_eq(number_take(&at, text + 3, UINT64_MAX, &number), -EINVAL);
	ck_assert_uint_eq(number, 3);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("number");
	TCase *tcase = tcase_create("number");
	tcase_add_test(tcase, digits_are_a_number);
	tcase_add_test(tcase, anything_else_is_not);
	tcase_add_test(tcase, the_bound_holds);
	tcase_add_test(tcase, a_number_ends_where_the_digits_end);
	tcase_add_test(tcase, nothing_is_read_past_the_end);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
