/* SPDX-License-Identifier: MIT */
#include "notifier.h"

#include <errno.h>
#include <fuse_lowlevel.h>
#include <stdlib.h>
#include <time.h>

#include "cached_shard.h"
#include "cleanup.h"
#include "clock.h"
#include "streamfs/shard.h"

enum { PAGE_BYTES = 4096 };

struct notifier {
	struct fuse_session *session;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	STAILQ_HEAD(, notifier_job) queue; /* lock */
	bool stopping;			   /* lock */
};

/*
 * Until when the queue is looked at again, while a page's readers are waited for: mostly they go on
 * at once, and one that computes is seen to do so by the clock's ticks.
 */
static const struct timespec retry_after = {.tv_nsec = 50000};
static const struct timespec retry_later = {.tv_nsec = 500000};
enum { QUICK_TRIES = 20 };

/*
 * Both calls fail where the kernel has no such inode (yet, or any more) and so nothing cached; it
 * will take the size from the reply.
 */
static void invalidate(struct notifier *notifier, const struct notifier_job *job, uint64_t known)
{
	fuse_lowlevel_notify_inval_inode(
		notifier->session, job->cached->nodeid, (off_t)(known - known % PAGE_BYTES), 0);
}

static void raise_size(struct notifier *notifier, const struct notifier_job *job, uint64_t size)
{
	char newline = '\n';
	struct fuse_bufvec last = FUSE_BUFVEC_INIT(1);
	last.buf[0].mem = &newline;
	fuse_lowlevel_notify_store(
		notifier->session, job->cached->nodeid, (off_t)(size - 1), &last, 0);
	atomic_store(&job->cached->known_bytes, size);
}

/*
 * Drops the page in which the told size ends, once for each such size: what another job stored
 * since may have left a page with zeros again. False: its readers are still to be waited for.
 */
static bool drop_last_page(struct notifier *notifier, struct notifier_job *job, uint64_t known)
{
	struct cached_shard *cached = job->cached;
	if (known % PAGE_BYTES == 0)
		return true;
	if (job->invalidated_bytes != known) {
		job->size_bytes = sfs_shard_size(cached->shard);
		invalidate(notifier, job, known);
		job->invalidated_bytes = known;
		job->invalidated_ns = clock_monotonic_ns();
	}
	return followers_gone(&cached->followers, job->invalidated_ns);
}

/* With the page in which the text that is left begins. */
static void forget_trimmed(struct notifier *notifier, const struct notifier_job *job)
{
	fuse_lowlevel_notify_inval_inode(
		notifier->session, job->cached->nodeid, 0, (off_t)job->trimmed_bytes);
}

/* False: to be tried again. */
static bool serve(struct notifier *notifier, struct notifier_job *job)
{
	if (job->trimmed_bytes)
		forget_trimmed(notifier, job);
	if (job->trimmed_bytes || !job->cached) {
		job->done(job, 0, 0);
		return true;
	}
	uint64_t known = atomic_load(&job->cached->known_bytes);
	if (job->size_bytes > known) {
		if (!drop_last_page(notifier, job, known))
			return false;
		raise_size(notifier, job, job->size_bytes);
	}
	job->done(job, 0, atomic_load(&job->cached->known_bytes));
	return true;
}

static struct notifier_job *next_job(struct notifier *notifier)
{
	SCOPED_LOCK(&notifier->lock);
	while (STAILQ_EMPTY(&notifier->queue) && !notifier->stopping)
		pthread_cond_wait(&notifier->changed, &notifier->lock);
	struct notifier_job *job = STAILQ_FIRST(&notifier->queue);
	if (job)
		STAILQ_REMOVE_HEAD(&notifier->queue, queue);
	return job;
}

static bool is_stopping(struct notifier *notifier)
{
	SCOPED_LOCK(&notifier->lock);
	return notifier->stopping;
}

static void *run(void *context)
{
	struct notifier *notifier = context;
	struct notifier_job *job;
	while ((job = next_job(notifier))) {
		if (is_stopping(notifier)) {
			job->done(job, -ECONNABORTED, 0);
		} else if (!serve(notifier, job)) {
			const struct timespec *after =
				job->tries++ < QUICK_TRIES ? &retry_after : &retry_later;
			notifier_submit(notifier, job);
			nanosleep(after, NULL);
		}
	}
	return NULL;
}

int notifier_start(struct fuse_session *session, struct notifier **ret_notifier)
{
	struct notifier *notifier = calloc(1, sizeof(*notifier));
	if (!notifier)
		return -ENOMEM;
	notifier->session = session;
	pthread_mutex_init(&notifier->lock, NULL);
	pthread_cond_init(&notifier->changed, NULL);
	STAILQ_INIT(&notifier->queue);
	int r = pthread_create(&notifier->thread, NULL, run, notifier);
	if (r) {
		free(notifier);
		return -r;
	}
	*ret_notifier = notifier;
	return 0;
}

void notifier_stop(struct notifier *notifier)
{
	pthread_mutex_lock(&notifier->lock);
	notifier->stopping = true;
	pthread_cond_signal(&notifier->changed);
	pthread_mutex_unlock(&notifier->lock);
	pthread_join(notifier->thread, NULL);
}

void notifier_free(struct notifier *notifier)
{
	if (!notifier)
		return;
	pthread_cond_destroy(&notifier->changed);
	pthread_mutex_destroy(&notifier->lock);
	free(notifier);
}

/* Once it is stopping, its thread may have ended. */
static bool queue_job(struct notifier *notifier, struct notifier_job *job)
{
	SCOPED_LOCK(&notifier->lock);
	if (notifier->stopping)
		return false;
	STAILQ_INSERT_TAIL(&notifier->queue, job, queue);
	pthread_cond_signal(&notifier->changed);
	return true;
}

void notifier_submit(struct notifier *notifier, struct notifier_job *job)
{
	if (!queue_job(notifier, job))
		job->done(job, -ECONNABORTED, 0);
}
