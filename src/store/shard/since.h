/* SPDX-License-Identifier: MIT */
/*
 * Where in a shard a time is, or a byte of its JSON. Arrival times of a shard never decrease, and
 * JSON offsets do not either: chunk_search.h finds the chunk, and at most this one is decoded. The
 * shard is open.
 */
#ifndef STORE_SINCE_H
#define STORE_SINCE_H

#include "shard.h"

/*
 * Text offset of the first retained record that arrived at or after `since_ms`; or of damage in
 * which it may be. -ENODATA: there is none yet.
 */
int shard_since(struct sfs_shard *shard, uint64_t since_ms, uint64_t *ret_offset);

/* The chunk whose records' lines of JSON, [json_offset, json_end), hold a JSON offset. */
struct json_chunk {
	uint64_t text_offset; /* at which the first of these records begins */
	uint64_t json_offset, json_end;
	bool damaged; /* it, or where its first record began; the offsets before are void */
};
/* For an offset below the shard's JSON size. */
int shard_json_place(struct sfs_shard *shard, uint64_t json_offset, struct json_chunk *ret_chunk);
/* The JSON offset of the record that begins at a published text offset. */
int shard_json_offset(struct sfs_shard *shard, uint64_t offset, uint64_t *ret_json_offset);

#endif
