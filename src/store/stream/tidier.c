/* SPDX-License-Identifier: MIT */
#include "tidier.h"

#include "merge.h"

#include "cleanup.h"
#include "clock.h"
#include "lock.h"
#include "shard.h"
#include "stream.h"
#include "streams.h"
#include "stream_sweep.h"
#include "retention.h"

enum job_kind { JOB_MERGE, JOB_SWEEP, JOB_SWEEP_TRIMMED, JOB_RETAIN };

struct job {
	STAILQ_ENTRY(job) link;
	enum job_kind kind;
	struct sfs_stream *stream; /* counted */
	struct sfs_shard *shard;   /* JOB_MERGE */
	uint64_t base_offset;
	uint64_t due_ns; /* not before */
};

enum {
	TICK_MS = 15 * 1000,	   /* between looks at retention */
	TICKS_OF_A_SWEEP = 4 * 60, /* an hour's */
	PAUSE_FACTOR = 8,	   /* a pause after a sweep of this many times its duration */
	NS_PER_MS = 1000 * 1000,
};

struct tidier {
	struct sfs_store *store;
	pthread_mutex_t lock; /* guards all below and the streams' sweeps; a leaf */
	pthread_cond_t changed;
	bool stop, busy;
	STAILQ_HEAD(job_queue, job) queue, later;
	pthread_t thread;
	bool has_thread;
	unsigned ticks; /* the thread's own */
};

/* The sweep reads all of the stream's meta. Pauses keep a series of trims from occupying the
 * tidier. */
static void sweep_trimmed(struct tidier *t, struct sfs_stream *stream)
{
	uint64_t begin_ns = clock_monotonic_ns();
	(void)stream_sweep(stream, 0);
	uint64_t end_ns = clock_monotonic_ns();
	SCOPED_LOCK(&t->lock);
	stream->sweep_after_ns = end_ns + PAUSE_FACTOR * (end_ns - begin_ns);
}

static void run_job(struct tidier *t, struct job *job)
{
	if (job->kind == JOB_MERGE)
		(void)merge_segment(job->shard, job->base_offset);
	else if (job->kind == JOB_SWEEP)
		(void)stream_sweep(job->stream, t->store->orphan_grace_ms);
	else if (job->kind == JOB_RETAIN)
		(void)retention_apply(job->stream);
	else
		sweep_trimmed(t, job->stream);
}

static void job_free(struct job *job)
{
	sfs_stream_unref(job->stream);
	free(job);
}

static int sweep_later(void *context, struct sfs_stream *stream)
{
	(void)context;
	tidier_sweep(stream);
	return 0;
}

static int retain_later(void *context, struct sfs_stream *stream)
{
	(void)context;
	pthread_rwlock_rdlock(&stream->home.lock);
	bool limited =
		stream->home.settings.retention_hours || stream->home.settings.retention_bytes;
	pthread_rwlock_unlock(&stream->home.lock);
	if (limited && !stream->store->env.read_only)
		tidier_retain(stream);
	return 0;
}

static int add_name(void *context, const char *name, uint64_t id)
{
	(void)id;
	return buf_append(context, name, strlen(name) + 1);
}

/* Streams that nobody has used since the store was opened keep to their retention, too. */
static void touch_all(struct sfs_store *store)
{
	_cleanup_(buf_fini) struct buf names = {0};
	if (sfs_store_list(store, add_name, &names) < 0)
		return;
	const char *end = (const char *)names.data + names.size;
	for (const char *name = (const char *)names.data; name < end; name += strlen(name) + 1) {
		struct sfs_stream *stream;
		if (sfs_stream_lookup(store, name, &stream) == 0)
			sfs_stream_unref(stream);
	}
}

static void tick(struct tidier *t)
{
	bool sweeps = t->ticks++ % TICKS_OF_A_SWEEP == TICKS_OF_A_SWEEP - 1;
	if (sweeps)
		touch_all(t->store);
	(void)streams_each(t->store, retain_later, NULL);
	if (sweeps)
		(void)streams_each(t->store, sweep_later, NULL);
}

/* Queues the jobs that are due. Returns when the next one is, or `until_ns`. */
static uint64_t take_due_locked(struct tidier *t, uint64_t now_ns, uint64_t until_ns)
{
	struct job_queue still = STAILQ_HEAD_INITIALIZER(still);
	ASSERT_LOCKED(&t->lock);
	while (!STAILQ_EMPTY(&t->later)) {
		struct job *job = STAILQ_FIRST(&t->later);
		STAILQ_REMOVE_HEAD(&t->later, link);
		if (job->due_ns <= now_ns) {
			STAILQ_INSERT_TAIL(&t->queue, job, link);
			continue;
		}
		STAILQ_INSERT_TAIL(&still, job, link);
		if (job->due_ns < until_ns)
			until_ns = job->due_ns;
	}
	STAILQ_CONCAT(&t->later, &still);
	return until_ns;
}

