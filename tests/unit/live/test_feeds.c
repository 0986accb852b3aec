/* SPDX-License-Identifier: MIT */
#include "feeds.h"

#include <check.h>
#include <pthread.h>
#include <stdlib.h>

#include "streamfs/view.h"

enum { JOBS = 1000 };

struct counted {
	struct feed_job job;
	pthread_t thread;
	unsigned place; /* in the order of running, from 1 */
	unsigned *count;
};

static const struct sfs_waiter first = {.turn = 0};
static const struct sfs_waiter late = {.turn = FEEDS_DIRECT_MAX};

static void note(struct feed_job *job)
{
	struct counted *counted = (struct counted *)job;
	counted->thread = pthread_self();
	counted->place = ++*counted->count;
}

static void start(struct feeds *feeds)
{
	feeds_init(feeds);
	ck_assert_int_eq(feeds_start(feeds), 0);
}

/* Runs the queued jobs and stops. */
static void stop(struct feeds *feeds)
{
	feeds_stop(feeds);
	feeds_fini(feeds);
}

START_TEST(the_first_run_in_the_appenders_thread)
{
	struct feeds feeds;
	unsigned count = 0;
	struct counted counted = {.job.run = note, .count = &count};
	start(&feeds);
	feeds_wake(&feeds, &first, &counted.job);
	ck_assert_uint_eq(counted.place, 1);
	ck_assert(pthread_equal(counted.thread, pthread_self()));
	stop(&feeds);
}
END_TEST

START_TEST(all_others_run_in_order_in_another_thread)
{
	static struct counted jobs[JOBS];
	struct feeds feeds;
	unsigned count = 0;
	start(&feeds);
	for (unsigned i = 0; i < JOBS; i++) {
		jobs[i] = (struct counted){.job.run = note, .count = &count};
		feeds_wake(&feeds, &late, &jobs[i].job);
	}
	stop(&feeds);
	for (unsigned i = 0; i < JOBS; i++) {
		ck_assert_uint_eq(jobs[i].place, i + 1);
		ck_assert(!pthread_equal(jobs[i].thread, pthread_self()));
	}
}
END_TEST

static void free_it(struct feed_job *job)
{
	free(job);
}

START_TEST(a_job_can_be_the_end_of_itself)
{
	struct feeds feeds;
	start(&feeds);
	for (unsigned i = 0; i < JOBS; i++) {
		struct feed_job *job = calloc(1, sizeof(*job));
		ck_assert_ptr_nonnull(job);
		job->run = free_it;
		feeds_wake(&feeds, i % 2 ? &first : &late, job);
	}
	stop(&feeds);
}
END_TEST

static void *leave(void *context)
{
	feeds_leave(context);
	return NULL;
}

START_TEST(the_stop_waits_for_what_is_alive)
{
	struct feeds feeds;
	pthread_t thread;
	start(&feeds);
	feeds_enter(&feeds);
	ck_assert_int_eq(pthread_create(&thread, NULL, leave, &feeds), 0);
	stop(&feeds);
	ck_assert_uint_eq(feeds.alive, 0);
	ck_assert_int_eq(pthread_join(thread, NULL), 0);
}
END_TEST

START_TEST(none_can_be_stopped)
{
	struct feeds feeds;
	feeds_init(&feeds);
	stop(&feeds);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("feeds");
	TCase *tcase = tcase_create("all");
	tcase_add_test(tcase, the_first_run_in_the_appenders_thread);
	tcase_add_test(tcase, all_others_run_in_order_in_another_thread);
	tcase_add_test(tcase, a_job_can_be_the_end_of_itself);
	tcase_add_test(tcase, the_stop_waits_for_what_is_alive);
	tcase_add_test(tcase, none_can_be_stopped);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
