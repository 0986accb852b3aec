/* SPDX-License-Identifier: MIT */
/*
 * The life of a sync, by `queued` and `running` of the shard:
 *
 *   syncer_request()           something waits
 *   syncer_request_horizon()   a trim
 *   syncer_hurry_locked()      sealed segments
 *   flush_due()                the flush interval
 *              |
 *              | queue_locked()
 *              v         sync_thread()            after_sync()
 *   IDLE --> QUEUED -----------------> RUNNING -----------------> IDLE
 *              ^                          | queue_locked()
 *              |      after_sync()        v
 *              +----------------------- AGAIN    queued and running, but in no queue
 *
 * A sync takes the waiters that are there when it begins. A waiter that comes later makes it AGAIN.
 * One sync takes these steps:
 *
 *   1. It syncs the sealed segments, the active one, then the directory.
 *   2. It writes the watermark.
 *   3. It publishes synced_offset.
 *   4. If a trim waits, it makes the horizon durable and publishes it.
 *   5. It calls back the waiters.
 *
 * When a shard grows, a flush is planned: flush_due() runs for it once in each flush interval. It
 * queues a sync as long as there is unsynced text. The next one makes the watermark itself durable
 * (it settles). Then the plan ends until the next append.
 */
#include "syncer.h"

#include "active_files.h"
#include "cleanup.h"
#include "clock.h"
#include "lock.h"

#include <fcntl.h>
#include <inttypes.h>

enum { SYNC_THREADS = 4 };

RB_HEAD(flush_tree, sfs_shard);

struct syncer {
	pthread_mutex_t lock; /* guards all below; a leaf, taken under shard.lock too */
	pthread_cond_t work;  /* something is queued, or it is time to stop */
	pthread_cond_t tick;  /* the flush tree has a new first, or it is time to stop */
	pthread_cond_t idle;  /* a sync ended */
	bool stop;
	struct sfs_shard *flushing; /* flush_due() runs for it */
	STAILQ_HEAD(, sfs_shard) queue;
	struct flush_tree flushes;
	pthread_t threads[SYNC_THREADS], flusher;
	unsigned thread_count;
	bool has_flusher;
};

static int compare_flush(const struct sfs_shard *a, const struct sfs_shard *b)
{
	if (a->sync.flush_at_ns != b->sync.flush_at_ns)
		return a->sync.flush_at_ns < b->sync.flush_at_ns ? -1 : 1;
	return (a > b) - (a < b);
}

RB_PROTOTYPE(flush_tree, sfs_shard, sync.flush_link, compare_flush)
RB_GENERATE(flush_tree, sfs_shard, sync.flush_link, compare_flush)

static void queue_locked(struct syncer *syncer, struct sfs_shard *shard)
{
	ASSERT_LOCKED(&syncer->lock);
	if (shard->sync.queued)
		return;
	shard->sync.queued = true;
	if (shard->sync.running)
		return; /* after_sync() queues it again */
	STAILQ_INSERT_TAIL(&syncer->queue, shard, sync.queue_link);
	pthread_cond_signal(&syncer->work);
}

static void plan_flush_locked(struct syncer *syncer, struct sfs_shard *shard, uint64_t at_ns)
{
	ASSERT_LOCKED(&syncer->lock);
	if (shard->sync.flush_at_ns)
		return;
	shard->sync.flush_at_ns = at_ns;
	RB_INSERT(flush_tree, &syncer->flushes, shard);
	if (RB_MIN(flush_tree, &syncer->flushes) == shard)
		pthread_cond_signal(&syncer->tick);
}

static void unplan_flush_locked(struct syncer *syncer, struct sfs_shard *shard)
{
	ASSERT_LOCKED(&syncer->lock);
	if (!shard->sync.flush_at_ns)
		return;
	RB_REMOVE(flush_tree, &syncer->flushes, shard);
	shard->sync.flush_at_ns = 0;
}

