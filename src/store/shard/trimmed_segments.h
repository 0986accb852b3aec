/* SPDX-License-Identifier: MIT */
/* The segments of a shard that are wholly below its horizon. */
#ifndef SHARD_TRIMMED_SEGMENTS_H
#define SHARD_TRIMMED_SEGMENTS_H

#include "shard.h"

/*
 * Removes them from the shard and from the disk. What the disk refuses to remove goes when the
 * shard is opened next. The caller holds home.lock shared and append_lock. Blocks.
 */
int shard_drop_trimmed_locked(struct sfs_shard *shard);

#endif
