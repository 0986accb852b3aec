/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "opener.h"

static const char tail[] = "/no/such/path";

static void *find_and_end(void *context)
{
	struct opener *opener = context;
	opener->thread = opener->process = (pid_t)syscall(SYS_gettid);
	opener_find_process(opener);
	return NULL;
}

START_TEST(a_process_outlives_its_thread)
{
	struct opener opener;
	pthread_t thread;
	ck_assert_int_eq(pthread_create(&thread, NULL, find_and_end, &opener), 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
	ck_assert_int_ne(opener.thread, getpid());
	ck_assert_int_eq(opener.process, getpid());
	ck_assert(opener_has_closed(&opener, getpid(), tail, 0, 0));
}
END_TEST

START_TEST(another_process_has_not_closed_it)
{
	struct opener opener = {.thread = getppid(), .process = getppid()};
	opener_find_process(&opener);
	ck_assert_int_eq(opener.process, getppid());
	ck_assert(!opener_has_closed(&opener, getpid(), tail, 0, 0));
}
END_TEST

/* close(2) is not kept waiting for ever longer, whatever else a process has open. */
START_TEST(too_many_descriptors_are_not_looked_through)
{
	struct opener opener = {.thread = getpid(), .process = getpid()};
	struct rlimit limit;
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	ck_assert(opener_has_closed(&opener, getpid(), tail, 0, 0));
	for (int i = 0; i < OPENER_DESCRIPTORS_MAX; i++)
		ck_assert_int_ge(open("/dev/null", O_WRONLY | O_CLOEXEC), 0);
	ck_assert(!opener_has_closed(&opener, getpid(), tail, 0, 0));
	closefrom(STDERR_FILENO + 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("opener");
	TCase *tcase = tcase_create("opener");
	tcase_add_test(tcase, a_process_outlives_its_thread);
	tcase_add_test(tcase, another_process_has_not_closed_it);
	tcase_add_test(tcase, too_many_descriptors_are_not_looked_through);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
