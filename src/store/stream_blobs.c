/* SPDX-License-Identifier: MIT */
/*
 * A stream and its blobs: where they are (inside the stream, or below the directory given with
 * the store, under the store's uuid and the stream's id), and which of them no record names.
 */
#include "active_files.h"
#include "cleanup.h"
#include "meta.h"
#include "shard.h"
#include "stream.h"
#include "tidier.h"

#include "streamfs/blob.h"

#include <fcntl.h>
#include <stdio.h>

/* The directory of the blobs as a path below *ret_dir. */
static void blobs_path(const struct sfs_stream *stream, char path[SHARD_PATH_MAX], int *ret_dir)
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

/*
 * Sweeping. First come the blobs that are old enough to go, a batch of them; then every claim check
 * of the stream is held against these, and what no record names goes. So memory is bounded by the
 * batch, and nothing is read where no blob is old. Only headers and meta are read, and no lock is
 * held meanwhile.
 */
enum { DIGEST_BYTES = 32 };

struct orphans {
	struct sfs_stream *stream;
	struct buf digests; /* rising */
	struct buf named;   /* bool[] */
	struct buf meta, raw;
	uint64_t puts_begun; /* before the first record was looked at */
};

static int compare_digests(const void *a, const void *b)
{
	return memcmp(a, b, DIGEST_BYTES);
}

/* What the batch knows of a digest; NULL: it is not in it. */
static bool *find_orphan(const struct orphans *orphans, const uint8_t digest[DIGEST_BYTES])
{
	size_t count = orphans->digests.size / DIGEST_BYTES;
	const uint8_t *found =
		count ? bsearch(digest, orphans->digests.data, count, DIGEST_BYTES, compare_digests)
		      : NULL;
	if (!found)
		return NULL;
	return (bool *)orphans->named.data + (found - orphans->digests.data) / DIGEST_BYTES;
}

static int name_claims(struct orphans *orphans, const struct chunk *chunk)
{
	orphans->raw.size = 0;
	int r = chunk_decode_meta(chunk, orphans->meta.data, &orphans->raw);
	struct meta_view view;
	if (r == 0)
		r = meta_view_init(&view, &orphans->raw, chunk->arrival_ms);
	if (r < 0)
		return r;
	for (uint32_t i = 0; r == 0 && i < chunk->record_count; i++) {
		struct meta_record record;
		r = meta_view_next(&view, &record);
		bool *named = r == 0 && record.has_claim ? find_orphan(orphans, record.claim.digest)
							 : NULL;
		if (named)
			*named = true;
	}
	meta_view_fini(&view);
	return r;
}

static int read_exactly(
	const struct disk *disk, int fd, uint64_t offset, void *buffer, size_t bytes)
{
	size_t got;
	int r = disk_read(disk, fd, offset, buffer, bytes, &got);
	return r < 0 ? r : got < bytes ? -EBADMSG : 0;
}

/* The chunk's header and meta, without its frame. */
static int look_at_item(struct orphans *orphans, struct sfs_shard *shard, int fd,
	const struct index *index, size_t i)
{
	const struct disk *disk = &shard->stream->store->disk;
	const struct index_item *item = &index->items[i];
	if (item->flags & INDEX_DAMAGED)
		return -EBADMSG;
	if (!(item->flags & INDEX_HAS_META))
		return 0;
	struct chunk_header header;
	struct chunk chunk;
	int r = read_exactly(disk, fd, item->file_offset, &header, sizeof header);
	if (r == 0)
		r = segment_check_chunk(item, shard->tag,
			index_item_end(index, i) - item->text_offset, &header, &chunk);
	if (r < 0)
		return r;
	orphans->meta.size = 0;
	r = buf_reserve(&orphans->meta, chunk.meta_bytes);
	if (r == 0)
		r = read_exactly(disk, fd, item->file_offset + sizeof header, orphans->meta.data,
			chunk.meta_bytes);
	return r < 0 ? r : name_claims(orphans, &chunk);
}

static int look_at_items(
	struct orphans *orphans, struct sfs_shard *shard, int fd, const struct index *index)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < index->count; i++)
		r = atomic_load(&shard->stream->store->closing)
			    ? -ECANCELED
			    : look_at_item(orphans, shard, fd, index, i);
	return r;
}

/* Past the cache, which is for readers. `end` is where the text of the segment must reach to. */
static int look_at_sealed(
	struct orphans *orphans, struct sfs_shard *shard, uint64_t base, uint64_t end)
{
	struct segment *segment;
	int r = shard_uncached_segment(shard, base, &segment);
	if (r < 0)
		return r;
	r = segment->index.end_offset < end
		    ? -EBADMSG
		    : look_at_items(orphans, shard, segment->fd, &segment->index);
	segment_unref(segment);
	return r;
}

/* What a shard holds at one moment. */
struct shard_view {
	uint64_t *bases; /* of the sealed segments */
	size_t base_count;
	uint64_t sealed_end;
	struct segment *active; /* counted; NULL: none */
	struct index index;	/* of the active segment, as far as it is published */
};

static void view_fini(struct shard_view *view)
{
	free(view->bases);
	segment_unref(view->active);
	index_fini(&view->index);
}

