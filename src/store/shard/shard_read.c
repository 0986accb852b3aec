/* SPDX-License-Identifier: MIT */
/*
 * Reading a shard. The index has the chunks that hold the range. Each one is read, checked and
 * decompressed, straight into the caller's buffer if all of the chunk is wanted. Neighbouring
 * chunks are read from the disk together.
 */
#include "shard_read.h"

#include "cleanup.h"
#include "span.h"

enum { SPAN_STORED_BYTES = 1 << 20 }; /* read from the disk at once, unless one chunk is larger */

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
	struct lru *cache = q->shard->env->chunks;
	uint64_t text_bytes = span->ends[i] - item->start.offset;
	struct chunk chunk;
	if (segment_check_chunk(item, q->shard->tag, text_bytes, stored, &chunk) < 0)
		return shard_note_damage(q->shard, span, i);
	const void *frame = chunk_frame_of(&chunk, stored);
	if (q->done == item->start.offset && span->ends[i] <= q->end) {
		if (chunk_decode(&chunk, frame, q->buffer + (q->done - q->offset)) < 0)
			return shard_note_damage(q->shard, span, i);
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
		copy_text(q, item->start.offset, text->data, text_bytes);
		lru_put(cache, span->segment->uid, item->file_offset, text, text_bytes);
	} else {
		r = shard_note_damage(q->shard, span, i);
	}
	chunk_text_unref(text);
	return r;
}

/* True if the decoded chunk was still there. */
static bool take_cached(struct request *q, const struct span *span, size_t i)
{
	struct chunk_text *text =
		lru_get(q->shard->env->chunks, span->segment->uid, span->items[i].file_offset);
	if (!text)
		return false;
	copy_text(q, span->items[i].start.offset, text->data, text->bytes);
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
	int r = disk_read(&q->shard->env->disk, span->segment->fd, span->items[i].file_offset,
		stored, bytes, &got);
	if (r < 0)
		return r;
	size_t at = 0;
	for (size_t k = i; k < i + n; k++) {
		if (span->items[k].stored_bytes > got - at)
			return shard_note_damage(q->shard, span, k);
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
			return shard_note_damage(q->shard, span, i);
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
		r = shard_span(shard, q.done, q.end, &span);
		if (r == 0)
			r = take_span(&q, &span);
		segment_unref(span.segment);
		if (r < 0)
			break;
	}
	if (r < 0 && q.done == offset) {
		/* Damage that makes a read short counts when the next read fails for it. */
		if (r == -EBADMSG)
			metric_add(&shard->env->metrics.checksum_errors, 1);
		return r;
	}
	*ret_bytes = (size_t)(q.done - offset);
	return 0;
}

/* What is kept of the horizon's page, from `offset` on. */
static size_t copy_kept(struct sfs_shard *shard, uint64_t offset, void *buffer, size_t bytes)
{
	SCOPED_LOCK(&shard->lock);
	const struct buf *page = &shard->horizon_page;
	uint64_t from = shard->horizon.offset - page->size;
	if (offset < from || offset >= shard->horizon.offset)
		return 0;
	size_t left = (size_t)(shard->horizon.offset - offset);
	size_t n = left < bytes ? left : bytes;
	memcpy(buffer, page->data + (offset - from), n);
	return n;
}

int sfs_shard_read_page(
	struct sfs_shard *shard, uint64_t offset, void *buffer, size_t bytes, size_t *ret_bytes)
{
	int r = sfs_shard_read(shard, offset, buffer, bytes, ret_bytes);
	if (r != -ESTALE)
		return r;
	size_t kept = copy_kept(shard, offset, buffer, bytes), more = 0;
	if (!kept)
		return r;
	if (kept < bytes)
		r = sfs_shard_read(
			shard, offset + kept, (char *)buffer + kept, bytes - kept, &more);
	*ret_bytes = kept + (kept < bytes && r == 0 ? more : 0);
	return 0;
}
