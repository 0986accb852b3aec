/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "followers.h"

enum { MS = 1000000 };

static _Atomic pid_t spinner_tid;
static atomic_bool spinner_stop;

static void *spin(void *context)
{
	(void)context;
	atomic_store(&spinner_tid, (pid_t)syscall(SYS_gettid));
	while (!atomic_load(&spinner_stop))
		;
	return NULL;
}

static uint64_t cpu_ns(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000 * MS + (uint64_t)t.tv_nsec;
}

START_TEST(who_computes_is_not_waited_for)
{
	struct followers followers;
	clockid_t clock;
	pthread_t thread;
	followers_init(&followers);
	ck_assert_int_eq(pthread_create(&thread, NULL, spin, NULL), 0);
	while (!atomic_load(&spinner_tid))
		usleep(100);
	ck_assert_int_eq(pthread_getcpuclockid(thread, &clock), 0);
	followers_add(&followers, atomic_load(&spinner_tid));
	uint64_t told_ns = clock_monotonic_ns(), ran_ns = cpu_ns(clock);
	ck_assert(!followers_gone(&followers, told_ns));
	while (!followers_gone(&followers, told_ns)) {
		ck_assert_uint_lt(cpu_ns(clock) - ran_ns, 100 * MS);
		usleep(200);
	}
	ck_assert_uint_gt(cpu_ns(clock) - ran_ns, MS);
	atomic_store(&spinner_stop, true);
	pthread_join(thread, NULL);
	followers_fini(&followers);
}
END_TEST

/* Starts a busy process on processor 0. An idle one runs only when no other process is ready. */
static pid_t start_process(bool idle)
{
	pid_t pid = fork();
	if (pid)
		return pid;
	const struct sched_param none = {0};
	cpu_set_t first;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	CPU_ZERO(&first);
	CPU_SET(0, &first);
	if (sched_setaffinity(0, sizeof(first), &first) < 0 ||
		(idle && sched_setscheduler(0, SCHED_IDLE, &none) < 0))
		_exit(1);
	for (;;)
		;
}

static uint64_t ran_ns_of(pid_t pid)
{
	char path[64];
	unsigned long long ran_ns = 0;
	snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)pid);
	FILE *file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fscanf(file, "%llu", &ran_ns), 1);
	fclose(file);
	return ran_ns;
}

START_TEST(who_gets_no_processor_is_waited_for)
{
	struct followers followers;
	pid_t pids[5];
	followers_init(&followers);
	for (size_t i = 0; i < 5; i++)
		ck_assert_int_gt(pids[i] = start_process(i == 0), 0);
	usleep(300000);
	followers_add(&followers, pids[0]);
	uint64_t told_ns = clock_monotonic_ns(), ran_ns = ran_ns_of(pids[0]);
	while (clock_monotonic_ns() - told_ns < 1500ull * MS) {
		if (followers_gone(&followers, told_ns)) {
			ck_assert_uint_gt(ran_ns_of(pids[0]) - ran_ns, MS);
			break;
		}
		usleep(1000);
	}
	for (size_t i = 0; i < 5; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
	followers_fini(&followers);
}
END_TEST

START_TEST(who_sleeps_or_ended_is_gone)
{
	struct followers followers;
	followers_init(&followers);
	pid_t pid = fork();
	if (pid == 0) {
		pause();
		_exit(0);
	}
	usleep(100000);
	followers_add(&followers, pid);
	while (!followers_gone(&followers, clock_monotonic_ns()))
		usleep(1000);
	followers_add(&followers, pid);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	ck_assert(followers_gone(&followers, clock_monotonic_ns()));
	followers_fini(&followers);
}
END_TEST

START_TEST(who_is_told_later_is_not_waited_for)
{
	struct followers followers;
	uint64_t before_ns = clock_monotonic_ns();
	followers_init(&followers);
	followers_add(&followers, 0);
	ck_assert(followers_gone(&followers, before_ns));
	ck_assert(!followers_gone(&followers, clock_monotonic_ns()));
	followers_add(&followers, getpid());
	followers_remove(&followers, getpid());
	ck_assert(!followers_gone(&followers, clock_monotonic_ns()));
	usleep(300000);
	ck_assert(followers_gone(&followers, clock_monotonic_ns()));
	followers_fini(&followers);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("followers");
	TCase *tcase = tcase_create("followers");
	tcase_set_timeout(tcase, 30);
	tcase_add_test(tcase, who_computes_is_not_waited_for);
	tcase_add_test(tcase, who_gets_no_processor_is_waited_for);
	tcase_add_test(tcase, who_sleeps_or_ended_is_gone);
	tcase_add_test(tcase, who_is_told_later_is_not_waited_for);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
