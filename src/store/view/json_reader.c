/* SPDX-License-Identifier: MIT */
#include "json_reader.h"

#include "cleanup.h"
#include "since.h"
#include "trace.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

enum {
	BEHIND_BYTES = 1 << 20, /* JSON that is kept behind the last read */
	AHEAD_BYTES = 4 << 20,	/* a place that is nearer is not searched, but rendered up to */
};

void json_reader_init(struct json_reader *reader, struct sfs_shard *shard)
{
	*reader = (struct json_reader){.shard = shard};
}

static void leave(struct json_reader *reader)
{
	if (reader->placed)
		cursor_fini(&reader->cursor);
	reader->placed = false;
	reader->out.size = 0;
}

void json_reader_fini(struct json_reader *reader)
{
	leave(reader);
	buf_fini(&reader->out);
}

static uint64_t end_offset(const struct json_reader *reader)
{
	return reader->out_offset + reader->out.size;
}

/* What the shard has, all of one moment. */
struct bounds {
	uint64_t text_horizon, json_horizon, json_size;
};

static struct bounds shard_bounds(struct sfs_shard *shard)
{
	SCOPED_LOCK(&shard->lock);
	return (struct bounds){
		.text_horizon = shard->horizon.offset,
		.json_horizon = shard->horizon.json_offset,
		.json_size = shard->end.json_offset,
	};
}

/* Begins again, with the chunk that holds the offset. */
static int place_at(struct json_reader *reader, const struct bounds *bounds, uint64_t offset)
{
	struct json_chunk chunk;
	int r = shard_json_place(reader->shard, offset, &chunk);
	if (r < 0)
		return r;
	leave(reader);
	if (chunk.damaged)
		return -EBADMSG;
	bool trimmed = chunk.text_offset < bounds->text_horizon;
	reader->out_offset = trimmed ? bounds->json_horizon : chunk.json_offset;
	cursor_init(&reader->cursor, reader->shard,
		trimmed ? bounds->text_horizon : chunk.text_offset, NULL, 0);
	reader->renderer = (struct renderer){0};
	reader->placed = true;
	TRACE(read,
		"shard %u: JSON offset %" PRIu64 " lies in the chunk of JSON offset %" PRIu64
		", text offset %" PRIu64,
		reader->shard->number, offset, reader->out_offset, reader->cursor.offset);
	return 0;
}

/* Forgets JSON that is far behind. */
static void shift(struct json_reader *reader)
{
	struct buf *out = &reader->out;
	if (out->size < 2 * BEHIND_BYTES)
		return;
	size_t gone = out->size - BEHIND_BYTES;
	memmove(out->data, out->data + gone, BEHIND_BYTES);
	out->size = BEHIND_BYTES;
	reader->out_offset += gone;
}

/* Renders one more record or piece. -EBADMSG also if it is not where the index has it. */
static int render_more(struct json_reader *reader)
{
	struct cursor *cursor = &reader->cursor;
	shift(reader);
	struct cursor_record record;
	int r = cursor_record(cursor, &record);
	if (r < 0)
		return r;
	uint64_t json_offset;
	if (cursor_begins_chunk(cursor, &json_offset) && json_offset != end_offset(reader))
		return -EBADMSG;
	return render_next(&reader->renderer, cursor, &reader->out);
}

static bool is_near(const struct json_reader *reader, uint64_t offset)
{
	return reader->placed && offset >= reader->out_offset &&
	       offset <= end_offset(reader) + AHEAD_BYTES;
}

/* At least one byte at `offset`. */
static int read_some(
	struct json_reader *reader, uint64_t offset, void *buffer, size_t bytes, size_t *ret_bytes)
{
	int r = 0;
	while (r == 0 && end_offset(reader) <= offset)
		r = render_more(reader);
	if (r < 0)
		return r == -ENODATA ? -EBADMSG : r; /* the index has more than the text */
	assert(offset >= reader->out_offset);
	size_t n = (size_t)(end_offset(reader) - offset);
	if (n > bytes)
		n = bytes;
	memcpy(buffer, reader->out.data + (offset - reader->out_offset), n);
	*ret_bytes = n;
	return 0;
}

int json_reader_read(
	struct json_reader *reader, uint64_t offset, void *buffer, size_t bytes, size_t *ret_bytes)
{
	struct bounds bounds = shard_bounds(reader->shard);
	if (offset < bounds.json_horizon && offset < bounds.json_size)
		return -ESTALE;
	if (offset >= bounds.json_size)
		bytes = 0;
	else if (bytes > bounds.json_size - offset)
		bytes = (size_t)(bounds.json_size - offset);
	size_t done = 0;
	int r = 0;
	if (bytes && !is_near(reader, offset))
		r = place_at(reader, &bounds, offset);
	while (r == 0 && done < bytes) {
		size_t n = 0;
		r = read_some(reader, offset + done, (uint8_t *)buffer + done, bytes - done, &n);
		done += n;
	}
	if (r < 0 && !done) {
		TRACE(read, "shard %u: at JSON offset %" PRIu64 ": %s", reader->shard->number,
			offset, strerror(-r));
		leave(reader);
		return r;
	}
	*ret_bytes = done;
	return 0;
}

int json_reader_behind(struct json_reader *reader, uint64_t offset, uint64_t *ret_offset)
{
	struct bounds bounds = shard_bounds(reader->shard);
	struct json_chunk chunk = {0};
	int r = 0;
	if (offset < bounds.json_horizon) {
		*ret_offset = bounds.json_horizon;
		return 0;
	}
	if (offset < bounds.json_size)
		r = shard_json_place(reader->shard, offset, &chunk);
	if (r < 0)
		return r;
	leave(reader);
	*ret_offset = chunk.json_end > offset ? chunk.json_end : offset;
	return 0;
}
