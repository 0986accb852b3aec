/* SPDX-License-Identifier: MIT */
/*
 * The JSON lines of a shard as bytes with offsets, which count from its first record ever. Reading
 * on from where the last read ended goes on rendering; so does reading a little behind or before
 * it, for reads that come out of order. Else the place is searched through the index, and rendering
 * begins with the chunk. One thread at a time. The shard is open and outlives it.
 */
#ifndef STORE_JSON_READER_H
#define STORE_JSON_READER_H

#include "render.h"

struct json_reader {
	struct sfs_shard *shard;
	bool placed;
	struct cursor cursor;
	struct renderer renderer;
	struct buf out;	     /* what was rendered last */
	uint64_t out_offset; /* of its first byte */
};

void json_reader_init(struct json_reader *reader, struct sfs_shard *shard);
void json_reader_fini(struct json_reader *reader);

/* As sfs_shard_read(), of the JSON. */
int json_reader_read(
	struct json_reader *reader, uint64_t offset, void *buffer, size_t bytes, size_t *ret_bytes);

/* The offset at which reading goes on after an error at `offset`. */
int json_reader_behind(struct json_reader *reader, uint64_t offset, uint64_t *ret_offset);

#endif
