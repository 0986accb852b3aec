/* SPDX-License-Identifier: MIT */
#include "waker.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "cleanup.h"

struct waker {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	STAILQ_HEAD(, waker_job) queue; /* lock */
	bool stopping;			/* lock */
};

/* NULL: the end. */
static struct waker_job *next_job(struct waker *waker)
{
	SCOPED_LOCK(&waker->lock);
	while (STAILQ_EMPTY(&waker->queue) && !waker->stopping)
		pthread_cond_wait(&waker->changed, &waker->lock);
	struct waker_job *job = STAILQ_FIRST(&waker->queue);
	if (job)
		STAILQ_REMOVE_HEAD(&waker->queue, queue);
	return job;
}

static void *run(void *context)
{
	struct waker *waker = context;
	struct waker_job *job;
	while ((job = next_job(waker)))
		job->run(job);
	return NULL;
}

static void waker_free(struct waker *waker)
{
	pthread_cond_destroy(&waker->changed);
	pthread_mutex_destroy(&waker->lock);
	free(waker);
}

int waker_start(struct waker **ret_waker)
{
	struct waker *waker = calloc(1, sizeof(*waker));
	if (!waker)
		return -ENOMEM;
	pthread_mutex_init(&waker->lock, NULL);
	pthread_cond_init(&waker->changed, NULL);
	STAILQ_INIT(&waker->queue);
	int r = pthread_create(&waker->thread, NULL, run, waker);
	if (r) {
		waker_free(waker);
		return -r;
	}
	*ret_waker = waker;
	return 0;
}

void waker_submit(struct waker *waker, struct waker_job *job)
{
	SCOPED_LOCK(&waker->lock);
	STAILQ_INSERT_TAIL(&waker->queue, job, queue);
	pthread_cond_signal(&waker->changed);
}

void waker_stop(struct waker *waker)
{
	if (!waker)
		return;
	pthread_mutex_lock(&waker->lock);
	waker->stopping = true;
	pthread_cond_signal(&waker->changed);
	pthread_mutex_unlock(&waker->lock);
	pthread_join(waker->thread, NULL);
	waker_free(waker);
}
