/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "caller.h"

static char fifo[64];

/* An open of a pipe without a reader waits, like an open that waits for the mount. */
static pid_t wait_in_open(int flags)
{
	pid_t child = fork();
	if (child == 0) {
		open(fifo, O_WRONLY | flags, 0600);
		_exit(0);
	}
	ck_assert_int_gt(child, 0);
	return child;
}

static bool creates_within(pid_t child, int ms)
{
	while (!caller_creates(child) && ms-- > 0)
		usleep(1000);
	return ms > 0;
}

static void end(pid_t child)
{
	kill(child, SIGKILL);
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
}

START_TEST(what_open_was_called_with)
{
	snprintf(fifo, sizeof fifo, "/tmp/test_caller.%d", (int)getpid());
	ck_assert_int_eq(mkfifo(fifo, 0600), 0);
	pid_t creating = wait_in_open(O_CREAT), other = wait_in_open(0);
	ck_assert(creates_within(creating, 60000));
	ck_assert(!creates_within(other, 50));
	end(creating);
	end(other);
	unlink(fifo);
}
END_TEST

START_TEST(who_cannot_be_looked_at_creates_nothing)
{
	ck_assert(!caller_creates(0));
	ck_assert(!caller_creates(getpid())); /* this thread runs and does not wait */
	pid_t gone = wait_in_open(0);
	end(gone);
	ck_assert(!caller_creates(gone));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("caller");
	TCase *tcase = tcase_create("caller");
	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, what_open_was_called_with);
	tcase_add_test(tcase, who_cannot_be_looked_at_creates_nothing);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
