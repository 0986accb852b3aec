/* SPDX-License-Identifier: MIT */
/*
 * Merging rewrites a sealed segment of small chunks, such as an echo makes each, with large ones.
 * Those compress as well as the text would in one piece.
 *
 * The happy path: the chunks of the old file are gathered into larger ones in a temporary file;
 * that file is synced and renamed over the old one; the directory is synced; the index is saved.
 * Readers that have the old file open keep it.
 *
 * Invariants:
 *   1. Text, sequence numbers, keys, arrival times and claims stay what they were.
 *   2. A segment with any damage is left alone.
 *   3. The new file is durable before it takes the old one's name.
 *   4. A segment that a trim has removed does not come back: files_lock spans the last look at the
 *      shard's bases and the rename.
 *   5. No lock is held while the new file is written. A store that closes ends the merge early.
 */
#include "merge.h"

#include "cleanup.h"
#include "meta.h"
#include "sealed_segment.h"
#include "trace.h"

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

enum {
	MERGE_BELOW_BYTES = 64 << 10, /* a merge pays below this average text of a chunk */
	MERGE_TEXT_BYTES = 256 << 10, /* text of a merged chunk, at least */
};

struct merge {
	struct sfs_shard *shard;
	struct segment *old;
	int fd; /* the new file */
	bool compress;
	uint64_t file_offset;
	struct encoder *encoder;
	struct index index; /* of the new file */
	struct buf stored, raw_meta;
	/* The chunk that is being gathered: */
	struct buf text;
	struct meta_writer meta;
	struct chunk_order order;
	uint64_t last_ms; /* of its last record so far */
	uint32_t records;
};

static int flush_chunk(struct merge *m)
{
	if (!m->text.size)
		return 0;
	const struct buf *meta = meta_writer_finish(&m->meta);
	if (!meta)
		return -ENOMEM;
	struct chunk_input input = {
		.text = m->text.data,
		.text_bytes = m->text.size,
		.meta = meta,
		.record_count = m->records,
		.compress = m->compress,
	};
	int r = chunk_encode(m->encoder, &input);
	if (r < 0)
		return r;
	struct chunk chunk;
	struct iovec iov[2];
	chunk_seal(m->encoder, &m->order, &chunk, iov);
	r = disk_writev(&m->shard->env->disk, m->fd, m->file_offset, iov, 2);
	if (r == 0)
		r = index_add(&m->index, &chunk, m->file_offset);
	m->file_offset += chunk_stored_bytes(&chunk);
	m->text.size = 0;
	m->records = 0;
	meta_writer_reset(&m->meta);
	return r;
}

/* A chunk that is part of a long record, or large already, is copied as it is. */
static int copy_chunk(struct merge *m, const struct chunk *chunk)
{
	int r = flush_chunk(m);
	if (r == 0)
		r = disk_write(&m->shard->env->disk, m->fd, m->file_offset, m->stored.data,
			chunk_stored_bytes(chunk));
	if (r == 0)
		r = index_add(&m->index, chunk, m->file_offset);
	m->file_offset += chunk_stored_bytes(chunk);
	return r;
}

static int add_records(struct merge *m, const struct chunk *chunk)
{
	m->raw_meta.size = 0;
	int r = chunk_decode_meta(chunk, chunk_meta_of(m->stored.data), &m->raw_meta);
	struct meta_view view;
	if (r == 0)
		r = meta_view_init(&view, &m->raw_meta, chunk->arrival_ms);
	if (r < 0)
		return r;
	for (uint32_t i = 0; r == 0 && i < chunk->record_count; i++) {
		struct meta_record record = {0};
		r = meta_view_next(&view, &record);
		if (r == 0 && record.arrival_ms < m->last_ms)
			r = -EBADMSG; /* times never step back */
		m->last_ms = record.arrival_ms;
		if (r == 0)
			r = meta_writer_record(&m->meta, (const char *)record.key, record.key_bytes,
				record.arrival_ms, record.has_claim ? &record.claim : NULL);
	}
	meta_view_fini(&view);
	return r;
}

static int add_chunk(struct merge *m, const struct chunk *chunk)
{
	if (chunk->last_arrival_ms < chunk->arrival_ms)
		return -EBADMSG;
	if (!m->text.size) {
		m->last_ms = 0;
		m->order = (struct chunk_order){
			.owner = chunk->owner,
			.start = chunk_start(chunk),
			.arrival_ms = chunk->arrival_ms,
			.synced_offset = chunk->synced_offset,
		};
	}
	int r = buf_reserve(&m->text, chunk->text_bytes);
	if (r == 0)
		r = chunk_decode(
			chunk, chunk_frame_of(chunk, m->stored.data), m->text.data + m->text.size);
	if (r == 0)
		r = add_records(m, chunk);
	if (r < 0)
		return r;
	m->text.size += chunk->text_bytes;
	m->records += chunk->record_count;
	m->order.last_arrival_ms = chunk->last_arrival_ms;
	m->order.json_bytes += chunk->json_bytes;
	return m->text.size >= MERGE_TEXT_BYTES ? flush_chunk(m) : 0;
}

