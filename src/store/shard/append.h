/* SPDX-License-Identifier: MIT */
/*
 * Appending to a shard: begin, one or more chunks, then commit (they become visible together) or
 * abort (none of them does). Nothing of it is durable when commit returns; syncer.h does that.
 *
 * append_lock is held from a begin that succeeded to its commit or abort, so one append of a shard
 * runs at a time. The caller holds home.lock, shared at least, all the while.
 */
#ifndef SHARD_APPEND_H
#define SHARD_APPEND_H

#include "shard.h"

/*
 * Opens the shard if it is not open, and makes its active segment ready. Blocks for other appends
 * and for the disk.
 *   -EROFS   closed, failed, or the store is read-only
 *   -ENOENT  removed
 */
int shard_append_begin(struct sfs_shard *shard);
/* Orders and stores a chunk that was encoded. After an error only abort may follow. */
int shard_append_chunk(struct sfs_shard *shard, struct encoder *encoder);
void shard_append_commit(struct sfs_shard *shard);
void shard_append_abort(struct sfs_shard *shard);

/*
 * Seals the active segment if it has records, for a shard that takes no more. Takes append_lock;
 * the caller holds home.lock. If memory is short the segment stays active, which harms nothing.
 */
void shard_seal(struct sfs_shard *shard);

#endif
