/* SPDX-License-Identifier: MIT */
#include "tidier.h"

#include "cleanup.h"
#include "clock.h"
#include "shard.h"
#include "stream.h"

struct job {
	STAILQ_ENTRY(job) link;
	struct sfs_stream *stream; /* counted */
	struct sfs_shard *shard;   /* NULL: sweep the stream's orphans */
	uint64_t base_offset;
};

enum { SWEEP_EVERY_MS = 3600 * 1000 };

struct tidier {
	struct sfs_store *store;
	pthread_mutex_t lock; /* guards all below; a leaf */
	pthread_cond_t changed;
	bool stop, busy;
	STAILQ_HEAD(, job) queue;
	pthread_t thread;
	bool has_thread;
};

static void run_job(struct job *job)
{
	if (job->shard)
		(void)merge_segment(job->shard, job->base_offset);
	else
		(void)stream_sweep_orphans(job->stream);
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

/* Waits for work; every so often, that is a sweep of all streams. False: it is time to stop. */
static bool wait_locked(struct tidier *t, struct timespec *sweep_at)
{
	while (!t->stop && STAILQ_EMPTY(&t->queue)) {
		if (!pthread_cond_timedwait(&t->changed, &t->lock, sweep_at))
			continue;
		*sweep_at = clock_deadline(SWEEP_EVERY_MS);
		pthread_mutex_unlock(&t->lock);
		(void)streams_each(t->store, sweep_later, NULL);
		pthread_mutex_lock(&t->lock);
	}
	return !t->stop;
}

static void *tidier_thread(void *context)
{
	struct tidier *t = context;
	struct timespec sweep_at = clock_deadline(SWEEP_EVERY_MS);
	pthread_mutex_lock(&t->lock);
	while (wait_locked(t, &sweep_at)) {
		struct job *job = STAILQ_FIRST(&t->queue);
		STAILQ_REMOVE_HEAD(&t->queue, link);
		t->busy = true;
		pthread_mutex_unlock(&t->lock);
		run_job(job);
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
	atomic_store(&tidier->store->closing, true);
	pthread_mutex_lock(&tidier->lock);
	tidier->stop = true;
	pthread_cond_broadcast(&tidier->changed);
	pthread_mutex_unlock(&tidier->lock);
	if (tidier->has_thread)
		pthread_join(tidier->thread, NULL);
	while (!STAILQ_EMPTY(&tidier->queue)) {
		struct job *job = STAILQ_FIRST(&tidier->queue);
		STAILQ_REMOVE_HEAD(&tidier->queue, link);
		job_free(job);
	}
	pthread_cond_destroy(&tidier->changed);
	pthread_mutex_destroy(&tidier->lock);
	free(tidier);
}

static void enqueue(struct sfs_stream *stream, struct sfs_shard *shard, uint64_t base_offset)
{
	struct tidier *t = stream->store->tidier;
	struct job *job = malloc(sizeof *job);
	if (!job)
		return; /* tidied when the store is opened next */
	*job = (struct job){.shard = shard, .base_offset = base_offset};
	job->stream = sfs_stream_ref(stream);
	SCOPED_LOCK(&t->lock);
	STAILQ_INSERT_TAIL(&t->queue, job, link);
	pthread_cond_broadcast(&t->changed);
}

void tidier_sealed(struct sfs_shard *shard, uint64_t base_offset)
{
	enqueue(shard->stream, shard, base_offset);
}

void tidier_sweep(struct sfs_stream *stream)
{
	enqueue(stream, NULL, 0);
}

void tidier_drain(struct tidier *tidier)
{
	SCOPED_LOCK(&tidier->lock);
	while (tidier->busy || !STAILQ_EMPTY(&tidier->queue))
		pthread_cond_wait(&tidier->changed, &tidier->lock);
}
