/* SPDX-License-Identifier: MIT */
#include "locate.h"

#include "cleanup.h"
#include "meta.h"
#include "span.h"

static uint64_t count_newlines(const uint8_t *text, size_t bytes)
{
	uint64_t count = 0;
	for (size_t i = 0; i < bytes; i++)
		count += text[i] == '\n';
	return count;
}

/* The offset lies behind the first record of the chunk. */
static int sequence_within(struct sfs_shard *shard, const struct index_item *item, uint64_t offset,
	uint64_t *ret_sequence)
{
	size_t bytes = (size_t)(offset - item->start.offset), got = 0;
	_cleanup_free_ uint8_t *text = malloc(bytes);
	if (!text)
		return -ENOMEM;
	int r = sfs_shard_read(shard, item->start.offset, text, bytes, &got);
	if (r < 0)
		return r;
	if (got < bytes)
		return -EBADMSG;
	if (text[bytes - 1] != '\n')
		return -EINVAL;
	*ret_sequence = item->start.sequence + count_newlines(text, bytes);
	return 0;
}

int shard_sequence_at(struct sfs_shard *shard, uint64_t offset, uint64_t *ret_sequence)
{
	int r = shard_open(shard);
	if (r < 0)
		return r;
	struct position end = shard_published(shard).end;
	if (offset > end.offset)
		return -EINVAL;
	if (offset == end.offset) {
		*ret_sequence = end.sequence;
		return 0;
	}
	struct chunk_place place;
	r = shard_chunk_at(shard, offset, &place);
	if (r < 0)
		return r;
	segment_unref(place.segment);
	if (place.item.start.offset != offset)
		return sequence_within(shard, &place.item, offset, ret_sequence);
	if (place.item.flags & INDEX_CONTINUES)
		return -EINVAL;
	*ret_sequence = place.item.start.sequence;
	return 0;
}

static int arrival_in_meta(
	const struct chunk *chunk, const void *stored, uint64_t sequence, uint64_t *ret_arrival_ms)
{
	_cleanup_(buf_fini) struct buf raw = {0};
	struct meta_view view;
	struct meta_record record = {.arrival_ms = chunk->arrival_ms};
	int r = chunk_decode_meta(chunk, chunk_meta_of(stored), &raw);
	if (r == 0)
		r = meta_view_init(&view, &raw, chunk->arrival_ms);
	if (r < 0)
		return r;
	for (uint64_t at = chunk->first_sequence; r == 0 && at <= sequence; at++)
		r = meta_view_next(&view, &record);
	meta_view_fini(&view);
	if (r == 0)
		*ret_arrival_ms = record.arrival_ms;
	return r;
}

static int arrival_in_chunk(struct sfs_shard *shard, const struct chunk_place *place,
	uint64_t sequence, uint64_t *ret_arrival_ms)
{
	const struct index_item *item = &place->item;
	_cleanup_free_ void *stored = malloc(item->stored_bytes);
	size_t got;
	struct chunk chunk;
	if (!stored)
		return -ENOMEM;
	int r = disk_read(&shard->env->disk, place->segment->fd, item->file_offset, stored,
		item->stored_bytes, &got);
	if (r < 0)
		return r;
	if (got < item->stored_bytes)
		return -EBADMSG;
	r = segment_check_chunk(item, shard->tag, place->end - item->start.offset, stored, &chunk);
	if (r < 0)
		return r;
	if (sequence - chunk.first_sequence >= chunk.record_count)
		return -EBADMSG;
	return arrival_in_meta(&chunk, stored, sequence, ret_arrival_ms);
}

int shard_arrival_at(
	struct sfs_shard *shard, uint64_t offset, uint64_t sequence, uint64_t *ret_arrival_ms)
{
	struct chunk_place place;
	int r = shard_open(shard);
	if (r == 0)
		r = shard_chunk_at(shard, offset, &place);
	if (r < 0)
		return r;
	if (place.item.start.offset == offset || !(place.item.flags & INDEX_HAS_META))
		*ret_arrival_ms = place.item.arrival_ms;
	else
		r = arrival_in_chunk(shard, &place, sequence, ret_arrival_ms);
	segment_unref(place.segment);
	return r;
}
