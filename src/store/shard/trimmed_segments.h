/* SPDX-License-Identifier: MIT */
/* The segments of a shard that are wholly below its horizon. */
#ifndef SHARD_TRIMMED_SEGMENTS_H
#define SHARD_TRIMMED_SEGMENTS_H

#include "shard.h"

/*
 * Removes them from the shard and from the disk, the first one first. A file that the disk refuses
 * to remove is removed when the shard is opened next; the result is the error. The caller holds
 * home.lock shared and append_lock. Blocks.
 */
int shard_drop_trimmed_locked(struct sfs_shard *shard);

#endif
