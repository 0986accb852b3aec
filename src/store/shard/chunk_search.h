/* SPDX-License-Identifier: MIT */
/*
 * The one search for a chunk by what rises in a shard from chunk to chunk: arrival times, sequence
 * numbers, JSON offsets. (By text offset: span.h.) It halves the shard's segments by their first
 * chunks, then the index of the one segment that is left, so it opens O(log n) segments and decodes
 * nothing. A segment that cannot be read is passed over.
 *
 * The shard is open. Any thread may call; shard.lock is taken for moments.
 */
#ifndef SHARD_CHUNK_SEARCH_H
#define SHARD_CHUNK_SEARCH_H

#include "shard.h"

enum chunk_key { CHUNK_ARRIVAL_MS, CHUNK_SEQUENCE, CHUNK_JSON_OFFSET };

struct chunk_found {
	uint64_t shard_horizon, shard_end; /* text offsets, when the search began */

	bool found; /* some chunk begins before the value; else the next fields are void */
	uint64_t offset, end; /* text offsets */
	uint64_t json_offset, json_end;
	bool damaged;
	bool has_meta;	       /* its records may differ in their arrival */
	uint64_t next_offset;  /* where the next chunk that begins with a record begins */
	uint64_t start_offset; /* of the chunk in which this one's first record begins */
	bool start_damaged;

	/* Where the next segment that can be read begins, or where the shard ends. */
	uint64_t json_behind;
};

/*
 * The last published chunk whose key is below `value`; of one that continues a record, the key is
 * that record's. -ENODATA: everything was trimmed, or there was nothing.
 */
int shard_chunk_before(
	struct sfs_shard *shard, enum chunk_key key, uint64_t value, struct chunk_found *ret_chunk);

#endif
