/* SPDX-License-Identifier: MIT */
#include "live.h"

#include <poll.h>
#include <sched.h>
#include <string.h>

#include "cleanup.h"
#include "errors.h"
#include "ops_view.h"
#include "waker.h"

/* How many an append answers itself: to answer one wakes a program, which takes a while. */
enum { DIRECT_MAX = 8 };

struct live_read {
	LIST_ENTRY(live_read) all; /* reads.lock */
	struct sfs_waiter waiter;
	struct waker_job job;
	struct fs *fs;
	struct handle *handle; /* lives until the request is answered */
	size_t bytes;
	bool nonblocking;
	atomic_uint refs; /* who works on it, and the store while it waits */

	pthread_mutex_t lock;
	fuse_req_t req; /* written under both locks; NULL once it is answered */
	int refusal;	/* lock; not 0: what it is answered with instead of waiting */
};

/* What a request is answered with, once no lock is held any more. */
struct answer {
	fuse_req_t req; /* NULL: not yet */
	int result;
	char *buffer;
	size_t bytes;
};

void live_reads_init(struct live_reads *reads)
{
	*reads = (struct live_reads){0};
	pthread_mutex_init(&reads->lock, NULL);
	pthread_cond_init(&reads->none, NULL);
	LIST_INIT(&reads->all);
}

int live_reads_start(struct live_reads *reads)
{
	return waker_start(&reads->waker);
}

void live_reads_stop(struct live_reads *reads)
{
	pthread_mutex_lock(&reads->lock);
	while (reads->alive)
		pthread_cond_wait(&reads->none, &reads->lock);
	pthread_mutex_unlock(&reads->lock);
	waker_stop(reads->waker);
	reads->waker = NULL;
}

void live_reads_fini(struct live_reads *reads)
{
	pthread_cond_destroy(&reads->none);
	pthread_mutex_destroy(&reads->lock);
}

static void begin_life(struct live_reads *reads)
{
	SCOPED_LOCK(&reads->lock);
	reads->alive++;
}

static void end_life(struct live_reads *reads)
{
	SCOPED_LOCK(&reads->lock);
	if (--reads->alive == 0)
		pthread_cond_signal(&reads->none);
}

static void put(struct live_read *read)
{
	if (atomic_fetch_sub(&read->refs, 1) != 1)
		return;
	struct live_reads *reads = &read->fs->live;
	pthread_mutex_destroy(&read->lock);
	free(read);
	end_life(reads);
}

static void send_answer(const struct answer *answer)
{
	if (!answer->req)
		return;
	if (answer->result < 0)
		fuse_reply_err(answer->req, fs_errno(answer->result));
	else
		fuse_reply_buf(answer->req, answer->buffer, answer->bytes);
}

static struct answer answer_locked(struct live_read *read, int result, char *buffer, size_t bytes)
{
	struct answer answer = {read->req, result, buffer, bytes};
	struct live_reads *reads = &read->fs->live;
	SCOPED_LOCK(&reads->lock);
	read->req = NULL;
	LIST_REMOVE(read, all);
	return answer;
}

/* Reads or, if there is nothing, begins to wait: -EAGAIN then. */
static int read_or_wait(struct live_read *read, char *buffer, size_t *ret_bytes)
{
	struct handle *handle = read->handle;
	SCOPED_LOCK(&handle->lock);
	for (;;) {
		int r = view_take_locked(handle, buffer, read->bytes, ret_bytes);
		if (r < 0 || *ret_bytes > 0 || !handle->live)
			return r;
		if (read->nonblocking)
			return -EWOULDBLOCK;
		atomic_fetch_add(&read->refs, 1);
		if (!sfs_view_wait(handle->view, &read->waiter))
			return -EAGAIN;
		atomic_fetch_sub(&read->refs, 1);
	}
}

