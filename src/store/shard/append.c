/* SPDX-License-Identifier: MIT */
/*
 * Appending. Begin takes append_lock and makes the active segment ready. Each chunk gets its place
 * in the order; one pwritev(2) writes it behind the last one; then it enters the index. Commit
 * publishes the new end. Abort cuts the file back to where the append began.
 *
 * Invariants:
 *  1. One append of a shard runs at a time: append_lock is held from begin to commit or abort.
 *  2. Only the append that runs changes the active segment. It adds to the index with shard.lock
 *     held, because readers walk it.
 *  3. The published end is never behind the index's end. The two are equal when no append runs.
 *  4. Nothing of an append is visible before commit: only commit moves the published end.
 *  5. After abort the file and the index are as they were at begin (the mark). If the file cannot
 *     be cut, the shard fails. What is behind its last good chunk is then a torn tail, and recovery
 *     cuts it.
 *  6. Chunks stand side by side: each begins where the index ends, in the text and in the file.
 *  7. Arrival times never step back, whatever the clock does.
 *  8. A chunk's header holds how far the shard was durable when its append began. The value may
 *     lag, as synced_offset only rises. It must never be ahead: recovery treats a bad chunk below
 *     it as damage, never as a torn tail.
 *  9. A failed shard accepts no append. Lack of space fails the append; any other write error fails
 *     the shard.
 *
 * Ordering and storing are separate: order_next() takes the order from the shard, and store_chunk()
 * works with any order.
 */
#include "append.h"

#include "active_files.h"
#include "cleanup.h"
#include "clock.h"
#include "lock.h"
#include "syncer.h"

#include <fcntl.h>
#include <inttypes.h>

/*
 * Keeps the descriptor of a sealed segment until it is synced: the kernel reports a failed write
 * only through descriptors that were open at the time. When half of the room for such segments is
 * taken, a sync is queued. When all of it is taken, the append syncs the segment itself.
 */
static int keep_unsynced(struct sfs_shard *shard, struct segment *sealed)
{
	pthread_mutex_lock(&shard->lock);
	bool synced = sealed->index.end.at.offset <= shard->sync.synced_offset;
	bool full = shard->sync.unsynced_count == UNSYNCED_SEGMENTS;
	int r = synced || full ? 0 : shard_add_unsynced_locked(shard, sealed);
	if (r == 0 && shard->sync.unsynced_count >= UNSYNCED_SEGMENTS / 2)
		syncer_hurry_locked(shard);
	pthread_mutex_unlock(&shard->lock);
	if (r < 0 || synced || !full)
		return r;
	r = disk_sync(&shard->env->disk, sealed->fd);
	if (r == 0)
		return 0;
	SCOPED_LOCK(&shard->lock);
	shard_fail_locked(shard, "a sync", r);
	return r;
}

static int seal_active(struct sfs_shard *shard)
{
	ASSERT_LOCKED(&shard->append_lock);
	struct segment *sealed = shard->active;
	pthread_mutex_lock(&shard->lock);
	int r = active_file_open_locked(shard);
	pthread_mutex_unlock(&shard->lock);
	if (r == 0)
		r = keep_unsynced(shard, sealed);
	if (r < 0)
		return r;
	SCOPED_LOCK(&shard->lock);
	active_files_remove(shard);
	shard->active = NULL;
	struct shard_env *env = shard->env;
	lru_put(env->segments, shard->tag, sealed->base_offset, sealed, 1);
	if (env->sealed)
		env->sealed(shard, sealed->base_offset);
	segment_unref(sealed);
	return 0;
}

void shard_seal(struct sfs_shard *shard)
{
	SCOPED_LOCK(&shard->append_lock);
	if (shard->active && shard->active->index.count)
		(void)seal_active(shard);
}

static bool active_is_full(const struct sfs_shard *shard)
{
	const struct shard_env *env = shard->env;
	const struct index *index = &shard->active->index;
	return index->count >= env->segment_chunks ||
	       index->end.at.offset - shard->active->base_offset >= env->segment_bytes;
}