void syncer_dirty_locked(struct sfs_shard *shard, uint32_t flush_interval_ms)
{
	ASSERT_LOCKED(&shard->lock);
	struct syncer *syncer = shard->env->syncer;
	if (shard->sync.flush_planned)
		return;
	shard->sync.flush_planned = true;
	shard->sync.flush_interval_ns = (uint64_t)flush_interval_ms * 1000000;
	uint64_t at = clock_monotonic_ns() + shard->sync.flush_interval_ns;
	SCOPED_LOCK(&syncer->lock);
	plan_flush_locked(syncer, shard, at);
}

static void trace_queued_locked(struct sfs_shard *shard)
{
	ASSERT_LOCKED(&shard->lock);
	TRACE_SHARD(sync, shard, "sync queued: text to %" PRIu64 ", durable to %" PRIu64,
		shard->end.offset, shard->sync.synced_offset);
}

void syncer_hurry_locked(struct sfs_shard *shard)
{
	ASSERT_LOCKED(&shard->lock);
	struct syncer *syncer = shard->env->syncer;
	trace_queued_locked(shard);
	SCOPED_LOCK(&syncer->lock);
	queue_locked(syncer, shard);
}

void syncer_set_interval(struct sfs_shard *shard, uint32_t flush_interval_ms)
{
	struct syncer *syncer = shard->env->syncer;
	SCOPED_LOCK(&shard->lock);
	shard->sync.flush_interval_ns = (uint64_t)flush_interval_ms * 1000000;
	SCOPED_LOCK(&syncer->lock);
	if (!shard->sync.flush_at_ns)
		return;
	unplan_flush_locked(syncer, shard);
	plan_flush_locked(syncer, shard, clock_monotonic_ns() + shard->sync.flush_interval_ns);
}

int shard_add_unsynced_locked(struct sfs_shard *shard, struct segment *segment)
{
	ASSERT_LOCKED(&shard->lock);
	assert(shard->sync.unsynced_count < UNSYNCED_SEGMENTS);
	if (!shard->sync.unsynced)
		shard->sync.unsynced = calloc(UNSYNCED_SEGMENTS, sizeof *shard->sync.unsynced);
	if (!shard->sync.unsynced)
		return -ENOMEM;
	shard->sync.unsynced[shard->sync.unsynced_count++] = segment_ref(segment);
	return 0;
}

/* What one sync has to do, taken out of the shard under its lock. */
struct sync_job {
	struct sync_waiters waiters;
	struct segment **files; /* each is a reference */
	size_t file_count;
	int dir;		/* the shard's directory if it has to be synced too, or -1 */
	struct position target; /* the published end; durable up to here afterwards */
};

static void take_waiters_locked(struct sfs_shard *shard, struct sync_job *job)
{
	ASSERT_LOCKED(&shard->lock);
	STAILQ_INIT(&job->waiters);
	STAILQ_CONCAT(&job->waiters, &shard->sync.waiters);
}

static void take_files_locked(struct sfs_shard *shard, struct sync_job *job)
{
	ASSERT_LOCKED(&shard->lock);
	job->target = shard->end;
	job->files = shard->sync.unsynced;
	job->file_count = shard->sync.unsynced_count;
	shard->sync.unsynced = NULL;
	shard->sync.unsynced_count = 0;
	shard->sync.dir_unsynced = shard->sync.dir_unsynced && job->dir < 0;
}

static int open_directory(struct sfs_shard *shard, int *ret_fd)
{
	struct shard_env *env = shard->env;
	char path[SHARD_PATH_MAX];
	pthread_rwlock_rdlock(&shard->home->path_lock);
	shard_path(shard, path, "");
	int r = shard->home->removed ? -ENOENT
				     : disk_open(&env->disk, env->streams_dir, path,
					       O_RDONLY | O_DIRECTORY, ret_fd);
	pthread_rwlock_unlock(&shard->home->path_lock);
	return r;
}

