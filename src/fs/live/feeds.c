/* SPDX-License-Identifier: MIT */
#include "feeds.h"

#include "cleanup.h"
#include "container.h"
#include "streamfs/view.h"

static void run_job(void *context, struct work *work)
{
	struct feed_job *job = CONTAINER_OF(work, struct feed_job, work);
	(void)context;
	job->run(job);
}

void feeds_init(struct feeds *feeds)
{
	*feeds = (struct feeds){0};
	pthread_mutex_init(&feeds->lock, NULL);
	pthread_cond_init(&feeds->none, NULL);
	LIST_INIT(&feeds->parked);
}

int feeds_start(struct feeds *feeds)
{
	const struct worker_options options = {.name = "waker", .run = run_job};
	return worker_start(&options, &feeds->waker);
}

void feeds_stop(struct feeds *feeds)
{
	pthread_mutex_lock(&feeds->lock);
	while (feeds->alive)
		pthread_cond_wait(&feeds->none, &feeds->lock);
	pthread_mutex_unlock(&feeds->lock);
	worker_free(feeds->waker);
	feeds->waker = NULL;
}

void feeds_fini(struct feeds *feeds)
{
	pthread_cond_destroy(&feeds->none);
	pthread_mutex_destroy(&feeds->lock);
}

void feeds_enter(struct feeds *feeds)
{
	SCOPED_LOCK(&feeds->lock);
	feeds->alive++;
}

void feeds_leave(struct feeds *feeds)
{
	SCOPED_LOCK(&feeds->lock);
	if (--feeds->alive == 0)
		pthread_cond_signal(&feeds->none);
}

void feeds_wake(struct feeds *feeds, const struct sfs_waiter *waiter, struct feed_job *job)
{
	if (waiter->turn < FEEDS_DIRECT_MAX)
		job->run(job);
	else
		worker_submit(feeds->waker, &job->work);
}
