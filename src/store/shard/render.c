/* SPDX-License-Identifier: MIT */
#include "render.h"

#include <errno.h>

struct json_record render_describe(const struct cursor *cursor, const struct cursor_record *r)
{
	return (struct json_record){
		.shard = cursor->shard->number,
		.sequence = r->sequence,
		.offset = r->offset,
		.arrival_ms = r->arrival_ms,
		.key = (const char *)r->key,
		.key_bytes = r->key ? r->key_bytes : 0,
	};
}

/* Reads a long record through, with a cursor of its own. */
static int scan_long(struct cursor *cursor, uint64_t offset, struct json_scan *ret_scan)
{
	struct json_scan scan = {0};
	struct cursor ahead;
	bool last = false;
	int r = 0;
	cursor_init(&ahead, cursor->shard, offset, NULL, 0);
	while (r == 0 && !last) {
		struct cursor_record piece;
		r = cursor_record(&ahead, &piece);
		if (r < 0)
			break;
		last = piece.last;
		json_scan(&scan, piece.text, piece.bytes - last);
		cursor_pass(&ahead);
	}
	if (ahead.state == CURSOR_FAILED)
		cursor_fail_like(cursor, &ahead);
	cursor_fini(&ahead);
	if (r == 0)
		*ret_scan = scan;
	return r;
}

static int render_piece(
	struct renderer *renderer, const struct cursor_record *piece, struct buf *out)
{
	int r = json_payload_piece(
		&renderer->payload, out, piece->text, piece->bytes - piece->last);
	if (r == 0 && piece->last)
		r = json_payload_tail(&renderer->payload, out);
	return r;
}

static int render_long(struct renderer *renderer, struct cursor *cursor,
	struct cursor_record *record, struct buf *out)
{
	struct json_scan scan;
	int r = scan_long(cursor, record->offset, &scan);
	if (r < 0)
		return r;
	struct json_record described = render_describe(cursor, record);
	r = json_payload_head(&renderer->payload, out, &described, &scan);
	return r < 0 ? r : render_piece(renderer, record, out);
}

int render_next(struct renderer *renderer, struct cursor *cursor, struct buf *out)
{
	struct cursor_record record;
	int r = cursor_record(cursor, &record);
	if (r < 0)
		return r;
	size_t before = out->size;
	struct json_payload payload = renderer->payload;
	if (!record.first) {
		r = render_piece(renderer, &record, out);
	} else if (!record.last) {
		r = render_long(renderer, cursor, &record, out);
	} else {
		struct json_record described = render_describe(cursor, &record);
		r = json_record_append(
			out, &described, record.text, record.bytes - 1, record.claimed);
	}
	if (r < 0) {
		out->size = before;
		renderer->payload = payload;
		return r;
	}
	cursor_pass(cursor);
	return 0;
}

int render_size(struct cursor *cursor, uint64_t end, uint64_t *ret_bytes)
{
	uint64_t bytes = 0;
	while (cursor->offset < end) {
		struct cursor_record record;
		int r = cursor_record(cursor, &record);
		if (r < 0)
			return r;
		if (record.offset < end && record.last) {
			const struct json_record json = render_describe(cursor, &record);
			bytes += json_record_line_bytes(
				&json, record.text, record.bytes, record.claimed);
		}
		cursor_pass(cursor);
	}
	*ret_bytes = bytes;
	return 0;
}
