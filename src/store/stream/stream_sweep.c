/* SPDX-License-Identifier: MIT */
#include "stream_sweep.h"

#include "active_files.h"
#include "blob_sweep.h"
#include "cleanup.h"
#include "meta.h"
#include "sealed_segment.h"
#include "stream.h"
#include "stream_blobs.h"
#include "store.h"
#include "trace.h"

struct sweep {
	struct sfs_stream *stream;
	struct blob_batch *batch;
	struct buf meta, raw;	/* of the chunk at hand */
	struct buf frame, text; /* ... if the horizon lies in it */
};

/* Marks what the records of a chunk name, but for the first ones. */
static int keep_claims(struct sweep *sweep, const struct chunk *chunk, uint32_t skip)
{
	sweep->raw.size = 0;
	int r = chunk_decode_meta(chunk, sweep->meta.data, &sweep->raw);
	struct meta_view view;
	if (r == 0)
		r = meta_view_init(&view, &sweep->raw, chunk->arrival_ms);
	if (r < 0)
		return r;
	for (uint32_t i = 0; r == 0 && i < chunk->record_count; i++) {
		struct meta_record record;
		r = meta_view_next(&view, &record);
		if (r == 0 && record.has_claim && i >= skip)
			blob_batch_keep(sweep->batch, record.claim.digest);
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

/* What a shard holds at one moment. */
struct shard_view {
	struct sfs_shard *shard;
	uint64_t horizon;
	uint64_t *bases; /* of the sealed segments */
	size_t base_count;
	uint64_t sealed_end;
	struct segment *active; /* counted; NULL: none */
	struct index index;	/* of the active segment, as far as it is published */
};

/* How many records of a chunk end before its first `bytes` of text do. */
static int count_trimmed(struct sweep *sweep, int fd, uint64_t frame_offset,
	const struct chunk *chunk, uint64_t bytes, uint32_t *ret_count)
{
	sweep->frame.size = sweep->text.size = 0;
	int r = buf_reserve(&sweep->frame, chunk->frame_bytes);
	if (r == 0)
		r = buf_reserve(&sweep->text, chunk->text_bytes);
	if (r == 0)
		r = read_exactly(&sweep->stream->store->env.disk, fd, frame_offset,
			sweep->frame.data, chunk->frame_bytes);
	if (r == 0)
		r = chunk_decode(chunk, sweep->frame.data, sweep->text.data);
	if (r < 0)
		return r;
	uint32_t count = 0;
	for (uint64_t i = 0; i < bytes; i++)
		count += sweep->text.data[i] == '\n';
	*ret_count = count;
	return 0;
}

/* The chunk's header and meta; its frame only if the horizon lies in it. */
static int look_at_item(struct sweep *sweep, const struct shard_view *view, int fd,
	const struct index *index, size_t i)
{
	const struct disk *disk = &sweep->stream->store->env.disk;
	const struct index_item *item = &index->items[i];
	uint64_t end = index_item_end(index, i);
	if (end <= view->horizon)
		return 0;
	if (item->flags & INDEX_DAMAGED)
		return -EBADMSG;
	if (!(item->flags & INDEX_HAS_META))
		return 0;
	struct chunk_header header;
	struct chunk chunk;
	uint64_t meta_offset = item->file_offset + sizeof header;
	int r = read_exactly(disk, fd, item->file_offset, &header, sizeof header);
	if (r == 0)
		r = segment_check_chunk(
			item, view->shard->tag, end - item->start.offset, &header, &chunk);
	if (r < 0)
		return r;
	sweep->meta.size = 0;
	uint32_t trimmed = 0;
	r = buf_reserve(&sweep->meta, chunk.meta_bytes);
	if (r == 0)
		r = read_exactly(disk, fd, meta_offset, sweep->meta.data, chunk.meta_bytes);
	if (r == 0 && item->start.offset < view->horizon)
		r = count_trimmed(sweep, fd, meta_offset + chunk.meta_bytes, &chunk,
			view->horizon - item->start.offset, &trimmed);
	return r < 0 ? r : keep_claims(sweep, &chunk, trimmed);
}

static int look_at_items(
	struct sweep *sweep, const struct shard_view *view, int fd, const struct index *index)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < index->count; i++)
		r = atomic_load(&sweep->stream->store->env.closing)
			    ? -ECANCELED
			    : look_at_item(sweep, view, fd, index, i);
	return r;
}

static uint64_t horizon_of(struct sfs_shard *shard)
{
	SCOPED_LOCK(&shard->lock);
	return shard->horizon.offset;
}

