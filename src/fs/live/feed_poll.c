/* SPDX-License-Identifier: MIT */
#include "feed_poll.h"

#include <errno.h>
#include <fuse_lowlevel.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "cleanup.h"
#include "container.h"
#include "feed.h"
#include "feeds.h"
#include "lock.h"
#include "streamfs/view.h"

/* A poll that waits. It outlives its handle if it is just being woken then. */
struct feed_poll {
	struct sfs_waiter waiter;
	struct feed_job job;
	struct feeds *feeds;
	atomic_uint refs; /* the handle's, and the store's while it waits */
	pthread_mutex_t lock;
	bool waiting;			    /* lock */
	struct fuse_pollhandle *pollhandle; /* lock */
};

static void poll_put(struct feed_poll *poll)
{
	if (atomic_fetch_sub(&poll->refs, 1) != 1)
		return;
	struct feeds *feeds = poll->feeds;
	if (poll->pollhandle)
		fuse_pollhandle_destroy(poll->pollhandle);
	pthread_mutex_destroy(&poll->lock);
	free(poll);
	feeds_leave(feeds);
}

static void poll_woken(struct feed_job *job)
{
	struct feed_poll *poll = CONTAINER_OF(job, struct feed_poll, job);
	pthread_mutex_lock(&poll->lock);
	struct fuse_pollhandle *pollhandle = poll->pollhandle;
	poll->pollhandle = NULL;
	poll->waiting = false;
	pthread_mutex_unlock(&poll->lock);
	if (pollhandle) {
		fuse_lowlevel_notify_poll(pollhandle);
		fuse_pollhandle_destroy(pollhandle);
	}
	poll_put(poll);
}

static void on_poll_wake(struct sfs_waiter *waiter)
{
	struct feed_poll *poll = CONTAINER_OF(waiter, struct feed_poll, waiter);
	feeds_wake(poll->feeds, waiter, &poll->job);
}

static struct feed_poll *poll_of_locked(struct feeds *feeds, struct feed *feed)
{
	ASSERT_LOCKED(&feed->lock);
	if (feed->poll)
		return feed->poll;
	struct feed_poll *poll = calloc(1, sizeof(*poll));
	if (!poll)
		return NULL;
	poll->waiter.wake = on_poll_wake;
	poll->job.run = poll_woken;
	poll->feeds = feeds;
	feeds_enter(feeds);
	atomic_init(&poll->refs, 1);
	pthread_mutex_init(&poll->lock, NULL);
	feed->poll = poll;
	return poll;
}

/* The last handle serves all polls: once it is notified, the kernel asks again for each of them. */
static void set_pollhandle(struct feed_poll *poll, struct fuse_pollhandle *pollhandle)
{
	SCOPED_LOCK(&poll->lock);
	if (poll->pollhandle)
		fuse_pollhandle_destroy(poll->pollhandle);
	poll->pollhandle = pollhandle;
}

/* False: it waits already. */
static bool begin_waiting(struct feed_poll *poll)
{
	SCOPED_LOCK(&poll->lock);
	bool begins = !poll->waiting;
	poll->waiting = true;
	return begins;
}

static void stop_waiting(struct feed_poll *poll)
{
	SCOPED_LOCK(&poll->lock);
	poll->waiting = false;
}

/* True: something came meanwhile. */
static bool poll_wait_locked(struct feed *feed, struct feed_poll *poll)
{
	ASSERT_LOCKED(&feed->lock);
	if (!begin_waiting(poll))
		return false;
	atomic_fetch_add(&poll->refs, 1);
	if (!sfs_view_wait(feed->view, &poll->waiter))
		return false;
	stop_waiting(poll);
	atomic_fetch_sub(&poll->refs, 1);
	return true;
}

static unsigned look_or_wait_locked(struct feed *feed, struct feed_poll *poll)
{
	ASSERT_LOCKED(&feed->lock);
	do {
		if (feed_look_ahead_locked(feed))
			return POLLIN | POLLRDNORM;
	} while (poll && poll_wait_locked(feed, poll));
	return 0;
}

int feed_poll(struct feeds *feeds, struct feed *feed, struct fuse_pollhandle *pollhandle,
	unsigned *ret_events)
{
	SCOPED_LOCK(&feed->lock);
	struct feed_poll *poll = pollhandle ? poll_of_locked(feeds, feed) : NULL;
	if (pollhandle && !poll) {
		fuse_pollhandle_destroy(pollhandle);
		return -ENOMEM;
	}
	if (pollhandle)
		set_pollhandle(poll, pollhandle);
	*ret_events = look_or_wait_locked(feed, poll);
	return 0;
}

void feed_poll_close(struct feed *feed)
{
	struct feed_poll *poll = feed->poll;
	if (!poll)
		return;
	if (sfs_view_cancel(&poll->waiter))
		poll_put(poll);
	poll_put(poll);
	feed->poll = NULL;
}