static int run_job(struct sfs_shard *shard, struct sync_job *job, struct segment *active)
{
	struct shard_env *env = shard->env;
	uint64_t began = clock_monotonic_ns();
	int r = 0;
	for (size_t i = 0; r == 0 && i < job->file_count; i++)
		r = disk_sync(&env->disk, job->files[i]->fd);
	if (r == 0 && active)
		r = disk_sync(&env->disk, active->fd);
	if (r == 0 && job->dir >= 0)
		r = disk_sync_dir(&env->disk, job->dir);
	TRACE_SHARD(sync, shard, "synced: text to %" PRIu64 ", %zu sealed segments%s: error %d",
		job->target.offset, job->file_count, job->dir >= 0 ? ", the directory" : "", -r);
	metrics_sync(&env->metrics, clock_monotonic_ns() - began);
	if (r < 0)
		metric_add(&env->metrics.sync_failures, 1);
	return r;
}

static int open_watermark(struct sfs_shard *shard, int *ret_fd)
{
	struct shard_env *env = shard->env;
	char path[SHARD_PATH_MAX];
	pthread_rwlock_rdlock(&shard->home->path_lock);
	shard_path(shard, path, WATERMARK_FILE);
	int r = shard->home->removed
			? -ENOENT
			: disk_open(&env->disk, env->streams_dir, path, O_RDWR | O_CREAT, ret_fd);
	pthread_rwlock_unlock(&shard->home->path_lock);
	return r;
}

static void close_watermark(struct sfs_shard *shard)
{
	if (shard->sync.watermark_fd >= 0)
		close(shard->sync.watermark_fd);
	shard->sync.watermark_fd = -1;
}

static void set_watermark_unsynced(struct sfs_shard *shard, bool unsynced)
{
	SCOPED_LOCK(&shard->lock);
	shard->sync.watermark_unsynced = unsynced;
}

/*
 * Writes the watermark after the sync. The watermark may lag, so a failed write does not fail the
 * sync. The next sync writes it again.
 */
static void write_watermark(struct sfs_shard *shard, const struct sync_job *job)
{
	struct shard_env *env = shard->env;
	int r = shard->sync.watermark_fd >= 0 ? 0
					      : open_watermark(shard, &shard->sync.watermark_fd);
	struct watermark next = shard->sync.watermark;
	next.synced = job->target;
	if (r == 0)
		r = watermark_store(&env->disk, shard->sync.watermark_fd, shard->tag, &next);
	TRACE_SHARD(sync, shard, "watermark written: durable to %" PRIu64 ": error %d",
		next.synced.offset, -r);
	if (active_files_are_many(env))
		close_watermark(shard); /* settle_watermark() opens it again */
	if (r < 0)
		return;
	shard->sync.watermark = next;
	set_watermark_unsynced(shard, true);
}

static void finish_job(struct sfs_shard *shard, struct sync_job *job, int synced, int trimmed)
{
	for (size_t i = 0; i < job->file_count; i++)
		segment_unref(job->files[i]);
	free(job->files);
	while (!STAILQ_EMPTY(&job->waiters)) {
		struct sync_waiter *waiter = STAILQ_FIRST(&job->waiters);
		STAILQ_REMOVE_HEAD(&job->waiters, link);
		waiter->done(waiter->context, waiter->of_trim ? trimmed : synced);
		free(waiter);
		sfs_shard_unref(shard);
	}
}

/* Makes what is published durable. A failed sync fails the shard. */
static int sync_data(struct sfs_shard *shard, struct sync_job *job)
{
	pthread_mutex_lock(&shard->lock);
	while (shard->sync.dir_unsynced && job->dir < 0) { /* a segment can begin at any moment */
		pthread_mutex_unlock(&shard->lock);
		int r = open_directory(shard, &job->dir); /* its failure leaves the shard sound */
		if (r < 0)
			return r;
		pthread_mutex_lock(&shard->lock);
	}
	take_files_locked(shard, job);
	struct segment *active = shard->active ? segment_ref(shard->active) : NULL;
	pthread_mutex_unlock(&shard->lock);
	int r = run_job(shard, job, active);
	segment_unref(active);
	if (r == 0)
		write_watermark(shard, job);
	SCOPED_LOCK(&shard->lock);
	if (r == 0)
		shard->sync.synced_offset = job->target.offset;
	else
		shard_fail_locked(shard, "a sync", r);
	return r < 0 ? -EIO : 0;
}

