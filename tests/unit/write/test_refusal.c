/* SPDX-License-Identifier: MIT */
/* The table of states in refusal.h, row by row. */
#include "storetest.h"

#include "refusal.h"

static struct refusal refusal;

static void begin(const char *text, bool is_short_write)
{
	refusal = (struct refusal){0};
	ck_assert_int_eq(
		refusal_begin(&refusal, -EFBIG, text, strlen(text), is_short_write), -EFBIG);
}

static void check(const char *text, int result, enum refusal_state state)
{
	ck_assert_int_eq(refusal_check(&refusal, text, strlen(text)), result);
	ck_assert_int_eq(refusal.state, state);
}

START_TEST(nothing_refused_takes_anything)
{
	refusal = (struct refusal){0};
	check("text", 0, REFUSAL_NONE);
	check("a line\n", 0, REFUSAL_NONE);
}
END_TEST

START_TEST(an_end_whose_error_was_seen_leaves_nothing)
{
	begin("end\n", false);
	ck_assert_int_eq(refusal.state, REFUSAL_NONE);
	check("end\n", 0, REFUSAL_NONE);
}
END_TEST

START_TEST(an_end_behind_a_short_write_is_refused_once_more)
{
	begin("end\n", true);
	ck_assert_int_eq(refusal.state, REFUSAL_END);
	check("end\n", -EFBIG, REFUSAL_NONE);
	check("end\n", 0, REFUSAL_NONE);
}
END_TEST

START_TEST(other_text_after_an_end_is_taken)
{
	begin("end\n", true);
	check("new\n", 0, REFUSAL_NONE);
	begin("end\n", true);
	check("en", 0, REFUSAL_NONE); /* less than the refused line */
}
END_TEST

START_TEST(a_part_is_refused_as_often_as_it_comes)
{
	begin("part", false);
	ck_assert_int_eq(refusal.state, REFUSAL_PART);
	check("part", -EFBIG, REFUSAL_PART);
	check("part and more\n", -EFBIG, REFUSAL_PART);
	check("other\n", -EFBIG, REFUSAL_NONE);
	check("next\n", 0, REFUSAL_NONE);
}
END_TEST

START_TEST(the_rest_of_a_line_is_refused_to_its_newline)
{
	begin("part", true);
	check("more", -EFBIG, REFUSAL_REST);
	check("part", -EFBIG, REFUSAL_REST); /* no longer a retry */
	check("end\nbehind", -EFBIG, REFUSAL_NONE);
	check("next\n", 0, REFUSAL_NONE);
}
END_TEST

START_TEST(the_end_of_the_file_ends_a_refusal)
{
	begin("part", false);
	check("more", -EFBIG, REFUSAL_REST);
	refusal_end(&refusal);
	check("new", 0, REFUSAL_NONE);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("refusal");
	TCase *states = add_case(suite, "states");
	tcase_add_test(states, nothing_refused_takes_anything);
	tcase_add_test(states, an_end_whose_error_was_seen_leaves_nothing);
	tcase_add_test(states, an_end_behind_a_short_write_is_refused_once_more);
	tcase_add_test(states, other_text_after_an_end_is_taken);
	tcase_add_test(states, a_part_is_refused_as_often_as_it_comes);
	tcase_add_test(states, the_rest_of_a_line_is_refused_to_its_newline);
	tcase_add_test(states, the_end_of_the_file_ends_a_refusal);
	return run_suite(suite);
}
