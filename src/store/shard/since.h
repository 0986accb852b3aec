/* SPDX-License-Identifier: MIT */
/*
 * Finds the place of a time, or of a byte of the JSON, in a shard. Neither arrival times nor JSON
 * offsets decrease in a shard: chunk_search.h finds the chunk, and at most this one is decoded. The
 * shard is open.
 */
#ifndef STORE_SINCE_H
#define STORE_SINCE_H

#include "shard.h"

/*
 * The text offset of the first retained record that arrived at or after `since_ms`, or of damage
 * that may hold it. -ENODATA: there is none yet.
 */
int shard_since(struct sfs_shard *shard, uint64_t since_ms, uint64_t *ret_offset);

/* A chunk that holds a JSON offset: the JSON lines of its records are [json_offset, json_end). */
struct json_chunk {
	uint64_t text_offset; /* where the first of these records begins */
	uint64_t json_offset, json_end;
	bool damaged; /* the chunk, or the start of its first record; then the offsets are void */
};
/* For an offset below the shard's JSON size. */
int shard_json_place(struct sfs_shard *shard, uint64_t json_offset, struct json_chunk *ret_chunk);
/* The JSON offset of the record that begins at a published text offset. */
int shard_json_offset(struct sfs_shard *shard, uint64_t offset, uint64_t *ret_json_offset);

#endif
