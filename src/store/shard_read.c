/* SPDX-License-Identifier: MIT */
/*
 * Reading a shard: the index says which chunks hold the range; each is read, checked, and
 * decompressed, straight into the caller's buffer when the whole chunk is wanted. Neighbouring
 * chunks are read from the disk together.
 */
#include "shard.h"

#include "cleanup.h"
#include "stream.h"
#include "tidier.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

enum {
	SPAN_ITEMS = 64,
	SPAN_STORED_BYTES = 1 << 20, /* read from the disk at once, unless one chunk is larger */
};

/* Neighbouring chunks of one segment. */
struct span {
	struct segment *segment; /* counted */
	size_t count;
	struct index_item items[SPAN_ITEMS];
	uint64_t ends[SPAN_ITEMS]; /* text offset behind each */
};

void chunk_text_ref(void *text)
{
	atomic_fetch_add(&((struct chunk_text *)text)->refs, 1);
}

void chunk_text_unref(void *text)
{
	struct chunk_text *t = text;
	if (t && atomic_fetch_sub(&t->refs, 1) == 1)
		free(t);
}

/* The index of a sealed segment: from its file, or by walking the segment. */
static int sealed_index(struct sfs_shard *shard, uint64_t base, int fd, struct index *ret_index,
	bool *ret_unindexed)
{
	struct sfs_store *store = shard->stream->store;
	char path[SHARD_PATH_MAX];
	shard_segment_path(shard, path, base, INDEX_SUFFIX);
	struct stat st;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EBADMSG;
	int r = index_load(&store->disk, store->streams_dir, path, shard->tag, fd,
		(uint64_t)st.st_size, base, ret_index);
	if (r == 0)
		return 0;
	struct scan scan;
	r = segment_scan(&store->disk, fd, shard->tag, base, 0, UINT64_MAX, &scan);
	if (r < 0)
		return r;
	if (scan.gap_count || scan.tail_damaged) {
		metric_add(&store->metrics.quarantined_chunks, scan.gap_count + scan.tail_damaged);
		store_report(store, SFS_ERROR,
			"%s/shard-%04u/%020llu.lz4: damaged: %llu gaps%s; what they held cannot be "
			"read",
			shard->stream->name, shard->number, (unsigned long long)base,
			(unsigned long long)scan.gap_count,
			scan.tail_damaged ? " and the end" : "");
	}
	*ret_index = scan.index;
	*ret_unindexed = !scan.gap_count && !scan.tail_damaged;
	return 0;
}

int shard_sealed_segment_held(
	struct sfs_shard *shard, uint64_t base_offset, struct segment **ret_segment)
{
	struct sfs_store *store = shard->stream->store;
	struct segment *segment = lru_get(store->segments, shard->tag, base_offset);
	if (segment) {
		*ret_segment = segment;
		return 0;
	}
	char path[SHARD_PATH_MAX];
	shard_segment_path(shard, path, base_offset, SEGMENT_SUFFIX);
	_cleanup_close_ int fd = -1;
	int r = disk_open(&store->disk, store->streams_dir, path, O_RDONLY | O_NONBLOCK, &fd);
	if (r < 0)
		return r == -ENOENT || r == -ELOOP ? -EBADMSG : r;
	struct index index;
	bool unindexed = false;
	r = sealed_index(shard, base_offset, fd, &index, &unindexed);
	if (r < 0)
		return r;
	segment = segment_new(base_offset, fd, &index);
	if (!segment) {
		index_fini(&index);
		return -ENOMEM;
	}
	fd = -1;
	atomic_init(&segment->unindexed, unindexed && !store->read_only);
	lru_put(store->segments, shard->tag, base_offset, segment, 1);
	*ret_segment = segment;
	return 0;
}

int shard_sealed_segment(
	struct sfs_shard *shard, uint64_t base_offset, struct segment **ret_segment)
{
	pthread_rwlock_rdlock(&shard->stream->lock);
	int r = shard_sealed_segment_held(shard, base_offset, ret_segment);
	pthread_rwlock_unlock(&shard->stream->lock);
	if (r == 0 && atomic_exchange(&(*ret_segment)->unindexed, false))
		tidier_sealed(shard, base_offset);
	return r;
}

