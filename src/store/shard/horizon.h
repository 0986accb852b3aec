/* SPDX-License-Identifier: MIT */
/*
 * Where the horizon of a shard is, and where a trim could move it: to the beginning of a record.
 * The indexes find the chunk, and at most this one is decoded. The shard is open. A place below the
 * present horizon gives the present horizon.
 */
#ifndef STORE_HORIZON_H
#define STORE_HORIZON_H

#include "shard.h"

struct horizon horizon_now(struct sfs_shard *shard);
/* At the end of the published text. */
struct horizon horizon_at_end(struct sfs_shard *shard);
/* -EINVAL: past the end, or no record begins there. */
int horizon_at_offset(struct sfs_shard *shard, uint64_t offset, struct horizon *ret_horizon);
/* At the record with this sequence number, or the next one that is there; past the end, the end. */
int horizon_at_sequence(struct sfs_shard *shard, uint64_t sequence, struct horizon *ret_horizon);
/* At the first record that arrived at this time or later; if there is none, at the end. */
int horizon_at_time(struct sfs_shard *shard, uint64_t ms, struct horizon *ret_horizon);

#endif
