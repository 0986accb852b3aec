/* SPDX-License-Identifier: MIT */
/*
 * Another number of shards: the hash space is divided anew. An open shard whose range is one of the
 * new ones stays open. The others close, and new ones carry the next numbers; their parents are the
 * closed ones whose ranges they overlap. In a stream that never held a record numbering starts over
 * instead, and shards that stay keep their object, so that open writers go on.
 */
#ifndef STREAM_RESHARD_H
#define STREAM_RESHARD_H

struct settings;
struct sfs_diag;
struct sfs_stream;

/*
 * Changes the settings to these, which have another number of shards, and the shards with them.
 * Swaps the old settings for the new. The caller holds change_lock. Durable when it returns.
 * -EINVAL, with `diag`: too many shards.
 */
int stream_reshard(struct sfs_stream *stream, struct settings *settings, struct sfs_diag *diag);

#endif
