/* SPDX-License-Identifier: MIT */
#include "feed_read.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "container.h"
#include "feed.h"
#include "feeds.h"
#include "lock.h"
#include "reply.h"
#include "streamfs/view.h"
#include "trace.h"

/* A read that waits, or is about to. */
struct parked_read {
	LIST_ENTRY(parked_read) parked; /* feeds.lock */
	struct sfs_waiter waiter;
	struct feed_job job;
	struct feeds *feeds;
	struct feed *feed; /* lives until the request is answered */
	size_t bytes;
	bool nonblocking;
	atomic_uint refs; /* each thread that works on it, and the store while it waits */

	pthread_mutex_t lock;
	fuse_req_t req; /* written under both locks; NULL once it is answered */
	int refusal;	/* lock; not 0: what it is answered with instead of waiting */
};

/* Sent once no lock is held any more. */
struct answer {
	fuse_req_t req; /* NULL: not yet */
	int result;
	char *buffer;
	size_t bytes;
};

static void put(struct parked_read *read)
{
	if (atomic_fetch_sub(&read->refs, 1) != 1)
		return;
	struct feeds *feeds = read->feeds;
	pthread_mutex_destroy(&read->lock);
	free(read);
	feeds_leave(feeds);
}

static void send_answer(const struct answer *answer)
{
	if (!answer->req)
		return;
	TRACE(live, "thread %d gets %zu bytes: %s", (int)fuse_req_ctx(answer->req)->pid,
		answer->bytes, strerror(-answer->result));
	if (answer->result < 0)
		reply_result(answer->req, answer->result);
	else
		fuse_reply_buf(answer->req, answer->buffer, answer->bytes);
}

static struct answer answer_locked(struct parked_read *read, int result, char *buffer, size_t bytes)
{
	struct answer answer = {read->req, result, buffer, bytes};
	struct feeds *feeds = read->feeds;
	ASSERT_LOCKED(&read->lock);
	SCOPED_LOCK(&feeds->lock);
	read->req = NULL;
	LIST_REMOVE(read, parked);
	return answer;
}

/* Reads or, if there is nothing, begins to wait: -EAGAIN then. */
static int read_or_wait(struct parked_read *read, char *buffer, size_t *ret_bytes)
{
	struct feed *feed = read->feed;
	SCOPED_LOCK(&feed->lock);
	for (;;) {
		int r = feed_take_locked(feed, buffer, read->bytes, ret_bytes);
		if (r < 0 || *ret_bytes > 0 || !feed->live)
			return r;
		if (read->nonblocking)
			return -EWOULDBLOCK;
		atomic_fetch_add(&read->refs, 1);
		if (!sfs_view_wait(feed->view, &read->waiter)) {
			TRACE(live, "read %p waits", (void *)read);
			return -EAGAIN;
		}
		atomic_fetch_sub(&read->refs, 1);
	}
}

static struct answer try_locked(struct parked_read *read, char *buffer)
{
	size_t bytes = 0;
	ASSERT_LOCKED(&read->lock);
	if (!read->req)
		return (struct answer){0};
	if (read->refusal)
		return answer_locked(read, read->refusal, NULL, 0);
	int r = buffer ? read_or_wait(read, buffer, &bytes) : -ENOMEM;
	if (r == -EAGAIN && !read->nonblocking)
		return (struct answer){0};
	return answer_locked(read, r, buffer, bytes);
}

static void go_on(struct parked_read *read)
{
	_cleanup_free_ char *buffer = malloc(read->bytes);
	pthread_mutex_lock(&read->lock);
	struct answer answer = try_locked(read, buffer);
	pthread_mutex_unlock(&read->lock);
	send_answer(&answer);
}

static void woken(struct feed_job *job)
{
	struct parked_read *read = CONTAINER_OF(job, struct parked_read, job);
	TRACE(live, "read %p is woken", (void *)read);
	go_on(read);
	put(read);
}

static void on_wake(struct sfs_waiter *waiter)
{
	struct parked_read *read = CONTAINER_OF(waiter, struct parked_read, waiter);
	feeds_wake(read->feeds, waiter, &read->job);
}

/* The parked read of this request (NULL: any), with a reference for the caller. */
static struct parked_read *find(struct feeds *feeds, fuse_req_t req)
{
	struct parked_read *read;
	SCOPED_LOCK(&feeds->lock);
	LIST_FOREACH(read, &feeds->parked, parked)
	{
		if (!req || read->req == req) {
			atomic_fetch_add(&read->refs, 1);
			return read;
		}
	}
	return NULL;
}

/* Ends its waiting. A read that is just being woken sees the refusal. */
static void refuse(struct parked_read *read, int error)
{
	struct answer answer = {0};
	bool cancelled = false;
	pthread_mutex_lock(&read->lock);
	if (read->req) {
		read->refusal = error;
		cancelled = sfs_view_cancel(&read->waiter);
		if (cancelled)
			answer = answer_locked(read, error, NULL, 0);
	}
	pthread_mutex_unlock(&read->lock);
	send_answer(&answer);
	if (cancelled)
		put(read);
}

static void on_interrupt(fuse_req_t req, void *context)
{
	struct parked_read *read = find(context, req);
	if (!read)
		return;
	refuse(read, -EINTR);
	put(read);
}

static bool add(struct feeds *feeds, struct parked_read *read)
{
	SCOPED_LOCK(&feeds->lock);
	if (!feeds->ending)
		LIST_INSERT_HEAD(&feeds->parked, read, parked);
	return !feeds->ending;
}

void feed_read(
	fuse_req_t req, struct feeds *feeds, struct feed *feed, size_t bytes, bool nonblocking)
{
	struct parked_read *read = calloc(1, sizeof(*read));
	if (!read) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	read->waiter.wake = on_wake;
	read->job.run = woken;
	read->feeds = feeds;
	read->feed = feed;
	read->bytes = bytes;
	read->nonblocking = nonblocking;
	read->req = req;
	atomic_init(&read->refs, 1);
	pthread_mutex_init(&read->lock, NULL);
	feeds_enter(feeds);
	if (!add(feeds, read)) {
		fuse_reply_err(req, ENODEV);
		put(read);
		return;
	}
	/* Before it waits: if an interrupt has come already, libfuse calls back here and now. */
	if (!nonblocking)
		fuse_req_interrupt_func(req, on_interrupt, feeds);
	go_on(read);
	put(read);
}

void feed_read_end_all(struct feeds *feeds)
{
	struct parked_read *read;
	pthread_mutex_lock(&feeds->lock);
	feeds->ending = true;
	pthread_mutex_unlock(&feeds->lock);
	while ((read = find(feeds, NULL))) {
		refuse(read, -ENODEV);
		put(read);
		sched_yield(); /* to the thread that is just waking it */
	}
}
