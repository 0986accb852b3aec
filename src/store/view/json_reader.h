/* SPDX-License-Identifier: MIT */
/*
 * The JSON lines of a shard as bytes with offsets, which count from the shard's first record ever.
 * A read that begins where the last one ended, or a little before or behind that, goes on from what
 * is rendered: reads may come out of order. Any other place is searched through the index, and
 * rendering begins with its chunk. One thread at a time. The shard is open and outlives the reader.
 *
 * Invariants, while the reader is placed:
 *  1. `out` holds the shard's JSON from `out_offset` on, without a gap; the cursor is at the
 * record, or the piece of one, whose JSON comes next.
 *  2. A record is rendered only where the index has it: the JSON offsets of rendering and index are
 *     compared at each chunk's first record.
 * While it is not placed, `out` is empty and the cursor holds nothing.
 */
#ifndef STORE_JSON_READER_H
#define STORE_JSON_READER_H

#include "render.h"

struct json_reader {
	struct sfs_shard *shard;
	bool placed;
	struct cursor cursor;
	struct renderer renderer;
	struct buf out;
	uint64_t out_offset; /* JSON offset of its first byte */
};

void json_reader_init(struct json_reader *reader, struct sfs_shard *shard);
void json_reader_fini(struct json_reader *reader);

/* As sfs_shard_read(), but of the JSON. */
int json_reader_read(
	struct json_reader *reader, uint64_t offset, void *buffer, size_t bytes, size_t *ret_bytes);

/* The offset at which reading goes on after an error at `offset`. */
int json_reader_behind(struct json_reader *reader, uint64_t offset, uint64_t *ret_offset);

#endif
