/* SPDX-License-Identifier: MIT */
/* The queue and its threads. */
#include "worker.h"

#include "cleanup.h"
#include "container.h"

#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { JOBS = 100 };

struct job {
	struct work work;
	int number;
	unsigned again; /* how often it is submitted again */
};

/* A log of a worker's jobs, and a gate at which the jobs wait. */
struct record {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool closed;
	unsigned waiting;
	struct worker *worker;
	int run[2 * JOBS], dropped[JOBS];
	size_t run_count, dropped_count;
	bool signals_blocked;
	char thread_name[16];
};

static struct record record;
static struct job jobs[JOBS];

static void reset(void)
{
	memset(&record, 0, sizeof record);
	pthread_mutex_init(&record.lock, NULL);
	pthread_cond_init(&record.changed, NULL);
	for (int i = 0; i < JOBS; i++)
		jobs[i] = (struct job){.number = i};
}

static void run(void *context, struct work *work)
{
	struct record *r = context;
	struct job *job = CONTAINER_OF(work, struct job, work);
	sigset_t mask;
	SCOPED_LOCK(&r->lock);
	r->waiting++;
	pthread_cond_broadcast(&r->changed);
	while (r->closed)
		pthread_cond_wait(&r->changed, &r->lock);
	r->waiting--;
	r->run[r->run_count++] = job->number;
	pthread_getname_np(pthread_self(), r->thread_name, sizeof r->thread_name);
	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	r->signals_blocked = sigismember(&mask, SIGTERM);
	if (job->again) {
		job->again--;
		ck_assert(worker_submit(r->worker, work));
	}
	pthread_cond_broadcast(&r->changed);
}

static void drop(void *context, struct work *work)
{
	struct record *r = context;
	SCOPED_LOCK(&r->lock);
	r->dropped[r->dropped_count++] = CONTAINER_OF(work, struct job, work)->number;
}

static void start(unsigned threads, void (*dropper)(void *context, struct work *work))
{
	struct worker_options options = {.name = "sfs-test",
		.threads = threads,
		.run = run,
		.drop = dropper,
		.context = &record};
	reset();
	ck_assert_int_eq(worker_start(&options, &record.worker), 0);
}

static void set_gate(bool closed)
{
	SCOPED_LOCK(&record.lock);
	record.closed = closed;
	pthread_cond_broadcast(&record.changed);
}

static void wait_for_waiting(unsigned count)
{
	SCOPED_LOCK(&record.lock);
	while (record.waiting < count)
		pthread_cond_wait(&record.changed, &record.lock);
}

static void wait_for_run(size_t count)
{
	SCOPED_LOCK(&record.lock);
	while (record.run_count < count)
		pthread_cond_wait(&record.changed, &record.lock);
}

static void submit(int from, int to)
{
	for (int i = from; i < to; i++)
		ck_assert(worker_submit(record.worker, &jobs[i].work));
}

START_TEST(items_are_run_in_order)
{
	start(1, NULL);
	submit(0, JOBS);
	wait_for_run(JOBS);
	for (int i = 0; i < JOBS; i++)
		ck_assert_int_eq(record.run[i], i);
	ck_assert_str_eq(record.thread_name, "sfs-test");
	ck_assert(record.signals_blocked);
	worker_free(record.worker);
}
END_TEST

START_TEST(a_stop_runs_what_is_queued)
{
	start(0, NULL);
	set_gate(true);
	submit(0, JOBS);
	set_gate(false);
	worker_stop(record.worker);
	ck_assert_uint_eq(record.run_count, JOBS);
	ck_assert(!worker_submit(record.worker, &jobs[0].work));
	worker_stop(record.worker);
	worker_free(record.worker);
	ck_assert_uint_eq(record.run_count, JOBS);
}
END_TEST

static void *stop(void *context)
{
	worker_stop(context);
	return NULL;
}

START_TEST(a_stop_drops_what_is_queued)
{
	pthread_t stopper;
	start(1, drop);
	set_gate(true);
	submit(0, 1);
	wait_for_waiting(1);
	submit(1, JOBS - 1);
	ck_assert_int_eq(pthread_create(&stopper, NULL, stop, record.worker), 0);
	usleep(100000); /* the stop should come first; if not, the test proves less */
	set_gate(false);
	pthread_join(stopper, NULL);
	ck_assert_uint_ge(record.run_count, 1);
	ck_assert_uint_eq(record.run_count + record.dropped_count, JOBS - 1);
	for (size_t i = 0; i < record.dropped_count; i++)
		ck_assert_int_eq(record.dropped[i], (int)(record.run_count + i));
	worker_free(record.worker);
}
END_TEST

START_TEST(an_item_can_be_submitted_again_as_it_runs)
{
	start(1, NULL);
	jobs[0].again = 3;
	set_gate(true);
	submit(0, 2);
	set_gate(false);
	wait_for_run(5);
	static const int want[] = {0, 1, 0, 0, 0};
	for (size_t i = 0; i < 5; i++)
		ck_assert_int_eq(record.run[i], want[i]);
	worker_free(record.worker);
}
END_TEST

START_TEST(waiting_items_start_more_threads)
{
	start(3, NULL);
	set_gate(true);
	submit(0, 10);
	wait_for_waiting(3);
	ck_assert_uint_eq(record.waiting, 3);
	set_gate(false);
	worker_free(record.worker);
	ck_assert_uint_eq(record.run_count, 10);
}
END_TEST

START_TEST(nothing_can_be_freed)
{
	worker_free(NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("worker");
	TCase *tcase = tcase_create("worker");
	tcase_add_test(tcase, items_are_run_in_order);
	tcase_add_test(tcase, a_stop_runs_what_is_queued);
	tcase_add_test(tcase, a_stop_drops_what_is_queued);
	tcase_add_test(tcase, an_item_can_be_submitted_again_as_it_runs);
	tcase_add_test(tcase, waiting_items_start_more_threads);
	tcase_add_test(tcase, nothing_can_be_freed);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