/* Syncs the directory once: the watermark may have been created after its last sync. */
static int sync_watermark_entry(struct sfs_shard *shard)
{
	_cleanup_close_ int dir = -1;
	if (shard->sync.watermark_durable)
		return 0;
	int r = open_directory(shard, &dir);
	if (r == 0)
		r = disk_sync_dir(&shard->env->disk, dir);
	shard->sync.watermark_durable = r == 0;
	return r;
}

/* Makes an idle shard's watermark durable. Then the shard needs no descriptor for it. */
static void settle_watermark(struct sfs_shard *shard)
{
	if (shard->sync.watermark_fd < 0 && open_watermark(shard, &shard->sync.watermark_fd) < 0)
		return;
	if (disk_sync(&shard->env->disk, shard->sync.watermark_fd) < 0 ||
		sync_watermark_entry(shard) < 0)
		return;
	close_watermark(shard);
	set_watermark_unsynced(shard, false);
	TRACE_SHARD(sync, shard, "watermark settled: durable to %" PRIu64,
		shard->sync.watermark.synced.offset);
}

/* The watermark is durable, so its horizon counts from now on. */
static void publish_horizon(
	struct sfs_shard *shard, const struct watermark *watermark, const struct horizon *to)
{
	shard->sync.watermark = *watermark;
	SCOPED_LOCK(&shard->lock);
	shard->sync.watermark_unsynced = false;
	shard->horizon = to->at;
	buf_fini(&shard->horizon_page);
	shard->horizon_page = shard->sync.wanted_page;
	shard->sync.wanted_page = (struct buf){0};
}

/*
 * Makes a requested horizon durable, then publishes it. All text before it is synced already. A
 * failure fails the trim only: neither the shard nor the calls that wait for a sync.
 */
static int sync_horizon(struct sfs_shard *shard, const struct horizon *to)
{
	struct shard_env *env = shard->env;
	int r = shard->sync.watermark_fd >= 0 ? 0
					      : open_watermark(shard, &shard->sync.watermark_fd);
	struct watermark next = shard->sync.watermark;
	next.horizon = to->at;
	next.horizon_arrival_ms = to->arrival_ms;
	if (next.synced.offset < to->at.offset)
		next.synced = to->at;
	if (r == 0)
		r = watermark_store(&env->disk, shard->sync.watermark_fd, shard->tag, &next);
	if (r == 0)
		r = disk_sync(&env->disk, shard->sync.watermark_fd);
	if (r == 0)
		r = sync_watermark_entry(shard);
	close_watermark(shard); /* many idle shards may be trimmed */
	TRACE_SHARD(
		sync, shard, "horizon written: offset %" PRIu64 ": error %d", to->at.offset, -r);
	if (r == 0)
		publish_horizon(shard, &next, to);
	return r;
}

/* One sync. `running` is set, so a shard has one at a time. Only a sync writes watermarks. */
static int sync_shard(struct sfs_shard *shard)
{
	struct sync_job job = {.dir = -1};
	pthread_mutex_lock(&shard->lock);
	take_waiters_locked(shard, &job);
	int r = shard->failed ? -EIO : 0;
	bool needed = r == 0 && shard->end.offset > shard->sync.synced_offset;
	struct horizon to = shard->sync.wanted_horizon;
	bool trim = r == 0 && to.at.offset > shard->horizon.offset;
	bool settle = r == 0 && !needed && shard->sync.watermark_unsynced;
	shard->sync.wanted_horizon = (struct horizon){0};
	pthread_mutex_unlock(&shard->lock);
	if (needed)
		r = sync_data(shard, &job);
	int trimmed = r == 0 && trim ? sync_horizon(shard, &to) : r;
	if (settle)
		settle_watermark(shard);
	if (job.dir >= 0)
		close(job.dir);
	TRACE_SHARD(sync, shard, "sync ends: error %d", -r);
	finish_job(shard, &job, r, trimmed);
	return r;
}

/* Queues the shard again if another sync was requested meanwhile. */
static void after_sync(struct syncer *syncer, struct sfs_shard *shard)
{
	SCOPED_LOCK(&syncer->lock);
	shard->sync.running = false;
	if (shard->sync.queued) {
		STAILQ_INSERT_TAIL(&syncer->queue, shard, sync.queue_link);
		pthread_cond_signal(&syncer->work);
	}
	pthread_cond_broadcast(&syncer->idle);
}