/* Copies the items that hold [offset, end) out of an index; none if it has no such text. */
static void fill_span(struct span *span, const struct index *index, uint64_t offset, uint64_t end)
{
	span->count = 0;
	if (!index->count || offset >= index->end_offset || offset < index->items[0].text_offset)
		return;
	for (size_t i = index_find(index, offset); i < index->count; i++) {
		if (index->items[i].text_offset >= end || span->count == SPAN_ITEMS)
			return;
		span->items[span->count] = index->items[i];
		span->ends[span->count++] = index_item_end(index, i);
	}
}

/* Which segment has the offset, by the rising bases. */
static size_t find_base(const struct sfs_shard *shard, uint64_t offset)
{
	size_t low = 0, high = shard->base_count;
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		if (shard->bases[middle] <= offset)
			low = middle;
		else
			high = middle;
	}
	return low;
}

/*
 * The chunks at `offset`, of one segment. -ENODATA behind the published text (*ret_end is its
 * size), -EBADMSG where no segment has it.
 */
static int span_at(struct sfs_shard *shard, uint64_t offset, uint64_t end, struct span *span)
{
	uint64_t base;
	{
		SCOPED_LOCK(&shard->lock);
		if (offset >= shard->size)
			return -ENODATA;
		if (offset < shard->horizon_offset)
			return -ESTALE;
		if (end > shard->size)
			end = shard->size;
		size_t i = find_base(shard, offset);
		if (i + 1 < shard->base_count && end > shard->bases[i + 1])
			end = shard->bases[i + 1];
		base = shard->bases[i];
		if (shard->active && base == shard->active->base_offset) {
			span->segment = segment_ref(shard->active);
			fill_span(span, &shard->active->index, offset, end);
			return 0;
		}
	}
	int r = shard_sealed_segment(shard, base, &span->segment);
	if (r == 0)
		fill_span(span, &span->segment->index, offset, end);
	return r;
}

/* True if it was not known: from now on it counts, so that later opens read around it. */
static bool remember_damage(struct sfs_shard *shard, uint64_t from, uint64_t to)
{
	SCOPED_LOCK(&shard->lock);
	const uint64_t *known = (const uint64_t *)(void *)shard->bad_chunks.data;
	for (size_t i = 0; i < shard->bad_chunks.size / sizeof from; i++)
		if (known[i] == from)
			return false;
	if (buf_append(&shard->bad_chunks, &from, sizeof from) == 0)
		shard->gap_bytes += to - from;
	return true;
}

static int note_damage(struct sfs_shard *shard, const struct span *span, size_t i)
{
	struct sfs_store *store = shard->stream->store;
	const struct index_item *item = &span->items[i];
	metric_add(&store->metrics.checksum_errors, 1);
	if (item->flags & INDEX_DAMAGED ||
		!remember_damage(shard, item->text_offset, span->ends[i]))
		return -EBADMSG;
	metric_add(&store->metrics.quarantined_chunks, 1);
	char name[SFS_NAME_MAX + 1];
	stream_told_name(shard->stream, name);
	store_report(store, SFS_ERROR,
		"%s/shard-%04u/%020llu.lz4: offset %llu: a chunk fails its check; text %llu to "
		"%llu "
		"cannot be read",
		name, shard->number, (unsigned long long)span->segment->base_offset,
		(unsigned long long)item->file_offset, (unsigned long long)item->text_offset,
		(unsigned long long)span->ends[i]);
	return -EBADMSG;
}

/* What a read wants, and how far it has got. */
struct request {
	struct sfs_shard *shard;
	uint64_t offset, end;
	uint8_t *buffer;
	uint64_t done; /* text offset */
};

static void copy_text(struct request *q, uint64_t text_offset, const uint8_t *text, uint64_t bytes)
{
	uint64_t skip = q->done - text_offset;
	uint64_t take = bytes - skip < q->end - q->done ? bytes - skip : q->end - q->done;
	memcpy(q->buffer + (q->done - q->offset), text + skip, take);
	q->done += take;
}

