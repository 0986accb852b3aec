/* SPDX-License-Identifier: MIT */
/*
 * Text that a process before this one wrote and did not sync. It is in the kernel's hands, not
 * surely on the disk. Where that process saw a sync fail, the kernel holds the text in clean pages,
 * and the next sync would succeed without writing it.
 */
#ifndef SHARD_UNSYNCED_TEXT_H
#define SHARD_UNSYNCED_TEXT_H

#include "shard.h"

/*
 * Writes all chunks above sync.synced_offset again, in place, and has the next sync take their
 * segments along; of many segments, the oldest are synced at once. Where the disk refuses, the
 * shard fails: its text is read, but never counts as durable. Read-only: does nothing.
 */
int unsynced_text_write_back(struct sfs_shard *shard);

#endif