static void *sync_thread(void *context)
{
	struct syncer *syncer = context;
	pthread_mutex_lock(&syncer->lock);
	for (;;) {
		while (!syncer->stop && STAILQ_EMPTY(&syncer->queue))
			pthread_cond_wait(&syncer->work, &syncer->lock);
		if (STAILQ_EMPTY(&syncer->queue))
			break;
		struct sfs_shard *shard = STAILQ_FIRST(&syncer->queue);
		STAILQ_REMOVE_HEAD(&syncer->queue, sync.queue_link);
		shard->sync.queued = false;
		shard->sync.running = true;
		sfs_shard_ref(shard); /* a waiter may hold the last reference to a removed stream */
		pthread_mutex_unlock(&syncer->lock);
		(void)sync_shard(shard);
		after_sync(syncer, shard);
		sfs_shard_unref(shard);
		pthread_mutex_lock(&syncer->lock);
	}
	pthread_mutex_unlock(&syncer->lock);
	return NULL;
}

/*
 * A shard's flush is due: queue a sync. While the shard grows, its flush stays planned. After an
 * interval without growth the sync makes the watermark durable, and the plan ends.
 */
static void flush_due(struct syncer *syncer, struct sfs_shard *shard)
{
	pthread_mutex_lock(&shard->lock);
	bool dirty = shard->end.offset > shard->sync.synced_offset && !shard->failed;
	bool more = dirty || (shard->sync.watermark_unsynced && !shard->failed);
	uint64_t again = clock_monotonic_ns() + shard->sync.flush_interval_ns;
	if (more)
		trace_queued_locked(shard);
	pthread_mutex_lock(&syncer->lock);
	if (more) {
		queue_locked(syncer, shard);
		plan_flush_locked(syncer, shard, again);
	} else {
		shard->sync.flush_planned = false;
	}
	pthread_mutex_unlock(&syncer->lock);
	pthread_mutex_unlock(&shard->lock);
}

static void *flush_thread(void *context)
{
	struct syncer *syncer = context;
	pthread_mutex_lock(&syncer->lock);
	while (!syncer->stop) {
		struct sfs_shard *first = RB_MIN(flush_tree, &syncer->flushes);
		if (!first) {
			pthread_cond_wait(&syncer->tick, &syncer->lock);
			continue;
		}
		uint64_t now = clock_monotonic_ns();
		if (first->sync.flush_at_ns > now) {
			struct timespec at = {
				.tv_sec = (time_t)(first->sync.flush_at_ns / 1000000000),
				.tv_nsec = (long)(first->sync.flush_at_ns % 1000000000)};
			pthread_cond_timedwait(&syncer->tick, &syncer->lock, &at);
			continue;
		}
		unplan_flush_locked(syncer, first);
		syncer->flushing = first;
		pthread_mutex_unlock(&syncer->lock);
		flush_due(syncer, first);
		pthread_mutex_lock(&syncer->lock);
		syncer->flushing = NULL;
		pthread_cond_broadcast(&syncer->idle);
	}
	pthread_mutex_unlock(&syncer->lock);
	return NULL;
}

int syncer_new(struct syncer **ret_syncer)
{
	struct syncer *s = calloc(1, sizeof *s);
	if (!s)
		return -ENOMEM;
	STAILQ_INIT(&s->queue);
	RB_INIT(&s->flushes);
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_t monotonic;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&s->work, NULL);
	pthread_cond_init(&s->idle, NULL);
	pthread_cond_init(&s->tick, &monotonic);
	pthread_condattr_destroy(&monotonic);
	int r = 0;
	while (r == 0 && s->thread_count < SYNC_THREADS) {
		r = -pthread_create(&s->threads[s->thread_count], NULL, sync_thread, s);
		s->thread_count += r == 0;
	}
	if (r == 0)
		r = -pthread_create(&s->flusher, NULL, flush_thread, s);
	s->has_flusher = r == 0;
	if (r < 0) {
		syncer_free(s);
		return r;
	}
	*ret_syncer = s;
	return 0;
}

