/* SPDX-License-Identifier: MIT */
/*
 * The sealed segments of a shard. One is opened when it is wanted, with the index from its file or,
 * without such a file, from a walk through the segment. The store's cache keeps those that were
 * used lately. Any thread may call.
 */
#ifndef SHARD_SEALED_SEGMENT_H
#define SHARD_SEALED_SEGMENT_H

#include "shard.h"

/*
 * Opens a sealed segment, through the store's cache or past it; the caller gives it back with
 * segment_unref(). -EBADMSG: the file is gone or is no segment. Takes home.path_lock and
 * shard.lock, neither of them while it reads.
 */
int shard_sealed_segment(
	struct sfs_shard *shard, uint64_t base_offset, struct segment **ret_segment);
int shard_uncached_segment(
	struct sfs_shard *shard, uint64_t base_offset, struct segment **ret_segment);

#endif