/* Creates the segment file that begins with the next chunk. */
static int begin_segment_locked(struct sfs_shard *shard)
{
	ASSERT_LOCKED(&shard->lock);
	struct shard_env *env = shard->env;
	char path[SHARD_PATH_MAX];
	shard_segment_path(shard, path, shard->end.offset, SEGMENT_SUFFIX);
	_cleanup_close_ int fd = -1;
	/* If the file exists, it was created and never written. */
	int r = disk_open(&env->disk, env->streams_dir, path, O_RDWR | O_CREAT, &fd);
	if (r == 0)
		r = disk_truncate(&env->disk, fd, 0);
	if (r < 0)
		return r;
	uint64_t *bases = realloc(shard->bases, (shard->base_count + 1) * sizeof *bases);
	if (!bases)
		return -ENOMEM;
	struct index index;
	index_init(&index, shard->end);
	index.end.arrival_ms = shard->last_arrival_ms;
	struct segment *segment = segment_new(shard->end.offset, fd, &index);
	shard->bases = bases;
	if (!segment)
		return -ENOMEM;
	fd = -1;
	bases[shard->base_count++] = shard->end.offset;
	shard->active = segment;
	active_files_add_locked(shard);
	shard->sync.dir_unsynced = true;
	return 0;
}

static bool is_failed(struct sfs_shard *shard)
{
	SCOPED_LOCK(&shard->lock);
	return shard->failed;
}

/* Opens the segment for the next chunk, and marks where the append begins. */
static int prepare_active(struct sfs_shard *shard)
{
	ASSERT_LOCKED(&shard->append_lock);
	if (shard->active && active_is_full(shard)) {
		int sealed = is_failed(shard) ? -EROFS : seal_active(shard);
		if (sealed < 0)
			return sealed;
	}
	SCOPED_LOCK(&shard->lock);
	int r = shard->failed ? -EROFS : 0;
	if (r == 0 && !shard->active)
		r = begin_segment_locked(shard);
	if (r == 0)
		r = active_file_open_locked(shard);
	if (r < 0)
		return r;
	const struct index *index = &shard->active->index;
	shard->mark = (struct append_mark){index->count, index->end, shard->sync.synced_offset};
	assert(position_equal(index->end.at, shard->end));	/* 3 */
	assert(shard->sync.synced_offset <= shard->end.offset); /* 8 */
	return 0;
}

int shard_append_begin(struct sfs_shard *shard)
{
	ASSERT_RDLOCKED(&shard->home->lock); /* `closed` and `removed` cannot change */
	if (shard->env->read_only || shard->closed)
		return -EROFS;
	if (shard->removed || shard->home->removed)
		return -ENOENT;
	int r = shard_open_locked(shard);
	if (r < 0)
		return r;
	active_files_make_room(shard);
	pthread_mutex_lock(&shard->append_lock);
	r = prepare_active(shard);
	if (r < 0)
		pthread_mutex_unlock(&shard->append_lock);
	else
		TRACE_SHARD(append, shard, "append begins at offset %" PRIu64 ", record %" PRIu64,
			shard->mark.end.at.offset, shard->mark.end.at.sequence);
	return r;
}

/* The position and the arrival time of the next chunk. */
static struct chunk_order order_next(const struct sfs_shard *shard)
{
	const struct index *index = &shard->active->index;
	uint64_t now = clock_wall_ms();
	if (now < index->end.arrival_ms)
		now = index->end.arrival_ms;
	return (struct chunk_order){
		.owner = shard->tag,
		.start = index->end.at,
		.arrival_ms = now,
		.last_arrival_ms = now,
		.synced_offset = shard->mark.synced_offset,
	};
}

/* The place that stands in the JSON lines of the chunk's records. */
static struct json_place place_of(
	const struct sfs_shard *shard, const struct chunk_order *order, bool continues)
{
	const struct index *index = &shard->active->index;
	uint64_t record_offset = order->start.offset;
	if (continues && index->count)
		record_offset =
			index->items[index_record_start(index, index->count - 1)].start.offset;
	return (struct json_place){
		.shard = shard->number,
		.first_sequence = order->start.sequence,
		.record_offset = record_offset,
		.text_offset = order->start.offset,
	};
}