static int copy_index_locked(struct sfs_shard *shard, struct index *ret_index)
{
	const struct index *from = &shard->active->index;
	size_t count = 0;
	while (count < from->count && from->items[count].text_offset < shard->size)
		count++;
	struct index_item *items = malloc((count ? count : 1) * sizeof *items);
	if (!items)
		return -ENOMEM;
	if (count)
		memcpy(items, from->items, count * sizeof *items);
	*ret_index = (struct index){.items = items, .count = count, .end_offset = shard->size};
	return 0;
}

static int view_init(struct shard_view *view, struct sfs_shard *shard)
{
	*view = (struct shard_view){0};
	SCOPED_LOCK(&shard->lock);
	view->base_count = shard->base_count - (shard->active != NULL);
	view->sealed_end = shard->active ? shard->active->base_offset : shard->size;
	size_t bytes = view->base_count * sizeof *view->bases;
	view->bases = malloc(bytes ? bytes : 1);
	if (!view->bases)
		return -ENOMEM;
	if (bytes)
		memcpy(view->bases, shard->bases, bytes);
	if (!shard->active)
		return 0;
	int r = active_file_open_locked(shard);
	if (r < 0)
		return r;
	view->active = segment_ref(shard->active);
	return copy_index_locked(shard, &view->index);
}

static int look_at_shard(struct orphans *orphans, struct sfs_shard *shard)
{
	struct shard_view view;
	int r = view_init(&view, shard);
	for (size_t i = 0; r == 0 && i < view.base_count; i++)
		r = look_at_sealed(orphans, shard, view.bases[i],
			i + 1 < view.base_count ? view.bases[i + 1] : view.sealed_end);
	if (r == 0 && view.active)
		r = look_at_items(orphans, shard, view.active->fd, &view.index);
	view_fini(&view);
	return r;
}

/* Whatever cannot be read might name a blob: any damage stops the sweep. */
static int look_at_stream(struct orphans *orphans)
{
	_cleanup_free_ uint32_t *numbers = NULL;
	size_t count;
	int r = sfs_stream_shards(orphans->stream, &numbers, &count);
	for (size_t i = 0; r == 0 && i < count; i++) {
		struct sfs_shard *shard;
		r = sfs_stream_shard(orphans->stream, numbers[i], &shard);
		if (r < 0)
			break;
		r = look_at_shard(orphans, shard);
		sfs_shard_unref(shard);
	}
	return r;
}

static int is_referenced(void *context, const uint8_t digest[DIGEST_BYTES], bool *ret_referenced)
{
	const struct orphans *orphans = context;
	struct blobs *blobs = &orphans->stream->blobs;
	uint64_t begun;
	if (!blobs_idle(blobs, &begun) || begun != orphans->puts_begun)
		return -EAGAIN; /* a claim check may have come since */
	const bool *named = find_orphan(orphans, digest);
	*ret_referenced = !named || *named;
	return 0;
}

/* Lists the blobs of the next batch; `digests` is the last one. */
static int next_batch(struct orphans *orphans)
{
	struct sfs_store *store = orphans->stream->store;
	struct buf digests = {0};
	const uint8_t *last = orphans->digests.size
				      ? orphans->digests.data + orphans->digests.size - DIGEST_BYTES
				      : NULL;
	int r = blobs_list_old(&orphans->stream->blobs, store->orphan_grace_ms, last,
		store->sweep_blobs, &digests);
	if (r < 0)
		return r;
	buf_fini(&orphans->digests);
	orphans->digests = digests;
	orphans->named.size = 0;
	r = buf_reserve(&orphans->named, digests.size / DIGEST_BYTES + 1);
	if (r == 0)
		memset(orphans->named.data, 0, digests.size / DIGEST_BYTES + 1);
	return r;
}

static int sweep_batch(struct orphans *orphans, uint64_t *removed)
{
	struct sfs_stream *stream = orphans->stream;
	uint64_t count = 0;
	if (!blobs_idle(&stream->blobs, &orphans->puts_begun))
		return -EAGAIN;
	int r = orphans->digests.size ? look_at_stream(orphans) : 0;
	if (r == 0)
		r = blobs_sweep(&stream->blobs, stream->store->orphan_grace_ms, is_referenced,
			orphans, &count);
	*removed += count;
	return r;
}

static int sweep(struct orphans *orphans, uint64_t *removed)
{
	size_t full = orphans->stream->store->sweep_blobs * DIGEST_BYTES;
	int r;
	do {
		r = next_batch(orphans);
		if (r == 0)
			r = sweep_batch(orphans, removed);
	} while (r == 0 && orphans->digests.size == full);
	return r;
}

static int open_for_sweep(struct sfs_stream *stream)
{
	pthread_rwlock_rdlock(&stream->lock);
	int r = stream->removed ? -ENOENT : stream_open_blobs(stream, false);
	pthread_rwlock_unlock(&stream->lock);
	return r;
}

int stream_sweep_orphans(struct sfs_stream *stream)
{
	struct orphans orphans = {.stream = stream};
	uint64_t removed = 0;
	int r = open_for_sweep(stream);
	if (r < 0 || stream->blobs.dir < 0)
		return r;
	r = sweep(&orphans, &removed);
	buf_fini(&orphans.digests);
	buf_fini(&orphans.named);
	buf_fini(&orphans.meta);
	buf_fini(&orphans.raw);
	metric_add(&stream->store->metrics.blobs_swept, removed);
	if (removed) {
		char name[SFS_NAME_MAX + 1];
		sfs_stream_name(stream, name);
		store_report(stream->store, SFS_INFO, "%s: removed %llu blobs that no record names",
			name, (unsigned long long)removed);
	}
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