static int merge_item(struct merge *m, size_t i)
{
	const struct index *from = &m->old->index;
	const struct index_item *item = &from->items[i];
	m->stored.size = 0;
	int r = buf_reserve(&m->stored, item->stored_bytes);
	size_t got;
	if (r == 0)
		r = disk_read(&m->shard->env->disk, m->old->fd, item->file_offset, m->stored.data,
			item->stored_bytes, &got);
	if (r < 0)
		return r;
	if (got != item->stored_bytes)
		return -EBADMSG;
	struct chunk chunk;
	r = segment_check_chunk(item, m->shard->tag, index_item_end(from, i) - item->start.offset,
		m->stored.data, &chunk);
	if (r < 0)
		return r;
	/* The meta holds an arrival time as a delta of 32 bits: 49 days. */
	bool far = m->text.size && chunk.last_arrival_ms - m->order.arrival_ms > UINT32_MAX;
	if (far)
		r = flush_chunk(m);
	if (r < 0)
		return r;
	if (chunk.incompatible & (CHUNK_CONTINUES | CHUNK_OPEN_END) ||
		chunk.text_bytes >= MERGE_TEXT_BYTES)
		return copy_chunk(m, &chunk);
	return add_chunk(m, &chunk);
}

static int write_merged(struct merge *m)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < m->old->index.count; i++)
		r = atomic_load(&m->shard->env->closing) ? -ECANCELED : merge_item(m, i);
	if (r == 0)
		r = flush_chunk(m);
	if (r == 0 && !position_equal(m->old->index.end.at, m->index.end.at))
		r = -EBADMSG;
	return r == 0 ? disk_sync(&m->shard->env->disk, m->fd) : r;
}

/* Paths of a segment's files, good while home.path_lock is held. */
struct segment_paths {
	char directory[SHARD_PATH_MAX], segment[SHARD_PATH_MAX], temporary[SHARD_PATH_MAX],
		index[SHARD_PATH_MAX];
};

/* Takes home.path_lock shared, unless it fails. -ENOENT: the stream was removed. */
static int hold_paths(struct sfs_shard *shard, uint64_t base_offset, struct segment_paths *paths)
{
	pthread_rwlock_rdlock(&shard->home->path_lock);
	if (shard->home->removed) {
		pthread_rwlock_unlock(&shard->home->path_lock);
		return -ENOENT;
	}
	shard_path(shard, paths->directory, "");
	shard_segment_path(shard, paths->segment, base_offset, SEGMENT_SUFFIX);
	shard_segment_path(shard, paths->temporary, base_offset, SEGMENT_SUFFIX DISK_TMP_SUFFIX);
	shard_segment_path(shard, paths->index, base_offset, INDEX_SUFFIX);
	return 0;
}

static void release_paths(struct sfs_shard *shard)
{
	pthread_rwlock_unlock(&shard->home->path_lock);
}

static int open_temporary(struct merge *m)
{
	struct shard_env *env = m->shard->env;
	struct segment_paths paths;
	int r = hold_paths(m->shard, m->old->base_offset, &paths);
	if (r < 0)
		return r;
	r = disk_open(
		&env->disk, env->streams_dir, paths.temporary, O_RDWR | O_CREAT | O_TRUNC, &m->fd);
	release_paths(m->shard);
	return r;
}

static void remove_temporary(struct merge *m)
{
	struct shard_env *env = m->shard->env;
	struct segment_paths paths;
	if (hold_paths(m->shard, m->old->base_offset, &paths) < 0)
		return; /* the stream was removed, and this file with it */
	(void)disk_unlink(&env->disk, env->streams_dir, paths.temporary);
	release_paths(m->shard);
}

/* Whether the segment is still one of the shard's: a trim may have removed it. */
static bool is_there(struct sfs_shard *shard, uint64_t base_offset)
{
	SCOPED_LOCK(&shard->lock);
	for (size_t i = 0; i < shard->base_count; i++)
		if (shard->bases[i] == base_offset)
			return true;
	return false;
}

static void count_replaced(struct merge *m)
{
	struct sfs_shard *shard = m->shard;
	struct shard_env *env = shard->env;
	metric_add(&env->metrics.segments_merged, 1);
	SCOPED_LOCK(&shard->lock);
	shard->replaced_count++; /* keeps a thread that has opened the old file from caching it */
	lru_drop(env->segments, shard->tag, m->old->base_offset);
	shard->stored_bytes += m->index.end.file_offset - m->old->index.end.file_offset;
}

