/* SPDX-License-Identifier: MIT */
#include "waker.h"

#include <check.h>
#include <pthread.h>
#include <stdlib.h>

enum { JOBS = 1000 };

struct counted {
	struct waker_job job;
	pthread_t thread;
	unsigned place; /* in the order of running, from 1 */
	unsigned *count;
};

static void note(struct waker_job *job)
{
	struct counted *counted = (struct counted *)job;
	counted->thread = pthread_self();
	counted->place = ++*counted->count;
}

START_TEST(all_run_in_order_in_another_thread)
{
	static struct counted jobs[JOBS];
	struct waker *waker;
	unsigned count = 0;
	ck_assert_int_eq(waker_start(&waker), 0);
	for (unsigned i = 0; i < JOBS; i++) {
		jobs[i] = (struct counted){.job.run = note, .count = &count};
		waker_submit(waker, &jobs[i].job);
	}
	waker_stop(waker); /* runs what is queued */
	for (unsigned i = 0; i < JOBS; i++) {
		ck_assert_uint_eq(jobs[i].place, i + 1);
		ck_assert(!pthread_equal(jobs[i].thread, pthread_self()));
	}
}
END_TEST

static void free_it(struct waker_job *job)
{
	free(job);
}

START_TEST(a_job_can_be_the_end_of_itself)
{
	struct waker *waker;
	ck_assert_int_eq(waker_start(&waker), 0);
	for (unsigned i = 0; i < JOBS; i++) {
		struct waker_job *job = calloc(1, sizeof(*job));
		ck_assert_ptr_nonnull(job);
		job->run = free_it;
		waker_submit(waker, job);
	}
	waker_stop(waker);
}
END_TEST

START_TEST(none_can_be_stopped)
{
	waker_stop(NULL);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("waker");
	TCase *tcase = tcase_create("all");
	tcase_add_test(tcase, all_run_in_order_in_another_thread);
	tcase_add_test(tcase, a_job_can_be_the_end_of_itself);
	tcase_add_test(tcase, none_can_be_stopped);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
