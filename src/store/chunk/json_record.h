/* SPDX-License-Identifier: MIT */
/*
 * A record as a line of JSON, in the form of streamfs/view.h. Only this file writes such lines, and
 * only this file computes their length without writing them.
 *
 *   {"shard":"shard-0000","sequence":41,"offset":4711,"time":"2026-11-23T05:30:00.123Z",
 *    "key":"user-42","data":"…"}\n
 *
 * The payload is the record without its newline. If it is UTF-8 (RFC 3629: no surrogates, nothing
 * over-long), the member is "data". If not, it is "data_base64" (RFC 4648, padded). A claim check's
 * line is itself an object, and its members stand in the line.
 *
 * In a string `"`, `\` and characters below U+0020 are escaped. Such a character takes the short
 * form if JSON has one, else \u00xx. All else is verbatim.
 *
 * A payload may come in pieces of any size, split anywhere. json_scan() sees all of it first. Then
 * json_payload_head(), json_payload_piece() and json_payload_tail() write the line. One thread at a
 * time may use an object of this file. The objects own no memory.
 */
#ifndef STORE_JSON_RECORD_H
#define STORE_JSON_RECORD_H

#include "buf.h"
#include "utf8.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a line has besides the payload. The key is UTF-8 and borrowed. */
struct json_record {
	uint32_t shard;
	uint64_t sequence;
	uint64_t offset;
	uint64_t arrival_ms;
	const char *key;  /* NULL: no key, whatever key_bytes */
	size_t key_bytes; /* 0: no key */
};

/* What is known of a payload after the pieces so far. Zero-initialised: none yet. */
struct json_scan {
	uint64_t bytes;
	uint64_t escape_bytes; /* that escapes add to them; void once `broken` */
	bool broken;	       /* not UTF-8, whatever follows */
	struct utf8_run text;
};

void json_scan(struct json_scan *scan, const void *data, size_t bytes);
/* Whether the pieces so far, as a whole payload, are UTF-8. */
static inline bool json_scan_is_utf8(const struct json_scan *scan)
{
	return !scan->broken && utf8_run_ends_whole(&scan->text);
}

/* The length of a line with its newline, for a scanned payload that is no claim check. */
uint64_t json_record_scanned_bytes(const struct json_record *record, const struct json_scan *scan);
/* The same for a payload in memory. `claimed`: the store marked the record as a claim check. */
uint64_t json_record_bytes(
	const struct json_record *record, const void *payload, size_t bytes, bool claimed);

/* The same for a whole record as it stands in a shard: `line` ends in its newline. */
uint64_t json_record_line_bytes(
	const struct json_record *record, const void *line, size_t bytes, bool claimed);

/*
 * The same for records without a place yet: the digits of shard, sequence number and offset do not
 * count. The last function takes `records` lines of text, each with its newline. They share one
 * key, and none is a claim check. key_bytes 0: no key.
 */
uint64_t json_unplaced_scanned_bytes(
	const char *key, size_t key_bytes, const struct json_scan *scan);
uint64_t json_unplaced_bytes(
	const char *key, size_t key_bytes, const void *payload, size_t bytes, bool claimed);
uint64_t json_unplaced_text_bytes(
	const char *key, size_t key_bytes, const char *text, size_t bytes, uint32_t records);

/* The place of a text in a stream. */
struct json_place {
	uint32_t shard;
	uint64_t first_sequence; /* of the record that its first byte belongs to */
	uint64_t record_offset;	 /* where this record begins; it may be before the text */
	uint64_t text_offset;
};
/*
 * The digits that the json_unplaced functions leave out, for the `records` records that end in the
 * text. Reads the text only if a power of ten is among its offsets.
 */
uint64_t json_place_bytes(
	const struct json_place *place, const char *text, size_t bytes, uint32_t records);

/* The count of a number's decimal digits. */
unsigned json_digits(uint64_t number);

/* Appends the whole line. 0 or -ENOMEM; then `out` may hold part of it. */
int json_record_append(struct buf *out, const struct json_record *record, const void *payload,
	size_t bytes, bool claimed);

/* The state between two pieces of a payload that is being written. */
struct json_payload {
	bool base64;
	uint8_t held[3]; /* base64: bytes that do not make a group yet */
	uint8_t held_bytes;
};

/*
 * Append the line in parts: everything before the payload's first byte, then the payload, then the
 * rest. `scan` has seen all of the payload. A piece of n bytes appends at most 6n + 4 bytes. 0 or
 * -ENOMEM.
 */
int json_payload_head(struct json_payload *payload, struct buf *out,
	const struct json_record *record, const struct json_scan *scan);
int json_payload_piece(
	struct json_payload *payload, struct buf *out, const void *data, size_t bytes);
int json_payload_tail(struct json_payload *payload, struct buf *out);

#endif
