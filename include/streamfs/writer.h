/* SPDX-License-Identifier: MIT */
/*
 * A writer turns bytes into records: each line is one. It holds the line that is not finished yet,
 * so writers never mix. A long unfinished line waits on disk, not in memory. One thread at a time.
 *
 * How the writer was opened decides which shard a record goes to: one shard, the shard of one
 * partition key, or the shard of the key that the stream's rule finds in the record.
 */
#ifndef STREAMFS_WRITER_H
#define STREAMFS_WRITER_H

#include "streamfs/shard.h"

struct sfs_writer;

/* -EROFS: the shard is closed, or the store is read-only. */
SFS_API int sfs_writer_open_shard(struct sfs_shard *shard, struct sfs_writer **ret_writer);
/* `key` is copied. -EINVAL: not 1 to SFS_KEY_MAX characters of UTF-8. -EROFS. */
SFS_API int sfs_writer_open_key(struct sfs_stream *stream, const char *key, size_t key_bytes,
	struct sfs_writer **ret_writer);
/* -EROFS. */
SFS_API int sfs_writer_open_put(struct sfs_stream *stream, struct sfs_writer **ret_writer);

/*
 * Appends all complete lines of what is held and of `data`, and holds the rest. The lines that go
 * to one shard stay together and in order: no other writer's record comes between them. They are
 * published when this returns, and survive the process.
 *
 * All of `data` is taken or none, with two exceptions, in which the result is 0, `ret_taken` is
 * less than `bytes`, and the next call meets the error:
 * - A record is refused, or the unfinished rest cannot be held. The lines before it are appended.
 *   Text after a refused line is not looked at.
 * - `data` is more than 1 MiB. It is taken in pieces of that size, each as if it were a call of its
 *   own, and a later piece fails.
 *
 * Errors:
 *   -EMSGSIZE  a record over the threshold under policy "reject"; nothing of it is stored, and
 *              calls that go on with the same line get it again
 *   -EFBIG     a record over max_record_bytes, likewise
 *   -EROFS     the shard is closed or failed, or the store is read-only
 *   -ENFILE    the unfinished line needs a file to wait in, and too many have one
 *   -ENOENT    the stream was removed
 *   -ENOSPC, -EDQUOT, -EIO, ...  from the disk; nothing of `data` is stored. (With a key rule and
 *              several shards, records for other shards may be. If even taking back what a failed
 *              call wrote fails, the shard takes no more records until the store is opened anew.
 *              Then whole lines, or a whole long record, can be there although this call failed:
 *              nothing on disk marks an append's end.)
 */
SFS_API int sfs_writer_write(
	struct sfs_writer *writer, const void *data, size_t bytes, size_t *ret_taken);

/* Bytes of the unfinished line. */
SFS_API uint64_t sfs_writer_pending(const struct sfs_writer *writer);

/* Makes a record of the unfinished line, if there is one. Errors as above. */
SFS_API int sfs_writer_end(struct sfs_writer *writer);

/*
 * Makes all records that this writer appended durable. Does not end a line and does not block: it
 * calls `done` once, with 0 or a negative errno, from another thread or from this call. -EIO once a
 * sync of one of the shards has failed.
 */
SFS_API void sfs_writer_sync(
	struct sfs_writer *writer, void (*done)(void *context, int result), void *context);

/* The same, but blocks and returns the result. */
SFS_API int sfs_writer_sync_wait(struct sfs_writer *writer);

/* Ends the unfinished line and frees the writer; NULL is fine. Errors as of sfs_writer_end(). */
SFS_API int sfs_writer_close(struct sfs_writer *writer);

#endif
