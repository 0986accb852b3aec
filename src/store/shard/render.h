/* SPDX-License-Identifier: MIT */
/*
 * Records of a cursor as lines of JSON. A record of one chunk is rendered at once; one of many is
 * read through once, to know whether it is UTF-8, and then rendered piece by piece: memory is
 * bounded by a chunk, whatever its length.
 */
#ifndef STORE_RENDER_H
#define STORE_RENDER_H

#include "cursor.h"
#include "json_record.h"

struct renderer {
	bool in_record;
	struct json_payload payload; /* of the record that is under way */
};

/* Appends the next record, or the next piece of a long one, to `out`. Errors as of the cursor's;
 * with one, nothing was appended. */
int render_next(struct renderer *renderer, struct cursor *cursor, struct buf *out);

/* What the line of a record says besides its payload; borrowed as the record is. */
struct json_record render_describe(const struct cursor *cursor, const struct cursor_record *record);

/*
 * Bytes of the lines of the records from the cursor's next one on that end before a text offset at
 * which a chunk ends. The cursor goes behind them.
 */
int render_size(struct cursor *cursor, uint64_t end, uint64_t *ret_bytes);

#endif
