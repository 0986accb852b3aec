/* SPDX-License-Identifier: MIT */
#include "notifier.h"

#include <assert.h>
#include <errno.h>
#include <fuse_lowlevel.h>
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "cached_shard.h"
#include "clock.h"
#include "container.h"
#include "streamfs/shard.h"
#include "trace.h"

enum { PAGE_BYTES = 4096 };

struct notifier {
	struct fuse_session *session;
	struct worker *worker;
};

/*
 * Pauses before a job that waits for readers is tried again. Most readers go on at once. Of one
 * that computes, /proc shows at the next tick of the clock that it has run.
 */
static const struct timespec retry_after = {.tv_nsec = 50000};
static const struct timespec retry_later = {.tv_nsec = 500000};
enum { QUICK_TRIES = 20 };

/*
 * This call and the next fail where the kernel has no such inode, yet or any more. Then it has
 * nothing cached, and takes the size from the reply.
 */
static void invalidate(struct notifier *notifier, const struct notifier_job *job, uint64_t known)
{
	TRACE(notify, "node %#" PRIx64 ": drops the page of the end at %" PRIu64,
		job->cached->nodeid, known);
	fuse_lowlevel_notify_inval_inode(
		notifier->session, job->cached->nodeid, (off_t)(known - known % PAGE_BYTES), 0);
}

static void raise_size(struct notifier *notifier, const struct notifier_job *job, uint64_t size)
{
	char newline = '\n';
	struct fuse_bufvec last = FUSE_BUFVEC_INIT(1);
	last.buf[0].mem = &newline;
	assert(size > atomic_load(&job->cached->known_bytes));
	TRACE(notify, "node %#" PRIx64 ": size %" PRIu64 " after %u tries", job->cached->nodeid,
		size, job->tries);
	fuse_lowlevel_notify_store(
		notifier->session, job->cached->nodeid, (off_t)(size - 1), &last, 0);
	atomic_store(&job->cached->known_bytes, size);
}

/*
 * Drops the page in which the known size ends, once for each known size: another job that raised it
 * has left a page with zeros again. False: some readers have not gone on yet.
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

/* The page in which the text that is left begins goes too. */
static void forget_trimmed(struct notifier *notifier, const struct notifier_job *job)
{
	TRACE(notify, "node %#" PRIx64 ": drops what was trimmed before %" PRIu64,
		job->cached->nodeid, job->trimmed_bytes);
	fuse_lowlevel_notify_inval_inode(
		notifier->session, job->cached->nodeid, 0, (off_t)job->trimmed_bytes);
}

/* False: try again later. */
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

static void give_up(struct notifier_job *job)
{
	job->done(job, -ECONNABORTED, 0);
}

static void drop_job(void *context, struct work *work)
{
	(void)context;
	give_up(CONTAINER_OF(work, struct notifier_job, work));
}

static void run_job(void *context, struct work *work)
{
	struct notifier *notifier = context;
	struct notifier_job *job = CONTAINER_OF(work, struct notifier_job, work);
	if (serve(notifier, job))
		return;
	const struct timespec *after = job->tries++ < QUICK_TRIES ? &retry_after : &retry_later;
	notifier_submit(notifier, job);
	nanosleep(after, NULL);
}

int notifier_start(struct fuse_session *session, struct notifier **ret_notifier)
{
	struct notifier *notifier = calloc(1, sizeof(*notifier));
	if (!notifier)
		return -ENOMEM;
	notifier->session = session;
	const struct worker_options options = {
		.name = "notifier", .run = run_job, .drop = drop_job, .context = notifier};
	int r = worker_start(&options, &notifier->worker);
	if (r < 0) {
		free(notifier);
		return r;
	}
	*ret_notifier = notifier;
	return 0;
}

void notifier_stop(struct notifier *notifier)
{
	worker_stop(notifier->worker);
}

void notifier_free(struct notifier *notifier)
{
	if (!notifier)
		return;
	worker_free(notifier->worker);
	free(notifier);
}

void notifier_submit(struct notifier *notifier, struct notifier_job *job)
{
	if (!worker_submit(notifier->worker, &job->work))
		give_up(job);
}
