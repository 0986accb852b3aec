/* SPDX-License-Identifier: MIT */
/* The files that the directory of a shard holds. */
#ifndef SHARD_SEGMENT_LIST_H
#define SHARD_SEGMENT_LIST_H

#include "shard.h"

/*
 * Fills in the shard's `bases` and `stored_bytes` from its directory and removes what a crash left
 * half made. Reports what has a segment's name and is no file. -EBADMSG: there is no directory.
 */
int segment_list_load(struct sfs_shard *shard);

#endif