/* Decodes one stored chunk to where the request wants it. */
static int take_chunk(struct request *q, const struct span *span, size_t i, const void *stored)
{
	const struct index_item *item = &span->items[i];
	struct lru *cache = q->shard->stream->store->chunks;
	uint64_t text_bytes = span->ends[i] - item->text_offset;
	struct chunk chunk;
	if (segment_check_chunk(item, q->shard->tag, text_bytes, stored, &chunk) < 0)
		return note_damage(q->shard, span, i);
	const void *frame = chunk_frame_of(&chunk, stored);
	if (q->done == item->text_offset && span->ends[i] <= q->end) {
		if (chunk_decode(&chunk, frame, q->buffer + (q->done - q->offset)) < 0)
			return note_damage(q->shard, span, i);
		q->done = span->ends[i];
		return 0;
	}
	struct chunk_text *text = malloc(sizeof *text + text_bytes);
	if (!text)
		return -ENOMEM;
	atomic_init(&text->refs, 1);
	text->bytes = text_bytes;
	int r = chunk_decode(&chunk, frame, text->data);
	if (r == 0) {
		copy_text(q, item->text_offset, text->data, text_bytes);
		lru_put(cache, span->segment->uid, item->file_offset, text, text_bytes);
	} else {
		r = note_damage(q->shard, span, i);
	}
	chunk_text_unref(text);
	return r;
}

/* True if the decoded chunk was still there. */
static bool take_cached(struct request *q, const struct span *span, size_t i)
{
	struct chunk_text *text = lru_get(
		q->shard->stream->store->chunks, span->segment->uid, span->items[i].file_offset);
	if (!text)
		return false;
	copy_text(q, span->items[i].text_offset, text->data, text->bytes);
	chunk_text_unref(text);
	return true;
}

/* How many items from `i` on can be read at once: side by side, and not too much. */
static size_t run_length(const struct span *span, size_t i, size_t *ret_bytes)
{
	uint64_t bytes = span->items[i].stored_bytes;
	size_t n = 1;
	for (; i + n < span->count; n++) {
		const struct index_item *item = &span->items[i + n];
		if (item->flags & INDEX_DAMAGED || item->stored_bytes > SPAN_STORED_BYTES ||
			item->file_offset != span->items[i].file_offset + bytes ||
			bytes + item->stored_bytes > SPAN_STORED_BYTES)
			break;
		bytes += item->stored_bytes;
	}
	*ret_bytes = (size_t)bytes;
	return n;
}

static int take_run(struct request *q, const struct span *span, size_t i, size_t n, size_t bytes)
{
	_cleanup_free_ uint8_t *stored = malloc(bytes);
	if (!stored)
		return -ENOMEM;
	size_t got;
	int r = disk_read(&q->shard->stream->store->disk, span->segment->fd,
		span->items[i].file_offset, stored, bytes, &got);
	if (r < 0)
		return r;
	size_t at = 0;
	for (size_t k = i; k < i + n; k++) {
		if (span->items[k].stored_bytes > got - at)
			return note_damage(q->shard, span, k);
		r = take_chunk(q, span, k, stored + at);
		if (r < 0)
			return r;
		at += span->items[k].stored_bytes;
	}
	return 0;
}

static int take_span(struct request *q, const struct span *span)
{
	for (size_t i = 0; i < span->count;) {
		if (span->items[i].flags & INDEX_DAMAGED)
			return note_damage(q->shard, span, i);
		if (take_cached(q, span, i)) {
			i++;
			continue;
		}
		size_t bytes, n = run_length(span, i, &bytes);
		int r = take_run(q, span, i, n, bytes);
		if (r < 0)
			return r;
		i += n;
	}
	return 0;
}

int sfs_shard_read(
	struct sfs_shard *shard, uint64_t offset, void *buffer, size_t bytes, size_t *ret_bytes)
{
	int r = shard_open(shard);
	if (r < 0)
		return r;
	uint64_t size = sfs_shard_size(shard);
	struct request q = {.shard = shard, .offset = offset, .buffer = buffer, .done = offset};
	q.end = offset >= size ? offset : size - offset < bytes ? size : offset + bytes;
	while (q.done < q.end) {
		struct span span = {0};
		r = span_at(shard, q.done, q.end, &span);
		if (r == 0 && !span.count)
			r = -EBADMSG; /* a segment that ends before the next one begins */
		if (r == 0)
			r = take_span(&q, &span);
		segment_unref(span.segment);
		if (r < 0)
			break;
	}
	if (r < 0 && q.done == offset)
		return r;
	*ret_bytes = (size_t)(q.done - offset);
	return 0;
}
