/* SPDX-License-Identifier: MIT */
/*
 * Consumers: named sets of checkpoints of a stream, one for each of its shards. A checkpoint is the
 * byte offset in the shard's text that the consumer has reached: what is before it is done with.
 * A consumer has a checkpoint in every shard of the table, 0 where none was set; it goes with its
 * shard.
 */
#ifndef STREAMFS_CONSUMER_H
#define STREAMFS_CONSUMER_H

#include "streamfs/stream.h"

/* A consumer's name has the form of a stream's. -EINVAL a bad name, -EEXIST. Durable. */
SFS_API int sfs_consumer_create(struct sfs_stream *stream, const char *name);
/* Forgets it and its checkpoints. -ENOENT. Durable. */
SFS_API int sfs_consumer_remove(struct sfs_stream *stream, const char *name);
/* -ENOENT, -EEXIST if `to` exists, -EINVAL a bad name. Durable. */
SFS_API int sfs_consumer_rename(struct sfs_stream *stream, const char *from, const char *to);
SFS_API bool sfs_consumer_exists(struct sfs_stream *stream, const char *name);
/* Calls `each` with every name, in no order, until it returns non-zero, which is the result. */
SFS_API int sfs_consumer_list(
	struct sfs_stream *stream, int (*each)(void *context, const char *name), void *context);

/* -ENOENT: no such consumer or shard. */
SFS_API int sfs_consumer_get(
	struct sfs_stream *stream, const char *name, uint32_t shard, uint64_t *ret_offset);
/*
 * Sets a checkpoint; durable when it returns. -EINVAL: past the shard's size, or not where a record
 * begins (which below the trim horizon cannot be told and is taken for true).
 */
SFS_API int sfs_consumer_set(
	struct sfs_stream *stream, const char *name, uint32_t shard, uint64_t offset);

#endif
