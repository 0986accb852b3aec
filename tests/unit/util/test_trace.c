/* SPDX-License-Identifier: MIT */
/* The trace: how it is turned on, and the form of a line. */
#include "trace.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { THREADS = 4, LINES = 500 };

static int output = -1;

/* Redirects standard error, where the trace goes, to a file. */
static void setup(void)
{
	output = open("/tmp", O_RDWR | O_APPEND | O_TMPFILE | O_CLOEXEC, 0600);
	ck_assert_int_ge(output, 0);
	ck_assert_int_ge(dup2(output, STDERR_FILENO), 0);
}

static char *written(void)
{
	static char text[1 << 20];
	ssize_t n = pread(output, text, sizeof text - 1, 0);
	ck_assert_int_ge(n, 0);
	text[n] = '\0';
	return text;
}

static int evaluated;

static int evaluate(void)
{
	return ++evaluated;
}

START_TEST(it_is_off_at_first)
{
	TRACE(append, "%d", evaluate());
	ck_assert_int_eq(evaluated, 0);
	ck_assert_str_eq(written(), "");
}
END_TEST

START_TEST(only_what_was_chosen_is_on)
{
	ck_assert_int_eq(trace_set("append,sync"), 0);
	ck_assert(TRACE_IS_ON(append) && TRACE_IS_ON(sync) && !TRACE_IS_ON(read));
	ck_assert_int_eq(trace_set("read+lock"), 0);
	ck_assert(!TRACE_IS_ON(append) && TRACE_IS_ON(read) && TRACE_IS_ON(lock));
	ck_assert_int_eq(trace_set("all"), 0);
	ck_assert(TRACE_IS_ON(append) && TRACE_IS_ON(notify));
	ck_assert_int_eq(trace_set(""), 0);
	ck_assert_uint_eq(atomic_load(&trace_areas), 0);
	ck_assert_int_eq(trace_set(trace_area_list), 0);
	ck_assert_uint_eq(atomic_load(&trace_areas), (1u << TRACE_AREA_COUNT) - 1);
}
END_TEST

START_TEST(an_unknown_area_changes_nothing)
{
	static const char *const bad[] = {"nonsense", "append,nonsense", "append,", ",append",
		"append,,sync", "appen", "appendix", "APPEND", " append"};
	ck_assert_int_eq(trace_set("merge"), 0);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		ck_assert_msg(trace_set(bad[i]) == -EINVAL, "%s", bad[i]);
	ck_assert_uint_eq(atomic_load(&trace_areas), 1u << TRACE_merge);
}
END_TEST

START_TEST(a_line_has_time_thread_and_area)
{
	unsigned long long seconds;
	int micros, thread, end = 0;
	ck_assert_int_eq(trace_set("trim"), 0);
	errno = ENOTTY;
	TRACE(trim, "%s to %d\nand on", "shard 3", evaluate());
	TRACE(read, "not this");
	ck_assert_int_eq(errno, ENOTTY);
	int n = sscanf(written(), "trace %llu.%6d [%d] trim: shard 3 to 1?and on%n", &seconds,
		&micros, &thread, &end);
	ck_assert_int_eq(n, 3);
	ck_assert_int_eq(thread, gettid());
	ck_assert_str_eq(written() + end, "\n");
}
END_TEST

START_TEST(a_long_line_is_cut)
{
	char text[2 * TRACE_LINE_MAX];
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	ck_assert_int_eq(trace_set("trim"), 0);
	TRACE(trim, "%s", text);
	const char *line = written();
	ck_assert_uint_eq(strlen(line), TRACE_LINE_MAX);
	ck_assert_str_eq(line + TRACE_LINE_MAX - 2, "x\n");
}
END_TEST

static void *trace_much(void *context)
{
	for (int i = 0; i < LINES; i++)
		TRACE(append, "%s", (const char *)context);
	return NULL;
}

START_TEST(lines_of_threads_do_not_mix)
{
	static char text[] = "a text of some length that is there whole or not at all";
	pthread_t threads[THREADS];
	ck_assert_int_eq(trace_set("append"), 0);
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, trace_much, text), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	int count = 0;
	char *save = NULL;
	for (char *l = strtok_r(written(), "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		ck_assert(strncmp(l, "trace ", 6) == 0);
		ck_assert_str_eq(strstr(l, "] append: ") + strlen("] append: "), text);
		count++;
	}
	ck_assert_int_eq(count, THREADS * LINES);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("trace");
	TCase *tcase = tcase_create("trace");
	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, it_is_off_at_first);
	tcase_add_test(tcase, only_what_was_chosen_is_on);
	tcase_add_test(tcase, an_unknown_area_changes_nothing);
	tcase_add_test(tcase, a_line_has_time_thread_and_area);
	tcase_add_test(tcase, a_long_line_is_cut);
	tcase_add_test(tcase, lines_of_threads_do_not_mix);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