/* Invariant 4. */
static int rename_in_place(struct merge *m)
{
	struct shard_env *env = m->shard->env;
	struct segment_paths paths;
	SCOPED_LOCK(&m->shard->files_lock);
	int r = is_there(m->shard, m->old->base_offset) ? 0 : -ENOENT;
	if (r == 0)
		r = hold_paths(m->shard, m->old->base_offset, &paths);
	if (r < 0)
		return r;
	r = disk_rename(
		&env->disk, env->streams_dir, paths.temporary, env->streams_dir, paths.segment);
	release_paths(m->shard);
	if (r == 0)
		count_replaced(m);
	return r;
}

/* Puts the new file in the old one's place, durably. */
static int replace_segment(struct merge *m)
{
	struct shard_env *env = m->shard->env;
	_cleanup_close_ int dir = -1;
	struct segment_paths paths;
	int r = hold_paths(m->shard, m->old->base_offset, &paths);
	if (r < 0)
		return r;
	r = disk_open(&env->disk, env->streams_dir, paths.directory, O_RDONLY | O_DIRECTORY, &dir);
	release_paths(m->shard);
	if (r == 0)
		r = rename_in_place(m);
	return r < 0 ? r : disk_sync_dir(&env->disk, dir);
}

static int merge_files(struct merge *m)
{
	int r = open_temporary(m);
	if (r < 0)
		return r;
	r = write_merged(m);
	if (r == 0)
		r = replace_segment(m);
	if (r < 0)
		remove_temporary(m);
	return r;
}

static int merge(struct merge *m)
{
	assert(m->old->index.count > 1);
	index_init(&m->index, m->old->index.items[0].start);
	m->encoder = encoder_new();
	int r = m->encoder ? merge_files(m) : -ENOMEM;
	encoder_free(m->encoder);
	meta_writer_fini(&m->meta);
	buf_fini(&m->text);
	buf_fini(&m->stored);
	buf_fini(&m->raw_meta);
	if (m->fd >= 0)
		close(m->fd);
	return r;
}

static bool is_sound(const struct segment *segment)
{
	struct stat st;
	for (size_t i = 0; i < segment->index.count; i++)
		if (segment->index.items[i].flags & INDEX_DAMAGED)
			return false;
	return segment->index.count && fstat(segment->fd, &st) == 0 &&
	       (uint64_t)st.st_size == segment->index.end.file_offset;
}

static bool is_worth_merging(const struct index *index)
{
	uint64_t text = index->end.at.offset - index->items[0].start.offset;
	return index->count > 1 && text / index->count < MERGE_BELOW_BYTES;
}

static bool compresses(struct home *home)
{
	SCOPED_RDLOCK(&home->lock);
	return home->settings.compression == COMPRESSION_LZ4;
}

static int save_index(struct sfs_shard *shard, uint64_t base_offset, const struct index *index)
{
	struct shard_env *env = shard->env;
	struct segment_paths paths;
	int r = hold_paths(shard, base_offset, &paths);
	if (r < 0)
		return r;
	r = index_save(&env->disk, env->streams_dir, paths.index, shard->tag, index);
	release_paths(shard); /* before shard.lock: it comes last */
	if (is_there(shard, base_offset) || hold_paths(shard, base_offset, &paths) < 0)
		return r;
	/* A trim removed the segment meanwhile. */
	(void)disk_unlink(&env->disk, env->streams_dir, paths.index);
	release_paths(shard);
	return r;
}

static void trace_merge(const struct merge *m, int error)
{
	TRACE(merge,
		"shard %u: segment %" PRIu64 ": %zu chunks, %" PRIu64 " bytes to %zu, %" PRIu64
		": error %d",
		m->shard->number, m->old->base_offset, m->old->index.count,
		m->old->index.end.file_offset, m->index.count, m->file_offset, error);
}

int merge_segment(struct sfs_shard *shard, uint64_t base_offset)
{
	struct segment *segment;
	int r = shard_sealed_segment(shard, base_offset, &segment);
	if (r < 0)
		return r;
	atomic_store(&segment->unindexed, false);
	struct merge m = {.shard = shard, .old = segment, .fd = -1};
	const struct index *index = &segment->index;
	r = is_sound(segment) ? 0 : -EBADMSG;
	if (r == 0 && is_worth_merging(index)) {
		m.compress = compresses(shard->home);
		r = merge(&m);
		index = &m.index;
		trace_merge(&m, r);
	}
	if (r == 0)
		r = save_index(shard, base_offset, index);
	TRACE(merge, "shard %u: index of segment %" PRIu64 ": error %d", shard->number, base_offset,
		r);
	index_fini(&m.index);
	segment_unref(segment);
	return r;
}
