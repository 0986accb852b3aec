/* SPDX-License-Identifier: MIT */
/*
 * Where in a shard a horizon is or could be: a place at which a record begins, found by the indexes
 * and the one chunk in which it lies. The shard is open. What is before the present horizon is
 * that.
 */
#ifndef STORE_HORIZON_H
#define STORE_HORIZON_H

#include "shard.h"

struct horizon horizon_now(struct sfs_shard *shard);
/* Behind everything that is published. */
struct horizon horizon_at_end(struct sfs_shard *shard);
/* -EINVAL: past the end, or no record begins there. */
int horizon_at_offset(struct sfs_shard *shard, uint64_t offset, struct horizon *ret_horizon);
/* The first record of at least this number; what is past the end is the end. */
int horizon_at_sequence(struct sfs_shard *shard, uint64_t sequence, struct horizon *ret_horizon);
/* The first record that arrived at this time or later; where there is none, the end. */
int horizon_at_time(struct sfs_shard *shard, uint64_t ms, struct horizon *ret_horizon);

#endif
