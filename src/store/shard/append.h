/* SPDX-License-Identifier: MIT */
/*
 * Appending to a shard: begin, one or more chunks, then commit (all become visible together) or
 * abort (none becomes visible). The chunks are not durable when commit returns: see syncer.h.
 *
 * append_lock is held from a successful begin to its commit or abort, so one append of a shard runs
 * at a time. The caller holds home.lock, at least shared, for all of that time.
 */
#ifndef SHARD_APPEND_H
#define SHARD_APPEND_H

#include "shard.h"

/*
 * Opens the shard if it is not open, and makes its active segment ready. Waits for other appends
 * and for the disk.
 *   -EROFS   closed, failed, or the store is read-only
 *   -ENOENT  removed
 */
int shard_append_begin(struct sfs_shard *shard);
/* Orders and stores an encoded chunk. After an error only abort may follow. */
int shard_append_chunk(struct sfs_shard *shard, struct encoder *encoder);
void shard_append_commit(struct sfs_shard *shard);
void shard_append_abort(struct sfs_shard *shard);

/*
 * Seals the active segment if it has records. For a shard that was closed. Takes append_lock; the
 * caller holds home.lock. Without memory the segment stays active, which harms nothing.
 */
void shard_seal(struct sfs_shard *shard);

#endif
