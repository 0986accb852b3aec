/* SPDX-License-Identifier: MIT */
#include "reading.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

/* A read of `bytes` at `offset` must be served from `want`. */
static void reads(struct reading *p, uint64_t offset, uint64_t horizon, size_t bytes, uint64_t want)
{
	uint64_t at = 77;
	struct reading_file file = {horizon, 1000};
	size_t most = bytes;
	ck_assert_int_eq(reading_map(p, offset, &file, &most, &at), 0);
	ck_assert_uint_eq(most, bytes);
	ck_assert_uint_eq(at, want);
	reading_advance(p, offset, bytes);
}

static void is_behind(struct reading *p, uint64_t offset, uint64_t horizon)
{
	uint64_t at = 77;
	struct reading_file file = {horizon, 1000};
	size_t most = 10;
	ck_assert_int_eq(reading_map(p, offset, &file, &most, &at), -ESTALE);
	ck_assert_uint_eq(at, 77);
}

START_TEST(untrimmed_is_read_as_it_is)
{
	struct reading p = {0};
	reads(&p, 0, 0, 10, 0);
	reads(&p, 10, 0, 10, 10);
	reads(&p, 5, 0, 1, 5);
}
END_TEST

START_TEST(what_was_read_last_can_be_gone_back_into)
{
	struct reading p = {0};
	reads(&p, 0, 100, 80, 100);
	reads(&p, 7, 100, 80, 107); /* a shell that used one line */
	reads(&p, 87, 100, 80, 187);
	reads(&p, 120, 100, 80, 220); /* also above the horizon */
	is_behind(&p, 20, 100);	      /* but not into earlier reads */
	reads(&p, 0, 100, 10, 100);
	is_behind(&p, 3, 110);
}
END_TEST

START_TEST(a_step_back_over_the_horizon_is_short)
{
	struct reading p = {0};
	uint64_t at;
	struct reading_file file = {100, 1000};
	size_t bytes = 80;
	reads(&p, 160, 100, 30, 160);
	ck_assert_int_eq(reading_map(&p, 80, &file, &bytes, &at), 0);
	ck_assert_uint_eq(bytes, 60);
	ck_assert_uint_eq(at, 100);
	reading_advance(&p, 80, 60);
	reads(&p, 140, 100, 50, 160); /* and the next read follows it */
}
END_TEST

START_TEST(below_the_horizon_tail_finds_a_hole)
{
	struct reading p = {0};
	struct reading_file file = {900, 1000};
	uint64_t at;
	size_t bytes = 200;
	reads(&p, 800, 900, 100, 900); /* a short read at the end */
	for (uint64_t offset = 600; offset < 800; offset -= 200) {
		ck_assert_int_eq(reading_map(&p, offset, &file, &bytes, &at), -ENODATA);
		reading_advance(&p, offset, bytes);
	}
	reads(&p, 0, 900, 500, 900); /* then tail prints this */
}
END_TEST

START_TEST(the_end_of_a_file_is_short_too)
{
	struct reading p = {0};
	struct reading_file file = {900, 1000};
	uint64_t at;
	size_t bytes = 512;
	reads(&p, 0, 900, 50, 900); /* less reads the file's type */
	ck_assert_int_eq(reading_map(&p, 512, &file, &bytes, &at), 0);
	ck_assert_uint_eq(at, 900);
	ck_assert_uint_eq(bytes, 100);
	reading_advance(&p, 512, bytes);
	is_behind(&p, 400, 900);
	file.horizon = 1000;
	ck_assert_int_eq(reading_map(&p, 300, &file, &bytes, &at), 0);
	ck_assert_uint_eq(bytes, 0);
}
END_TEST

START_TEST(a_reading_from_the_start_begins_at_the_horizon)
{
	struct reading p = {0};
	reads(&p, 0, 100, 10, 100);
	reads(&p, 10, 100, 10, 110);
	reads(&p, 20, 105, 10, 120); /* the horizon rose, but stays below the reader */
	reads(&p, 30, 105, 0, 130);  /* at the end */
	reads(&p, 30, 105, 7, 130);  /* it grew */
}
END_TEST

START_TEST(a_first_read_below_the_horizon_begins_at_the_horizon)
{
	struct reading p = {0};
	reads(&p, 40, 100, 10, 100);
	reads(&p, 50, 100, 10, 110);
}
END_TEST

START_TEST(a_seek_to_what_is_there_is_exact)
{
	struct reading p = {0};
	reads(&p, 150, 100, 10, 150);
	reads(&p, 100, 100, 10, 100);
	reads(&p, 160, 100, 10, 160);
}
END_TEST

START_TEST(a_seek_leaves_the_shift)
{
	struct reading p = {0};
	reads(&p, 0, 100, 10, 100);
	reads(&p, 190, 100, 5, 190);
	reads(&p, 195, 100, 5, 195);
}
END_TEST

START_TEST(who_falls_behind_is_told)
{
	struct reading p = {0};
	reads(&p, 0, 0, 10, 0);
	is_behind(&p, 10, 11);
	is_behind(&p, 10, 11); /* each time it reads */
	reads(&p, 11, 11, 5, 11);
}
END_TEST

START_TEST(who_was_shifted_and_falls_behind_is_told)
{
	struct reading p = {0};
	reads(&p, 0, 100, 10, 100);
	is_behind(&p, 10, 111);
	reads(&p, 111, 111, 5, 111);
}
END_TEST

START_TEST(a_rewind_begins_at_the_horizon)
{
	struct reading p = {0};
	reads(&p, 150, 100, 10, 150);
	reads(&p, 0, 100, 10, 100);
	reads(&p, 10, 100, 10, 110);
	is_behind(&p, 30, 100);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("reading");
	TCase *tc = tcase_create("reading");
	tcase_add_test(tc, untrimmed_is_read_as_it_is);
	tcase_add_test(tc, what_was_read_last_can_be_gone_back_into);
	tcase_add_test(tc, a_step_back_over_the_horizon_is_short);
	tcase_add_test(tc, below_the_horizon_tail_finds_a_hole);
	tcase_add_test(tc, the_end_of_a_file_is_short_too);
	tcase_add_test(tc, a_reading_from_the_start_begins_at_the_horizon);
	tcase_add_test(tc, a_first_read_below_the_horizon_begins_at_the_horizon);
	tcase_add_test(tc, a_seek_to_what_is_there_is_exact);
	tcase_add_test(tc, a_seek_leaves_the_shift);
	tcase_add_test(tc, who_falls_behind_is_told);
	tcase_add_test(tc, who_was_shifted_and_falls_behind_is_told);
	tcase_add_test(tc, a_rewind_begins_at_the_horizon);
	suite_add_tcase(suite, tc);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
