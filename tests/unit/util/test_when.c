/* SPDX-License-Identifier: MIT */
#include "when.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t now = UINT64_C(1700000000000);

static uint64_t parsed(const char *text)
{
	uint64_t ms = 1;
	ck_assert_msg(when_parse(text, strlen(text), now, &ms) == 0, "%s", text);
	return ms;
}

static void refused(const char *text)
{
	uint64_t ms = 77;
	ck_assert_msg(when_parse(text, strlen(text), now, &ms) == -EINVAL, "%s", text);
	ck_assert_uint_eq(ms, 77);
}

START_TEST(rfc_3339_is_read)
{
	ck_assert_uint_eq(parsed("1970-01-01T00:00:00Z"), 0);
	ck_assert_uint_eq(parsed("2023-11-14T22:13:20Z"), now);
	ck_assert_uint_eq(parsed("2023-11-14t22:13:20z"), now);
	ck_assert_uint_eq(parsed("2023-11-14 22:13:20.5Z"), now + 500);
	ck_assert_uint_eq(parsed("2023-11-14T22:13:20.0019Z"), now + 1);
	ck_assert_uint_eq(parsed("2023-11-15T03:43:20+05:30"), now);
	ck_assert_uint_eq(parsed("2023-11-14T14:13:20-08:00"), now);
	ck_assert_uint_eq(parsed("2024-02-29T00:00:00Z"), UINT64_C(1709164800000));
	ck_assert_uint_eq(parsed("1969-12-31T23:59:59Z"), 0);
}
END_TEST

START_TEST(seconds_and_milliseconds_differ_in_digits)
{
	ck_assert_uint_eq(parsed("0"), 0);
	ck_assert_uint_eq(parsed("1700000000"), now);
	ck_assert_uint_eq(parsed("1700000000000"), now);
	ck_assert_uint_eq(parsed("99999999999"), UINT64_C(99999999999000));
	ck_assert_uint_eq(parsed("100000000000"), UINT64_C(100000000000));
}
END_TEST

START_TEST(ages_count_from_now)
{
	ck_assert_uint_eq(parsed("0s"), now);
	ck_assert_uint_eq(parsed("90s"), now - 90000);
	ck_assert_uint_eq(parsed("15m"), now - 900000);
	ck_assert_uint_eq(parsed("2h"), now - 7200000);
	ck_assert_uint_eq(parsed("7d"), now - UINT64_C(604800000));
	ck_assert_uint_eq(parsed("99999999d"), 0);
	ck_assert_uint_eq(parsed("1000000000000000000d"), 0);
}
END_TEST

START_TEST(anything_else_is_refused)
{
	static const char *const bad[] = {"", "s", "-1", "-1s", "+5m", "5w", "5M", "1.5h", "5 m",
		" 5m", "5m ", "now", "yesterday", "99999999999999999999", "2023-11-14",
		"2023-11-14T22:13:20", "2023-11-14T22:13:20ZZ", "2023-11-14T22:13Z",
		"2023-13-14T22:13:20Z", "2023-02-29T22:13:20Z", "2023-11-31T22:13:20Z",
		"2023-11-14T24:13:20Z", "2023-11-14T22:60:20Z", "2023-11-14T22:13:61Z",
		"2023-11-14T22:13:20.Z", "2023-11-14T22:13:20+0530", "2023-11-14T22:13:20+24:00",
		"20231114T221320Z", "2023-11-14T22:13:2"};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		refused(bad[i]);
	uint64_t ms;
	ck_assert_int_eq(when_parse("1\0s", 3, now, &ms), -EINVAL);
}
END_TEST

START_TEST(times_are_written_with_a_fixed_width)
{
	char text[WHEN_TEXT_BYTES + 1];
	when_format(0, text);
	ck_assert_str_eq(text, "1970-01-01T00:00:00.000Z");
	when_format(now + 7, text);
	ck_assert_str_eq(text, "2023-11-14T22:13:20.007Z");
	when_format(UINT64_MAX, text);
	ck_assert_str_eq(text, "9999-12-31T23:59:59.999Z");
	for (uint64_t ms = 1; ms < UINT64_C(253402300800000); ms = ms * 3 + 12345) {
		when_format(ms, text);
		ck_assert_uint_eq(strlen(text), WHEN_TEXT_BYTES);
		ck_assert_uint_eq(parsed(text), ms);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("when");
	TCase *tc = tcase_create("when");
	tcase_add_test(tc, rfc_3339_is_read);
	tcase_add_test(tc, seconds_and_milliseconds_differ_in_digits);
	tcase_add_test(tc, ages_count_from_now);
	tcase_add_test(tc, anything_else_is_refused);
	tcase_add_test(tc, times_are_written_with_a_fixed_width);
	suite_add_tcase(suite, tc);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