static struct answer try_locked(struct live_read *read, char *buffer)
{
	size_t bytes = 0;
	if (!read->req)
		return (struct answer){0};
	if (read->refusal)
		return answer_locked(read, read->refusal, NULL, 0);
	int r = buffer ? read_or_wait(read, buffer, &bytes) : -ENOMEM;
	if (r == -EAGAIN && !read->nonblocking)
		return (struct answer){0};
	return answer_locked(read, r, buffer, bytes);
}

static void go_on(struct live_read *read)
{
	_cleanup_free_ char *buffer = malloc(read->bytes);
	pthread_mutex_lock(&read->lock);
	struct answer answer = try_locked(read, buffer);
	pthread_mutex_unlock(&read->lock);
	send_answer(&answer);
}

static void woken(struct waker_job *job)
{
	struct live_read *read =
		(struct live_read *)((char *)job - offsetof(struct live_read, job));
	go_on(read);
	put(read);
}

static void wake(struct live_reads *reads, const struct sfs_waiter *waiter, struct waker_job *job)
{
	if (waiter->turn < DIRECT_MAX)
		job->run(job);
	else
		waker_submit(reads->waker, job);
}

static void on_wake(struct sfs_waiter *waiter)
{
	struct live_read *read =
		(struct live_read *)((char *)waiter - offsetof(struct live_read, waiter));
	wake(&read->fs->live, waiter, &read->job);
}

/* The parked read of this request (NULL: any), with a reference for the caller. */
static struct live_read *find(struct live_reads *reads, fuse_req_t req)
{
	struct live_read *read;
	SCOPED_LOCK(&reads->lock);
	LIST_FOREACH(read, &reads->all, all)
	{
		if (!req || read->req == req) {
			atomic_fetch_add(&read->refs, 1);
			return read;
		}
	}
	return NULL;
}

/* Ends its waiting; who is just being woken sees the refusal. */
static void refuse(struct live_read *read, int error)
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
	struct fs *fs = context;
	struct live_read *read = find(&fs->live, req);
	if (!read)
		return;
	refuse(read, -EINTR);
	put(read);
}

static bool add(struct live_reads *reads, struct live_read *read)
{
	SCOPED_LOCK(&reads->lock);
	if (!reads->ending)
		LIST_INSERT_HEAD(&reads->all, read, all);
	return !reads->ending;
}

void live_read(fuse_req_t req, struct handle *handle, size_t bytes, bool nonblocking)
{
	struct fs *fs = fs_of(req);
	struct live_read *read = calloc(1, sizeof(*read));
	if (!read) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	read->waiter.wake = on_wake;
	read->job.run = woken;
	read->fs = fs;
	read->handle = handle;
	read->bytes = bytes;
	read->nonblocking = nonblocking;
	read->req = req;
	atomic_init(&read->refs, 1);
	pthread_mutex_init(&read->lock, NULL);
	begin_life(&fs->live);
	if (!add(&fs->live, read)) {
		fuse_reply_err(req, ENODEV);
		put(read);
		return;
	}
	/* Before it waits: an interrupt that came already is told here and now. */
	if (!nonblocking)
		fuse_req_interrupt_func(req, on_interrupt, fs);
	go_on(read);
	put(read);
}

void live_reads_end(struct fs *fs)
{
	struct live_read *read;
	pthread_mutex_lock(&fs->live.lock);
	fs->live.ending = true;
	pthread_mutex_unlock(&fs->live.lock);
	while ((read = find(&fs->live, NULL))) {
		refuse(read, -ENODEV);
		put(read);
		sched_yield(); /* to who is just waking it */
	}
}

/* ---- poll ---- */

/* A poll that waits. It outlives its handle if it is just being woken then. */
struct live_poll {
	struct sfs_waiter waiter;
	struct waker_job job;
	struct live_reads *reads;
	atomic_uint refs; /* the handle's, and the store's while it waits */
	pthread_mutex_t lock;
	bool waiting;		      /* lock */
	struct fuse_pollhandle *whom; /* lock */
};

