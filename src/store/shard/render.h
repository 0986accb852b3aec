/* SPDX-License-Identifier: MIT */
/*
 * Renders a cursor's records as lines of JSON. A record of one chunk is rendered at once. A longer
 * one is read twice: once to find out whether it is UTF-8, then piece by piece. So memory is bounded
 * by a chunk, however long the record is.
 */
#ifndef STORE_RENDER_H
#define STORE_RENDER_H

#include "cursor.h"
#include "json_record.h"

struct renderer {
	bool in_record;
	struct json_payload payload; /* of the record that is under way */
};

/*
 * Appends the next record, or the next piece of a long one, to `out`. The errors are the cursor's;
 * on an error `out` is as before.
 */
int render_next(struct renderer *renderer, struct cursor *cursor, struct buf *out);

/* A record's line without its payload. What it points into is borrowed as the record is. */
struct json_record render_describe(const struct cursor *cursor, const struct cursor_record *record);

/*
 * Adds up the lines of the records from the cursor's next one to the end of a chunk, at text offset
 * `end`. A record that does not end there does not count. The cursor goes behind them.
 */
int render_size(struct cursor *cursor, uint64_t end, uint64_t *ret_bytes);

#endif