/* Waits for a job, and runs the ticks meanwhile. False: the tidier is to stop. */
static bool wait_locked(struct tidier *t, uint64_t *tick_at_ns)
{
	while (!t->stop) {
		uint64_t now_ns = clock_monotonic_ns();
		uint64_t wake_ns = take_due_locked(t, now_ns, *tick_at_ns);
		if (now_ns >= *tick_at_ns) {
			*tick_at_ns = now_ns + (uint64_t)TICK_MS * NS_PER_MS;
			pthread_mutex_unlock(&t->lock);
			tick(t);
			pthread_mutex_lock(&t->lock);
			continue;
		}
		if (!STAILQ_EMPTY(&t->queue))
			return true;
		struct timespec until = clock_deadline((wake_ns - now_ns) / NS_PER_MS + 1);
		pthread_cond_timedwait(&t->changed, &t->lock, &until);
	}
	return false;
}

static void *tidier_thread(void *context)
{
	struct tidier *t = context;
	uint64_t tick_at_ns = clock_monotonic_ns() + (uint64_t)TICK_MS * NS_PER_MS;
	pthread_mutex_lock(&t->lock);
	while (wait_locked(t, &tick_at_ns)) {
		struct job *job = STAILQ_FIRST(&t->queue);
		STAILQ_REMOVE_HEAD(&t->queue, link);
		job->stream->queued_jobs &= ~(1u << job->kind);
		t->busy = true;
		pthread_mutex_unlock(&t->lock);
		run_job(t, job);
		job_free(job);
		pthread_mutex_lock(&t->lock);
		t->busy = false;
		pthread_cond_broadcast(&t->changed);
	}
	pthread_mutex_unlock(&t->lock);
	return NULL;
}

int tidier_new(struct sfs_store *store, struct tidier **ret_tidier)
{
	struct tidier *t = calloc(1, sizeof *t);
	if (!t)
		return -ENOMEM;
	t->store = store;
	STAILQ_INIT(&t->queue);
	STAILQ_INIT(&t->later);
	pthread_mutex_init(&t->lock, NULL);
	pthread_condattr_t monotonic;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&t->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	int r = -pthread_create(&t->thread, NULL, tidier_thread, t);
	t->has_thread = r == 0;
	if (r < 0) {
		tidier_free(t);
		return r;
	}
	*ret_tidier = t;
	return 0;
}

void tidier_free(struct tidier *tidier)
{
	if (!tidier)
		return;
	atomic_store(&tidier->store->env.closing, true);
	pthread_mutex_lock(&tidier->lock);
	tidier->stop = true;
	pthread_cond_broadcast(&tidier->changed);
	pthread_mutex_unlock(&tidier->lock);
	if (tidier->has_thread)
		pthread_join(tidier->thread, NULL);
	STAILQ_CONCAT(&tidier->queue, &tidier->later);
	while (!STAILQ_EMPTY(&tidier->queue)) {
		struct job *job = STAILQ_FIRST(&tidier->queue);
		STAILQ_REMOVE_HEAD(&tidier->queue, link);
		job_free(job);
	}
	pthread_cond_destroy(&tidier->changed);
	pthread_mutex_destroy(&tidier->lock);
	free(tidier);
}

static struct job *job_new(struct sfs_stream *stream, enum job_kind kind)
{
	struct job *job = calloc(1, sizeof *job);
	if (!job)
		return NULL; /* tidied when the store is opened next */
	job->kind = kind;
	job->stream = sfs_stream_ref(stream);
	return job;
}

void tidier_sealed(struct sfs_shard *shard, uint64_t base_offset)
{
	struct tidier *t = shard->stream->store->tidier;
	struct job *job = job_new(shard->stream, JOB_MERGE);
	if (!job)
		return;
	job->shard = shard;
	job->base_offset = base_offset;
	SCOPED_LOCK(&t->lock);
	STAILQ_INSERT_TAIL(&t->queue, job, link);
	pthread_cond_broadcast(&t->changed);
}

/* One job of a kind in the queue is enough for a stream: it has not looked at anything yet. */
static bool enqueue_if_new(struct tidier *t, struct job *job)
{
	struct sfs_stream *stream = job->stream;
	SCOPED_LOCK(&t->lock);
	if (stream->queued_jobs & 1u << job->kind)
		return false;
	stream->queued_jobs |= 1u << job->kind;
	job->due_ns = job->kind == JOB_SWEEP_TRIMMED ? stream->sweep_after_ns : 0;
	STAILQ_INSERT_TAIL(&t->later, job, link);
	pthread_cond_broadcast(&t->changed);
	return true;
}

static void enqueue_once(struct sfs_stream *stream, enum job_kind kind)
{
	struct job *job = job_new(stream, kind);
	if (job && !enqueue_if_new(stream->store->tidier, job))
		job_free(job);
}

void tidier_sweep(struct sfs_stream *stream)
{
	enqueue_once(stream, JOB_SWEEP);
}

void tidier_sweep_trimmed(struct sfs_stream *stream)
{
	enqueue_once(stream, JOB_SWEEP_TRIMMED);
}

void tidier_retain(struct sfs_stream *stream)
{
	enqueue_once(stream, JOB_RETAIN);
}

void tidier_drain(struct tidier *tidier)
{
	SCOPED_LOCK(&tidier->lock);
	while (tidier->busy || !STAILQ_EMPTY(&tidier->queue) || !STAILQ_EMPTY(&tidier->later))
		pthread_cond_wait(&tidier->changed, &tidier->lock);
}