void syncer_free(struct syncer *syncer)
{
	if (!syncer)
		return;
	pthread_mutex_lock(&syncer->lock);
	syncer->stop = true;
	pthread_cond_broadcast(&syncer->work);
	pthread_cond_broadcast(&syncer->tick);
	pthread_mutex_unlock(&syncer->lock);
	for (unsigned i = 0; i < syncer->thread_count; i++)
		pthread_join(syncer->threads[i], NULL);
	if (syncer->has_flusher)
		pthread_join(syncer->flusher, NULL);
	pthread_cond_destroy(&syncer->tick);
	pthread_cond_destroy(&syncer->idle);
	pthread_cond_destroy(&syncer->work);
	pthread_mutex_destroy(&syncer->lock);
	free(syncer);
}

static struct sync_waiter *new_waiter(void (*done)(void *context, int result), void *context)
{
	struct sync_waiter *waiter = malloc(sizeof *waiter);
	if (!waiter) {
		done(context, -ENOMEM);
		return NULL;
	}
	*waiter = (struct sync_waiter){.done = done, .context = context};
	return waiter;
}

static void add_waiter_locked(struct sfs_shard *shard, struct sync_waiter *waiter)
{
	ASSERT_LOCKED(&shard->lock);
	STAILQ_INSERT_TAIL(&shard->sync.waiters, waiter, link);
	sfs_shard_ref(shard); /* given back by finish_job() */
	syncer_hurry_locked(shard);
}

/* Sets the horizon and adds its waiter in one step, so that one sync takes both. */
void syncer_request_horizon(struct sfs_shard *shard, const struct horizon *to, struct buf *page,
	void (*done)(void *context, int result), void *context)
{
	struct buf kept = *page;
	*page = (struct buf){0};
	struct sync_waiter *waiter = new_waiter(done, context);
	if (!waiter) {
		buf_fini(&kept);
		return;
	}
	waiter->of_trim = true;
	SCOPED_LOCK(&shard->lock);
	shard->sync.wanted_horizon = *to;
	buf_fini(&shard->sync.wanted_page);
	shard->sync.wanted_page = kept;
	add_waiter_locked(shard, waiter);
}

void syncer_request(struct sfs_shard *shard, void (*done)(void *context, int result), void *context)
{
	struct sync_waiter *waiter = new_waiter(done, context);
	if (!waiter)
		return;
	pthread_mutex_lock(&shard->lock);
	int result = shard->failed ? -EIO : 0;
	bool needed = shard->end.offset > shard->sync.synced_offset;
	bool wait = !shard->failed && needed && !shard->env->read_only;
	if (wait)
		add_waiter_locked(shard, waiter);
	pthread_mutex_unlock(&shard->lock);
	if (!wait) {
		free(waiter);
		done(context, result);
	}
}

void sync_wait_done(void *context, int result)
{
	struct sync_wait *wait = context;
	SCOPED_LOCK(&wait->lock);
	wait->done = true;
	wait->result = result;
	pthread_cond_signal(&wait->cond);
}

int sync_wait(struct sync_wait *wait)
{
	SCOPED_LOCK(&wait->lock);
	while (!wait->done)
		pthread_cond_wait(&wait->cond, &wait->lock);
	return wait->result;
}

void syncer_forget(struct sfs_shard *shard)
{
	struct syncer *syncer = shard->env->syncer;
	pthread_mutex_lock(&syncer->lock);
	unplan_flush_locked(syncer, shard);
	while (shard->sync.queued || shard->sync.running || syncer->flushing == shard) {
		pthread_cond_wait(&syncer->idle, &syncer->lock);
		unplan_flush_locked(syncer, shard);
	}
	pthread_mutex_unlock(&syncer->lock);
}

int syncer_sync_now(struct sfs_shard *shard)
{
	syncer_forget(shard);
	int r = sync_shard(shard);
	if (shard->sync.watermark_unsynced)
		(void)sync_shard(shard); /* nothing is left but the watermark */
	return r;
}
