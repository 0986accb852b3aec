/* SPDX-License-Identifier: MIT */
/* The process is killed at every call of the disk. */
#include "daytest.h"

static atomic_uint kill_calls;
static unsigned kill_at;

static int kill_before(struct disk_hook *hook, const struct disk_call *call, size_t *limit)
{
	(void)hook;
	(void)limit;
	(void)call;
	if (atomic_fetch_add(&kill_calls, 1) + 1 == kill_at)
		_exit(42);
	return 0;
}

static struct disk_hook kill_hook = {.before = kill_before};

START_TEST(every_call_can_be_the_last)
{
	share_model();
	int status = 0;
	for (unsigned n = 1;; n += stride()) {
		fresh();
		options.disk_hook = &kill_hook;
		kill_calls = 0;
		kill_at = n;
		pid_t child = fork();
		if (!child) {
			scenario();
			close_scenario();
			_exit(0);
		}
		ck_assert_int_eq(waitpid(child, &status, 0), child);
		ck_assert(WIFEXITED(status));
		check_reopened(true);
		clear_store();
		if (WEXITSTATUS(status) != 42)
			break;
		ck_assert_uint_lt(n, 10000);
	}
	ck_assert_int_eq(WEXITSTATUS(status), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("faults_killed");
	keep_memory();
	TCase *every = add_case(suite, "every");
	tcase_set_timeout(every, 600);
	tcase_add_test(every, every_call_can_be_the_last);
	return run_suite(suite);
}
