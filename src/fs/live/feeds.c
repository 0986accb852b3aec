/* SPDX-License-Identifier: MIT */
#include "feeds.h"

#include "cleanup.h"
#include "streamfs/view.h"
#include "waker.h"

/* How many an append answers itself: to answer one wakes a program, which takes a while. */
enum { DIRECT_MAX = 8 };

void feeds_init(struct feeds *feeds)
{
	*feeds = (struct feeds){0};
	pthread_mutex_init(&feeds->lock, NULL);
	pthread_cond_init(&feeds->none, NULL);
	LIST_INIT(&feeds->parked);
}

int feeds_start(struct feeds *feeds)
{
	return waker_start(&feeds->waker);
}

void feeds_stop(struct feeds *feeds)
{
	pthread_mutex_lock(&feeds->lock);
	while (feeds->alive)
		pthread_cond_wait(&feeds->none, &feeds->lock);
	pthread_mutex_unlock(&feeds->lock);
	waker_stop(feeds->waker);
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

void feeds_wake(struct feeds *feeds, const struct sfs_waiter *waiter, struct waker_job *job)
{
	if (waiter->turn < DIRECT_MAX)
		job->run(job);
	else
		waker_submit(feeds->waker, job);
}