/* Writes an ordered chunk to the active segment, and adds it to the index. */
static int store_chunk(struct sfs_shard *shard, const struct chunk *chunk, struct iovec iov[2])
{
	struct segment *active = shard->active;
	uint64_t at = active->index.end.file_offset;
	assert(chunk->first_sequence == active->index.end.at.sequence); /* 6 */
	TRACE_SHARD(append, shard, "chunk of %zu bytes at file offset %" PRIu64,
		iov[0].iov_len + iov[1].iov_len, at);
	int r = disk_writev(&shard->env->disk, active->fd, at, iov, 2);
	if (r < 0) {
		metric_add(&shard->env->metrics.write_failures, 1);
		if (r != -ENOSPC && r != -EDQUOT) {
			SCOPED_LOCK(&shard->lock);
			shard_fail_locked(shard, "a write", r);
		}
		return r;
	}
	SCOPED_LOCK(&shard->lock); /* readers walk the index */
	return index_add(&active->index, chunk, at);
}

int shard_append_chunk(struct sfs_shard *shard, struct encoder *encoder)
{
	ASSERT_LOCKED(&shard->append_lock);
	struct chunk_order order = order_next(shard);
	struct json_place place = place_of(shard, &order, chunk_continues(encoder));
	order.json_bytes = chunk_json_bytes(encoder, &place);
	struct chunk chunk;
	struct iovec iov[2];
	chunk_seal(encoder, &order, &chunk, iov);
	return store_chunk(shard, &chunk, iov);
}

void shard_append_commit(struct sfs_shard *shard)
{
	ASSERT_LOCKED(&shard->append_lock);
	struct stream_metrics *metrics = &shard->home->metrics;
	const struct index *index = &shard->active->index;
	uint64_t stored = index->end.file_offset - shard->mark.end.file_offset;
	metric_add(&metrics->records, index->end.at.sequence - shard->mark.end.at.sequence);
	metric_add(&metrics->bytes_in, index->end.at.offset - shard->mark.end.at.offset);
	metric_add(&metrics->bytes_stored, stored);
	TRACE_SHARD(append, shard,
		"append commits: text ends at offset %" PRIu64 ", record %" PRIu64,
		index->end.at.offset, index->end.at.sequence);
	pthread_mutex_lock(&shard->lock);
	assert(position_equal(shard->end, shard->mark.end.at));	 /* 4 */
	assert(index->end.at.offset >= shard->end.offset);	 /* 3 */
	assert(index->end.arrival_ms >= shard->last_arrival_ms); /* 7 */
	shard->end = index->end.at;
	shard->last_arrival_ms = index->end.arrival_ms;
	shard->stored_bytes += stored;
	syncer_dirty_locked(shard, shard->home->settings.flush_interval_ms);
	pthread_cond_broadcast(&shard->grown);
	pthread_mutex_unlock(&shard->lock);
	pthread_mutex_unlock(&shard->append_lock);
}

void shard_append_abort(struct sfs_shard *shard)
{
	ASSERT_LOCKED(&shard->append_lock);
	struct segment *active = shard->active;
	const struct append_mark *mark = &shard->mark;
	TRACE_SHARD(append, shard, "append aborts: back to offset %" PRIu64, mark->end.at.offset);
	int r = disk_truncate(&shard->env->disk, active->fd, mark->end.file_offset);
	pthread_mutex_lock(&shard->lock);
	index_cut(&active->index, mark->index_count, &mark->end);
	assert(position_equal(active->index.end.at, shard->end)); /* 4, 5 */
	if (r < 0)
		shard_fail_locked(shard, "taking back a write", r);
	pthread_mutex_unlock(&shard->lock);
	pthread_mutex_unlock(&shard->append_lock);
}
