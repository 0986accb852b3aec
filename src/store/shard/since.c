/* SPDX-License-Identifier: MIT */
#include "since.h"

#include "chunk_search.h"
#include "render.h"
#include "span.h"

#include <errno.h>

/* Finds the first record of the chunk that arrived at the time or later, or the one behind it. */
static int since_in_chunk(struct sfs_shard *shard, uint64_t since_ms,
	const struct chunk_found *chunk, uint64_t *ret_offset)
{
	*ret_offset = chunk->damaged ? chunk->offset : chunk->next_offset;
	if (chunk->damaged || !chunk->has_meta)
		return 0;
	struct cursor cursor;
	uint64_t from = chunk->offset > chunk->shard_horizon ? chunk->offset : chunk->shard_horizon;
	cursor_init(&cursor, shard, from, NULL, 0);
	int r = 0;
	while (cursor.offset < chunk->end) {
		struct cursor_record record;
		r = cursor_record(&cursor, &record);
		if (r < 0 || cursor.offset >= chunk->end)
			break;
		if (record.first && record.arrival_ms >= since_ms) {
			*ret_offset = record.offset;
			break;
		}
		cursor_pass(&cursor);
	}
	if (r == -EBADMSG)
		*ret_offset = chunk->offset;
	cursor_fini(&cursor);
	return r == -EBADMSG || r == -ENODATA || r == -ESTALE ? 0 : r;
}

int shard_since(struct sfs_shard *shard, uint64_t since_ms, uint64_t *ret_offset)
{
	if (shard_published(shard).last_arrival_ms < since_ms)
		return -ENODATA;
	struct chunk_found chunk;
	int r = shard_chunk_before(shard, CHUNK_ARRIVAL_MS, since_ms, &chunk);
	if (r < 0)
		return r;
	uint64_t offset = chunk.shard_horizon;
	if (chunk.found)
		r = since_in_chunk(shard, since_ms, &chunk, &offset);
	if (r < 0)
		return r;
	if (offset >= chunk.shard_end)
		return -ENODATA;
	*ret_offset = offset > chunk.shard_horizon ? offset : chunk.shard_horizon;
	return 0;
}

int shard_json_place(struct sfs_shard *shard, uint64_t json_offset, struct json_chunk *ret_chunk)
{
	struct chunk_found chunk;
	int r = shard_chunk_before(shard, CHUNK_JSON_OFFSET, json_offset + 1, &chunk);
	if (r < 0)
		return r;
	bool lost = !chunk.found || json_offset >= chunk.json_end; /* no chunk has it */
	*ret_chunk = (struct json_chunk){
		.text_offset = chunk.start_offset,
		.json_offset = chunk.json_offset,
		.json_end = lost ? chunk.json_behind : chunk.json_end,
		.damaged = lost || chunk.damaged || chunk.start_damaged,
	};
	return 0;
}

int shard_json_offset(struct sfs_shard *shard, uint64_t offset, uint64_t *ret_json_offset)
{
	struct chunk_place chunk;
	int r = shard_chunk_at(shard, offset, &chunk);
	if (r < 0)
		return r;
	segment_unref(chunk.segment);
	if (chunk.item.start.offset == offset || chunk.item.flags & INDEX_DAMAGED) {
		*ret_json_offset = chunk.item.start.json_offset;
		return 0;
	}
	struct cursor cursor;
	uint64_t bytes;
	cursor_init(&cursor, shard, offset, NULL, 0);
	r = render_size(&cursor, chunk.end, &bytes);
	cursor_fini(&cursor);
	if (r == 0)
		*ret_json_offset = chunk.json_end - bytes;
	return r;
}
