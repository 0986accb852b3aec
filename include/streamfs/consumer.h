/* SPDX-License-Identifier: MIT */
/*
 * Consumers: named sets of checkpoints of a stream, one for each of its shards. A checkpoint is the
 * byte offset in the shard's text that the consumer has reached: the text before it is processed. A
 * consumer has a checkpoint in every shard of the stream, 0 where none was set. A checkpoint goes
 * with its shard.
 *
 * The changes are durable when they return, and fail with -EROFS in a read-only store.
 */
#ifndef STREAMFS_CONSUMER_H
#define STREAMFS_CONSUMER_H

#include "streamfs/stream.h"

/* A consumer's name has the form of a stream's. -EINVAL a bad name, -EEXIST. */
SFS_API int sfs_consumer_create(struct sfs_stream *stream, const char *name);
/* Removes the consumer and its checkpoints. -ENOENT. */
SFS_API int sfs_consumer_remove(struct sfs_stream *stream, const char *name);
/* -ENOENT, -EEXIST `to` exists, -EINVAL a bad name. */
SFS_API int sfs_consumer_rename(struct sfs_stream *stream, const char *from, const char *to);
SFS_API bool sfs_consumer_exists(struct sfs_stream *stream, const char *name);
/* Calls `each` with every name, in no order. A non-zero return ends it and is the result. */
SFS_API int sfs_consumer_list(
	struct sfs_stream *stream, int (*each)(void *context, const char *name), void *context);

/* -ENOENT no such consumer or shard; -EBADMSG the consumer's document is damaged. */
SFS_API int sfs_consumer_get(
	struct sfs_stream *stream, const char *name, uint32_t shard, uint64_t *ret_offset);
/*
 * Sets a checkpoint. The records before it are made durable first. -EINVAL: past the shard's size,
 * or no record begins there. (Below the trim horizon this cannot be checked and is accepted.)
 * -ENOENT, -EBADMSG as above; -EIO a sync of the shard failed.
 */
SFS_API int sfs_consumer_set(
	struct sfs_stream *stream, const char *name, uint32_t shard, uint64_t offset);

#endif
