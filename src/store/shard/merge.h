/* SPDX-License-Identifier: MIT */
/* Merging the small chunks of a sealed segment into large ones. */
#ifndef SHARD_MERGE_H
#define SHARD_MERGE_H

#include "shard.h"

/*
 * Rewrites a sealed segment with larger chunks if that pays, and writes its index. Blocks for as
 * long as that takes; the caller holds no lock. -ECANCELED: the store is closing. -EBADMSG: the
 * segment is damaged or gone. -ENOENT: a trim or a removal of the stream was faster.
 */
int merge_segment(struct sfs_shard *shard, uint64_t base_offset);

#endif
