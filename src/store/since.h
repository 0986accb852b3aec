/* SPDX-License-Identifier: MIT */
/*
 * Where in a shard a time is: arrival times of a shard never decrease, so it is searched for in the
 * indexes of O(log n) segments, and only the one chunk in which it lies is decoded.
 */
#ifndef STORE_SINCE_H
#define STORE_SINCE_H

#include "shard.h"

/*
 * Text offset of the first retained record that arrived at or after `since_ms`; or of damage in
 * which it may be. -ENODATA: there is none yet. The shard is open.
 */
int shard_since(struct sfs_shard *shard, uint64_t since_ms, uint64_t *ret_offset);

#endif
