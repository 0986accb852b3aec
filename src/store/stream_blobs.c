/* SPDX-License-Identifier: MIT */
/*
 * A stream and its blobs: where they are (inside the stream, or below the directory given with
 * the store, under the store's uuid and the stream's id), and which of them no record names.
 */
#include "cleanup.h"
#include "meta.h"
#include "shard.h"
#include "stream.h"
#include "tidier.h"

#include "streamfs/blob.h"

#include <fcntl.h>
#include <stdio.h>

/* The directory of the blobs as a path below *ret_dir. */
static void blobs_path(
	const struct sfs_stream *stream, char path[SHARD_PATH_MAX], int *ret_dir)
{
	const struct sfs_store *store = stream->store;
	if (store->blob_dir < 0) {
		snprintf(path, SHARD_PATH_MAX, "%s/blobs", stream->name);
		*ret_dir = store->streams_dir;
		return;
	}
	snprintf(path, SHARD_PATH_MAX, "%s/%llu", store->uuid, (unsigned long long)stream->id);
	*ret_dir = store->blob_dir;
}

static int make_directories(struct sfs_stream *stream, int dir, const char *path)
{
	const struct disk *disk = &stream->store->disk;
	char parent[SHARD_PATH_MAX];
	snprintf(parent, sizeof parent, "%s", path);
	*strrchr(parent, '/') = 0;
	int r = disk_mkdir(disk, dir, parent);
	if (r < 0 && r != -EEXIST)
		return r;
	r = disk_sync_dir(disk, dir);
	if (r < 0)
		return r;
	r = disk_mkdir(disk, dir, path);
	if (r < 0 && r != -EEXIST)
		return r;
	_cleanup_close_ int parent_fd = -1;
	r = disk_open(disk, dir, parent, O_RDONLY | O_DIRECTORY, &parent_fd);
	return r < 0 ? r : disk_sync_dir(disk, parent_fd);
}

int stream_open_blobs(struct sfs_stream *stream, bool make)
{
	SCOPED_LOCK(&stream->blobs_lock);
	make = make && !stream->blobs_durable;
	if (stream->blobs.dir >= 0 && !make)
		return 0;
	if (stream->removed)
		return -ENOENT;
	char path[SHARD_PATH_MAX];
	int dir, fd;
	blobs_path(stream, path, &dir);
	/* What is there may never have been synced: its maker can have been killed in between. */
	int r = make ? make_directories(stream, dir, path) : 0;
	if (r < 0)
		return r;
	stream->blobs_durable |= make;
	if (stream->blobs.dir >= 0)
		return 0;
	r = disk_open(&stream->store->disk, dir, path, O_RDONLY | O_DIRECTORY, &fd);
	if (r < 0)
		return r == -ENOENT && !make ? 0 : r;
	stream->blobs.dir = fd;
	return 0;
}

int stream_remove_blobs(struct sfs_stream *stream)
{
	char path[SHARD_PATH_MAX];
	int dir;
	blobs_path(stream, path, &dir);
	if (stream->blobs.dir < 0 || stream->store->blob_dir < 0)
		return 0; /* goes with the stream's directory */
	int r = blobs_remove_all(&stream->blobs);
	return r < 0 ? r : disk_rmdir(&stream->store->disk, dir, path);
}

/* The digests that the records of a stream name, sorted. */
struct references {
	struct buf digests; /* 32 bytes each */
	struct buf stored, raw;
	struct blobs *blobs;
	uint64_t puts_begun; /* before the first record was looked at */
};

static int collect_chunk(struct references *refs, const struct chunk *chunk)
{
	refs->raw.size = 0;
	int r = chunk_decode_meta(chunk, chunk_meta_of(refs->stored.data), &refs->raw);
	struct meta_view view;
	if (r == 0)
		r = meta_view_init(&view, &refs->raw, chunk->arrival_ms);
	if (r < 0)
		return r;
	for (uint32_t i = 0; r == 0 && i < chunk->record_count; i++) {
		struct meta_record record;
		r = meta_view_next(&view, &record);
		if (r == 0 && record.has_claim)
			r = buf_append(&refs->digests, record.claim.digest, 32);
	}
	meta_view_fini(&view);
	return r;
}

static int collect_item(
	struct references *refs, struct sfs_shard *shard, const struct segment *segment, size_t i)
{
	const struct index_item *item = &segment->index.items[i];
	if (item->flags & INDEX_DAMAGED)
		return -EBADMSG;
	if (!(item->flags & INDEX_HAS_META))
		return 0;
	refs->stored.size = 0;
	int r = buf_reserve(&refs->stored, item->stored_bytes);
	size_t got;
	if (r == 0)
		r = disk_read(&shard->stream->store->disk, segment->fd, item->file_offset,
			refs->stored.data, item->stored_bytes, &got);
	if (r < 0)
		return r;
	struct chunk chunk;
	r = got < item->stored_bytes ? -EBADMSG
				     : segment_check_chunk(item, shard->tag,
					       index_item_end(&segment->index, i) - item->text_offset,
					       refs->stored.data, &chunk);
	return r < 0 ? r : collect_chunk(refs, &chunk);
}

/* A copy of the bases, and the active segment as it is now. */
static int snapshot(
	struct sfs_shard *shard, uint64_t **ret_bases, size_t *ret_count, uint64_t *ret_size)
{
	SCOPED_LOCK(&shard->lock);
	size_t count = shard->base_count;
	uint64_t *bases = malloc((count ? count : 1) * sizeof *bases);
	if (!bases)
		return -ENOMEM;
	if (count)
		memcpy(bases, shard->bases, count * sizeof *bases);
	*ret_bases = bases;
	*ret_count = count;
	*ret_size = shard->size;
	return 0;
}

