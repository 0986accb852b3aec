/* SPDX-License-Identifier: MIT */
#include "horizon.h"

#include "chunk_search.h"
#include "render.h"
#include "since.h"
#include "span.h"

#include <errno.h>

struct horizon horizon_now(struct sfs_shard *shard)
{
	struct shard_published now = shard_published(shard);
	return (struct horizon){now.horizon, now.last_arrival_ms};
}

struct horizon horizon_at_end(struct sfs_shard *shard)
{
	struct shard_published now = shard_published(shard);
	return (struct horizon){now.end, now.last_arrival_ms};
}

/*
 * The place of a record that begins inside a chunk. Its JSON offset is the chunk's JSON end, less
 * the JSON lines from this record on that end in the chunk.
 */
static int horizon_in_chunk(struct cursor *cursor, uint64_t offset, const struct chunk_place *chunk,
	struct horizon *ret_horizon)
{
	struct cursor_record record;
	uint64_t json_after;
	int r;
	while ((r = cursor_record(cursor, &record)) == 0) {
		if (record.first && record.offset >= offset)
			break;
		cursor_pass(cursor);
		if (cursor->offset >= chunk->end)
			return -EINVAL;
	}
	if (r == 0 && record.offset != offset)
		r = -EINVAL;
	if (r < 0)
		return r;
	struct horizon found = {{offset, record.sequence, 0}, record.arrival_ms};
	r = render_size(cursor, chunk->end, &json_after);
	if (r < 0)
		return r;
	found.at.json_offset = chunk->json_end - json_after;
	*ret_horizon = found;
	return 0;
}

int horizon_at_offset(struct sfs_shard *shard, uint64_t offset, struct horizon *ret_horizon)
{
	struct horizon now = horizon_now(shard), end = horizon_at_end(shard);
	if (offset > end.at.offset)
		return -EINVAL;
	if (offset <= now.at.offset || offset == end.at.offset) {
		*ret_horizon = offset == end.at.offset ? end : now;
		return 0;
	}
	struct chunk_place chunk;
	int r = shard_chunk_at(shard, offset, &chunk);
	if (r < 0)
		return r;
	segment_unref(chunk.segment); /* merging may replace it; the chunk's place stays right */
	const struct index_item *item = &chunk.item;
	if (item->start.offset == offset && !(item->flags & INDEX_CONTINUES)) {
		*ret_horizon = (struct horizon){item->start, item->arrival_ms};
		return 0;
	}
	struct cursor cursor;
	uint64_t from = item->start.offset > now.at.offset ? item->start.offset : now.at.offset;
	cursor_init(&cursor, shard, from, NULL, 0);
	r = horizon_in_chunk(&cursor, offset, &chunk, ret_horizon);
	cursor_fini(&cursor);
	return r;
}

/* Skips damage. -EBADMSG: only damage is left. */
static int offset_of_sequence(
	struct sfs_shard *shard, uint64_t sequence, uint64_t from, uint64_t *ret_offset)
{
	struct cursor cursor;
	struct cursor_record record;
	cursor_init(&cursor, shard, from, NULL, 0);
	int r;
	while ((r = cursor_record(&cursor, &record)) == 0 || r == -EBADMSG) {
		if (r == -EBADMSG) {
			cursor_skip(&cursor);
			continue;
		}
		if (record.first && record.sequence >= sequence) {
			*ret_offset = record.offset;
			break;
		}
		cursor_pass(&cursor);
	}
	cursor_fini(&cursor);
	return r == -ENODATA ? -EBADMSG : r;
}

int horizon_at_sequence(struct sfs_shard *shard, uint64_t sequence, struct horizon *ret_horizon)
{
	struct horizon now = horizon_now(shard), end = horizon_at_end(shard);
	uint64_t offset = 0;
	if (sequence <= now.at.sequence || sequence >= end.at.sequence) {
		*ret_horizon = sequence <= now.at.sequence ? now : end;
		return 0;
	}
	struct chunk_found chunk;
	int r = shard_chunk_before(shard, CHUNK_SEQUENCE, sequence, &chunk);
	if (r < 0)
		return r;
	bool inside = chunk.found && chunk.offset > now.at.offset;
	r = offset_of_sequence(shard, sequence, inside ? chunk.offset : now.at.offset, &offset);
	return r < 0 ? r : horizon_at_offset(shard, offset, ret_horizon);
}

int horizon_at_time(struct sfs_shard *shard, uint64_t ms, struct horizon *ret_horizon)
{
	struct horizon end = horizon_at_end(shard);
	uint64_t offset;
	int r = shard_since(shard, ms, &offset);
	if (r == -ENODATA) {
		*ret_horizon = end;
		return 0;
	}
	return r < 0 ? r : horizon_at_offset(shard, offset, ret_horizon);
}
