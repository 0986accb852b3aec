/* SPDX-License-Identifier: MIT */
/*
 * The torn tail of a segment: what an unfinished write left behind the last good chunk. Nothing of
 * it was ever acknowledged as durable. A tail is kept aside, in "<base>.at-<file offset>.torn",
 * before it is cut: it may be the only copy of a record that a program has written.
 */
#ifndef SHARD_TORN_TAIL_H
#define SHARD_TORN_TAIL_H

#include "segment.h"

struct sfs_shard;

/*
 * Where the last record of the scan has no end, its chunks leave the index: they are part of the
 * tail. Of a record that begins in a gap only the chunks behind the gap leave.
 */
void torn_tail_take_open_record(struct scan *scan);

/*
 * Keeps the tail of a segment aside, durably, and cuts it from `fd`. Zeros are not kept. Reports
 * and counts the cut. If it fails before the cut, nothing has changed. Read-only: does nothing.
 */
int torn_tail_cut(struct sfs_shard *shard, int fd, uint64_t base, const struct scan *scan);

#endif
