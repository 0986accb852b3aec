/* SPDX-License-Identifier: MIT */
/*
 * A record as a line of JSON, in the form of streamfs/view.h. Lines are written here alone, and
 * here alone their length is computed without writing them.
 *
 *   {"shard":"shard-0000","sequence":41,"offset":4711,"time":"2026-11-23T05:30:00.123Z",
 *    "key":"user-42","data":"…"}\n
 *
 * The payload, which is the record without its newline, stands there as data where it is UTF-8
 * (RFC 3629: no surrogates, nothing over-long), and else as data_base64 (RFC 4648, padded). In a
 * string `"`, `\` and characters below U+0020 are escaped, the latter in the short form where JSON
 * has one and else as \u00xx; all else is verbatim. A claim check stands there as the object of its
 * line.
 *
 * A payload may come in pieces of any size, split anywhere. json_scan() sees all of it first, then
 * json_payload_head(), json_payload_piece() and json_payload_tail() write it. Each of these objects
 * belongs to one thread at a time and owns no memory.
 */
#ifndef STORE_JSON_RECORD_H
#define STORE_JSON_RECORD_H

#include "buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a line has besides the payload; the key, which is UTF-8, is borrowed. */
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
	uint64_t escape_bytes; /* that escapes add to them; void once it is broken */
	bool broken;	       /* no UTF-8, whatever follows */
	uint8_t open;	       /* bytes that the last character still lacks */
	uint8_t low, high;     /* the range, inclusive, of the next one of these */
};

void json_scan(struct json_scan *scan, const void *data, size_t bytes);
/* Whether all of it, if this was all, is UTF-8. */
static inline bool json_scan_is_utf8(const struct json_scan *scan)
{
	return !scan->broken && !scan->open;
}

/* Bytes of the line of a scanned payload that is no claim check; with its newline. */
uint64_t json_record_scanned_bytes(const struct json_record *record, const struct json_scan *scan);
/* ... of a record whose payload is at hand; `claimed`: the store marked it as a claim check. */
uint64_t json_record_bytes(
	const struct json_record *record, const void *payload, size_t bytes, bool claimed);

/*
 * ... of a whole record as a shard has it: `line` ends in its newline. For callers that have
 * decoded a record.
 */
uint64_t json_record_line_bytes(
	const struct json_record *record, const void *line, size_t bytes, bool claimed);

/*
 * The same of records that have no place yet: all but the digits of shard, sequence number and
 * offset. Of a scanned payload; of one at hand; of `records` lines of text, each ended by its
 * newline, that have one key and of which none is a claim check. key_bytes 0: no key.
 */
uint64_t json_unplaced_scanned_bytes(
	const char *key, size_t key_bytes, const struct json_scan *scan);
uint64_t json_unplaced_bytes(
	const char *key, size_t key_bytes, const void *payload, size_t bytes, bool claimed);
uint64_t json_unplaced_text_bytes(
	const char *key, size_t key_bytes, const char *text, size_t bytes, uint32_t records);

/* Where text stands. */
struct json_place {
	uint32_t shard;
	uint64_t first_sequence; /* of the record that its first byte belongs to */
	uint64_t record_offset;	 /* where this record begins, which may be before the text */
	uint64_t text_offset;
};
/*
 * And these digits, of the `records` records that end in the text. Looks at the text only if a
 * power of ten is among its offsets.
 */
uint64_t json_place_bytes(
	const struct json_place *place, const char *text, size_t bytes, uint32_t records);

/* Decimal digits of a number. */
unsigned json_digits(uint64_t number);

/* Appends the whole line. 0 or -ENOMEM, which may leave part of it. */
int json_record_append(struct buf *out, const struct json_record *record, const void *payload,
	size_t bytes, bool claimed);

/* A payload that is being written; what escapes and base64 need between two pieces. */
struct json_payload {
	bool base64;
	uint8_t held[3]; /* base64: bytes that do not make a group yet */
	uint8_t held_bytes;
};

/*
 * The line in parts: everything before the payload's first byte, then the payload, then the rest.
 * `scan` has seen all of the payload. A piece of n bytes appends at most 6n + 4. 0 or -ENOMEM.
 */
int json_payload_head(struct json_payload *payload, struct buf *out,
	const struct json_record *record, const struct json_scan *scan);
int json_payload_piece(
	struct json_payload *payload, struct buf *out, const void *data, size_t bytes);
int json_payload_tail(struct json_payload *payload, struct buf *out);

#endif