static void poll_put(struct live_poll *poll)
{
	if (atomic_fetch_sub(&poll->refs, 1) != 1)
		return;
	struct live_reads *reads = poll->reads;
	if (poll->whom)
		fuse_pollhandle_destroy(poll->whom);
	pthread_mutex_destroy(&poll->lock);
	free(poll);
	end_life(reads);
}

static void poll_woken(struct waker_job *job)
{
	struct live_poll *poll =
		(struct live_poll *)((char *)job - offsetof(struct live_poll, job));
	pthread_mutex_lock(&poll->lock);
	struct fuse_pollhandle *whom = poll->whom;
	poll->whom = NULL;
	poll->waiting = false;
	pthread_mutex_unlock(&poll->lock);
	if (whom) {
		fuse_lowlevel_notify_poll(whom);
		fuse_pollhandle_destroy(whom);
	}
	poll_put(poll);
}

static void on_poll_wake(struct sfs_waiter *waiter)
{
	struct live_poll *poll =
		(struct live_poll *)((char *)waiter - offsetof(struct live_poll, waiter));
	wake(poll->reads, waiter, &poll->job);
}

static struct live_poll *poll_of_locked(struct live_reads *reads, struct handle *handle)
{
	if (handle->poll)
		return handle->poll;
	struct live_poll *poll = calloc(1, sizeof(*poll));
	if (!poll)
		return NULL;
	poll->waiter.wake = on_poll_wake;
	poll->job.run = poll_woken;
	poll->reads = reads;
	begin_life(reads);
	atomic_init(&poll->refs, 1);
	pthread_mutex_init(&poll->lock, NULL);
	handle->poll = poll;
	return poll;
}

/* The last who asks is told, for all: the kernel then asks again for each who waits. */
static void tell_whom(struct live_poll *poll, struct fuse_pollhandle *whom)
{
	SCOPED_LOCK(&poll->lock);
	if (poll->whom)
		fuse_pollhandle_destroy(poll->whom);
	poll->whom = whom;
}

/* False: it waits already. */
static bool begin_waiting(struct live_poll *poll)
{
	SCOPED_LOCK(&poll->lock);
	bool begins = !poll->waiting;
	poll->waiting = true;
	return begins;
}

static void stop_waiting(struct live_poll *poll)
{
	SCOPED_LOCK(&poll->lock);
	poll->waiting = false;
}

/* True: something came meanwhile. */
static bool poll_wait_locked(struct handle *handle, struct live_poll *poll)
{
	if (!begin_waiting(poll))
		return false;
	atomic_fetch_add(&poll->refs, 1);
	if (!sfs_view_wait(handle->view, &poll->waiter))
		return false;
	stop_waiting(poll);
	atomic_fetch_sub(&poll->refs, 1);
	return true;
}

static unsigned look_or_wait_locked(struct handle *handle, struct live_poll *poll)
{
	do {
		if (view_look_ahead_locked(handle))
			return POLLIN | POLLRDNORM;
	} while (poll && poll_wait_locked(handle, poll));
	return 0;
}

int live_poll(
	struct fs *fs, struct handle *handle, struct fuse_pollhandle *whom, unsigned *ret_events)
{
	SCOPED_LOCK(&handle->lock);
	struct live_poll *poll = whom ? poll_of_locked(&fs->live, handle) : NULL;
	if (whom && !poll) {
		fuse_pollhandle_destroy(whom);
		return -ENOMEM;
	}
	if (whom)
		tell_whom(poll, whom);
	*ret_events = look_or_wait_locked(handle, poll);
	return 0;
}

void live_poll_close(struct handle *handle)
{
	struct live_poll *poll = handle->poll;
	if (!poll)
		return;
	if (sfs_view_cancel(&poll->waiter))
		poll_put(poll);
	poll_put(poll);
	handle->poll = NULL;
}