/* Past the cache, which is for readers. `end` is where the text of the segment must reach to. */
static int look_at_sealed(
	struct sweep *sweep, const struct shard_view *view, uint64_t base, uint64_t end)
{
	if (end <= view->horizon)
		return 0;
	struct segment *segment = NULL;
	int r = shard_uncached_segment(view->shard, base, &segment);
	if (r == 0)
		r = segment->index.end.at.offset < end
			    ? -EBADMSG
			    : look_at_items(sweep, view, segment->fd, &segment->index);
	segment_unref(segment);
	/* What was trimmed since may be gone already. */
	return r == -EBADMSG && end <= horizon_of(view->shard) ? 0 : r;
}

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
	while (count < from->count && from->items[count].start.offset < shard->end.offset)
		count++;
	struct index_item *items = malloc((count ? count : 1) * sizeof *items);
	if (!items)
		return -ENOMEM;
	if (count)
		memcpy(items, from->items, count * sizeof *items);
	*ret_index = (struct index){.items = items, .count = count, .end.at = shard->end};
	return 0;
}

static int view_init(struct shard_view *view, struct sfs_shard *shard)
{
	*view = (struct shard_view){.shard = shard};
	SCOPED_LOCK(&shard->lock);
	view->horizon = shard->horizon.offset;
	view->base_count = shard->base_count - (shard->active != NULL);
	view->sealed_end = shard->active ? shard->active->base_offset : shard->end.offset;
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

static int look_at_shard(struct sweep *sweep, struct sfs_shard *shard)
{
	struct shard_view view;
	int r = view_init(&view, shard);
	for (size_t i = 0; r == 0 && i < view.base_count; i++)
		r = look_at_sealed(sweep, &view, view.bases[i],
			i + 1 < view.base_count ? view.bases[i + 1] : view.sealed_end);
	if (r == 0 && view.active)
		r = look_at_items(sweep, &view, view.active->fd, &view.index);
	view_fini(&view);
	return r;
}

static int look_at_number(struct sweep *sweep, uint32_t number)
{
	struct sfs_shard *shard;
	int r = sfs_stream_shard(sweep->stream, number, &shard);
	if (r == -ENOENT && !sfs_stream_has_shard(sweep->stream, number))
		return 0; /* left the table: it holds nothing */
	if (r < 0)
		return r;
	r = look_at_shard(sweep, shard);
	sfs_shard_unref(shard);
	return r;
}

/* Whatever cannot be read might name a blob: any damage stops the sweep. */
static int keep_named(void *context, struct blob_batch *batch)
{
	struct sweep *sweep = context;
	_cleanup_free_ uint32_t *numbers = NULL;
	size_t count;
	sweep->batch = batch;
	int r = sfs_stream_shards(sweep->stream, &numbers, &count);
	for (size_t i = 0; r == 0 && i < count; i++)
		r = look_at_number(sweep, numbers[i]);
	return r;
}

static int open_for_sweep(struct sfs_stream *stream)
{
	SCOPED_RDLOCK(&stream->home.lock);
	return stream->home.removed ? -ENOENT : stream_blobs_open(stream, false);
}

static void report_removed(struct sfs_stream *stream, uint64_t removed)
{
	char name[SFS_NAME_MAX + 1];
	metric_add(&stream->store->env.metrics.blobs_swept, removed);
	if (!removed)
		return;
	home_name(&stream->home, name);
	env_report(&stream->store->env, SFS_INFO, "%s: removed %llu blobs that no record names",
		name, (unsigned long long)removed);
}

int stream_sweep(struct sfs_stream *stream, uint64_t grace_ms)
{
	struct sweep sweep = {.stream = stream};
	const struct blob_sweep spec = {
		.grace_ms = grace_ms,
		.temporary_grace_ms = stream->store->orphan_grace_ms,
		.batch_max = stream->store->sweep_blobs,
		.keep_named = keep_named,
		.context = &sweep,
	};
	uint64_t removed;
	int r = open_for_sweep(stream);
	if (r < 0 || stream->blobs.dir < 0)
		return r;
	r = blob_sweep(&stream->blobs, &spec, &removed);
	buf_fini(&sweep.meta);
	buf_fini(&sweep.raw);
	buf_fini(&sweep.frame);
	buf_fini(&sweep.text);
	TRACE(blob, "stream %llu: sweep of blobs older than %llu ms: %d, %llu removed",
		(unsigned long long)stream->id, (unsigned long long)grace_ms, r,
		r == 0 ? (unsigned long long)removed : 0);
	if (r == 0)
		report_removed(stream, removed);
	return r;
}