/* Always from the file: the active segment's index grows while it is read. */
static int collect_segment(
	struct references *refs, struct sfs_shard *shard, uint64_t base, uint64_t end)
{
	struct sfs_store *store = shard->stream->store;
	char path[SHARD_PATH_MAX];
	shard_segment_path(shard, path, base, SEGMENT_SUFFIX);
	int fd;
	int r = disk_open(&store->disk, store->streams_dir, path, O_RDONLY, &fd);
	if (r < 0)
		return r;
	struct scan scan;
	r = segment_scan(&store->disk, fd, shard->tag, base, 0, UINT64_MAX, &scan);
	if (r < 0) {
		close(fd);
		return r;
	}
	struct segment segment = {.base_offset = base, .fd = fd, .index = scan.index};
	if (scan.index.end_offset < end || scan.gap_count)
		r = -EBADMSG;
	for (size_t i = 0; r == 0 && i < segment.index.count; i++)
		r = collect_item(refs, shard, &segment, i);
	index_fini(&segment.index);
	close(fd);
	return r;
}

static int collect_shard(struct references *refs, struct sfs_shard *shard)
{
	_cleanup_free_ uint64_t *bases = NULL;
	size_t count;
	uint64_t size;
	int r = shard_open_held(shard);
	if (r == 0)
		r = snapshot(shard, &bases, &count, &size);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = collect_segment(refs, shard, bases[i], i + 1 < count ? bases[i + 1] : size);
	return r;
}

static int compare_digests(const void *a, const void *b)
{
	return memcmp(a, b, 32);
}

static int is_referenced(void *context, const uint8_t digest[32], bool *ret_referenced)
{
	const struct references *refs = context;
	uint64_t begun;
	if (!blobs_idle(refs->blobs, &begun) || begun != refs->puts_begun)
		return -EAGAIN; /* a claim check may have come since */
	*ret_referenced = refs->digests.size && bsearch(digest, refs->digests.data,
							refs->digests.size / 32, 32, compare_digests);
	return 0;
}

/* Whatever cannot be read might name a blob: any damage stops the sweep. */
static int sweep_held(struct sfs_stream *stream, struct references *refs)
{
	int r = stream_open_blobs(stream, false);
	if (r < 0 || stream->blobs.dir < 0)
		return r;
	refs->blobs = &stream->blobs;
	if (!blobs_idle(refs->blobs, &refs->puts_begun))
		return -EAGAIN;
	for (size_t i = 0; r == 0 && i < stream->shard_count; i++)
		r = collect_shard(refs, stream->shards[i]);
	if (r < 0)
		return r;
	if (refs->digests.size)
		qsort(refs->digests.data, refs->digests.size / 32, 32, compare_digests);
	uint64_t removed = 0;
	r = blobs_sweep(
		&stream->blobs, stream->store->orphan_grace_ms, is_referenced, refs, &removed);
	metric_add(&stream->store->metrics.blobs_swept, removed);
	if (removed)
		store_report(stream->store, SFS_INFO, "%s: removed %llu blobs that no record names",
			stream->name, (unsigned long long)removed);
	return r;
}

int stream_sweep_orphans(struct sfs_stream *stream)
{
	struct references refs = {0};
	pthread_rwlock_rdlock(&stream->lock);
	int r = stream->removed ? -ENOENT : sweep_held(stream, &refs);
	pthread_rwlock_unlock(&stream->lock);
	buf_fini(&refs.digests);
	buf_fini(&refs.stored);
	buf_fini(&refs.raw);
	return r;
}

int sfs_blob_list(
	struct sfs_stream *stream, int (*each)(void *context, const char *digest), void *context)
{
	pthread_rwlock_rdlock(&stream->lock);
	int r = stream_open_blobs(stream, false);
	pthread_rwlock_unlock(&stream->lock);
	return r < 0 ? r : blobs_list(&stream->blobs, each, context);
}

struct sfs_blob {
	struct sfs_stream *stream;
	struct blob *blob;
};

int sfs_blob_open(struct sfs_stream *stream, const char *digest, struct sfs_blob **ret_blob)
{
	pthread_rwlock_rdlock(&stream->lock);
	int r = stream_open_blobs(stream, false);
	pthread_rwlock_unlock(&stream->lock);
	if (r < 0)
		return r;
	struct sfs_blob *blob = calloc(1, sizeof *blob);
	if (!blob)
		return -ENOMEM;
	r = blob_open(&stream->blobs, digest, &blob->blob);
	if (r < 0) {
		free(blob);
		return r;
	}
	blob->stream = sfs_stream_ref(stream);
	*ret_blob = blob;
	return 0;
}

void sfs_blob_close(struct sfs_blob *blob)
{
	if (!blob)
		return;
	blob_close(blob->blob);
	sfs_stream_unref(blob->stream);
	free(blob);
}

uint64_t sfs_blob_size(const struct sfs_blob *blob)
{
	return blob_size(blob->blob);
}

uint64_t sfs_blob_stored(const struct sfs_blob *blob)
{
	return blob_stored(blob->blob);
}

uint64_t sfs_blob_time_ms(const struct sfs_blob *blob)
{
	return blob_time_ms(blob->blob);
}

int sfs_blob_read(
	struct sfs_blob *blob, uint64_t offset, void *buffer, size_t bytes, size_t *ret_bytes)
{
	return blob_read(blob->blob, offset, buffer, bytes, ret_bytes);
}
