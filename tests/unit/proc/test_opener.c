/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "opener.h"

static const struct opened unopened = {.tail = "/no/such/path"};

static void *find_and_end(void *context)
{
	struct opener *opener = context;
	*opener = opener_of((pid_t)syscall(SYS_gettid));
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
	ck_assert(opener_has_closed(&opener, getpid(), &unopened));
}
END_TEST

START_TEST(another_process_has_not_closed_it)
{
	struct opener opener = opener_of(getppid());
	ck_assert_int_eq(opener.process, getppid());
	ck_assert(!opener_has_closed(&opener, getpid(), &unopened));
}
END_TEST

/* The time that close(2) waits is bounded, however many descriptors a process has. */
START_TEST(too_many_descriptors_are_not_looked_through)
{
	struct opener opener = {.thread = getpid(), .process = getpid()};
	struct rlimit limit;
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = limit.rlim_max;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
	ck_assert(opener_has_closed(&opener, getpid(), &unopened));
	for (int i = 0; i < OPENER_DESCRIPTORS_MAX; i++)
		ck_assert_int_ge(open("/dev/null", O_WRONLY | O_CLOEXEC), 0);
	ck_assert(!opener_has_closed(&opener, getpid(), &unopened));
	closefrom(STDERR_FILENO + 1);
}
END_TEST

static pid_t fork_and_wait(void)
{
	pid_t child = fork();
	if (child == 0) {
		pause();
		_exit(0);
	}
	ck_assert_int_gt(child, 0);
	return child;
}

START_TEST(a_child_that_has_it_keeps_it_open)
{
	struct opener opener = {.thread = getpid(), .process = getpid()};
	char path[] = "/tmp/test_opener.XXXXXX";
	int fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(unlink(path), 0);
	struct opened opened = {.tail = path + 4, .position = -1, .shared = true};
	ck_assert(!opener_has_closed(&opener, getpid(), &opened));
	pid_t child = fork_and_wait();
	close(fd);
	ck_assert(!opener_has_closed(&opener, getpid(), &opened));
	kill(child, SIGKILL);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	ck_assert(opener_has_closed(&opener, getpid(), &opened));
}
END_TEST

START_TEST(inode_numbers_tell_files_of_one_name_apart)
{
	struct opener opener = {.thread = getpid(), .process = getpid()};
	struct stat st;
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	ck_assert_int_eq(fstat(fd, &st), 0);
	struct opened opened = {.tail = "/dev/null", .position = -1, .ino = st.st_ino};
	ck_assert(!opener_has_closed(&opener, getpid(), &opened));
	opened.ino++;
	ck_assert(opener_has_closed(&opener, getpid(), &opened));
	close(fd);
}
END_TEST

START_TEST(kin_is_the_process_and_its_children)
{
	struct opener opener = {.thread = getpid(), .process = getpid()};
	pid_t child = fork_and_wait();
	struct opener of_child = {.thread = child, .process = child};
	ck_assert(opener_is_kin(&opener, getpid()));
	ck_assert(opener_is_kin(&opener, child));
	ck_assert(!opener_is_kin(&of_child, getpid()));
	ck_assert(!opener_is_kin(&opener, 0));
	kill(child, SIGKILL);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("opener");
	TCase *tcase = tcase_create("opener");
	tcase_add_test(tcase, a_process_outlives_its_thread);
	tcase_add_test(tcase, another_process_has_not_closed_it);
	tcase_add_test(tcase, too_many_descriptors_are_not_looked_through);
	tcase_add_test(tcase, a_child_that_has_it_keeps_it_open);
	tcase_add_test(tcase, inode_numbers_tell_files_of_one_name_apart);
	tcase_add_test(tcase, kin_is_the_process_and_its_children);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
