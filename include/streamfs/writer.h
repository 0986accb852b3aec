/* SPDX-License-Identifier: MIT */
/*
 * A writer turns bytes into records: each line is one. It holds the line that is not finished yet,
 * so that writers never mix; a long one waits on disk, not in memory. One thread at a time.
 *
 * Which shard a record goes to is fixed by how the writer was opened: one shard, one partition
 * key, or the stream's own key rule.
 */
#ifndef STREAMFS_WRITER_H
#define STREAMFS_WRITER_H

#include "streamfs/shard.h"

struct sfs_writer;

SFS_API int sfs_writer_open_shard(struct sfs_shard *shard, struct sfs_writer **ret_writer);
/* `key` is 1 to SFS_KEY_MAX characters of UTF-8, else -EINVAL. */
SFS_API int sfs_writer_open_key(struct sfs_stream *stream, const char *key, size_t key_bytes,
	struct sfs_writer **ret_writer);
SFS_API int sfs_writer_open_put(struct sfs_stream *stream, struct sfs_writer **ret_writer);

/*
 * Appends all complete lines of what is held and `data`, in order and never interleaved with
 * another writer's (per shard that they go to), and keeps the rest. Published when it returns:
 * survives the process. All of `data` is taken or none, with one exception: lines before a record
 * that is refused are appended and `ret_taken` is less than `bytes`; the next call meets the
 * refusal. Text after the refused line is not looked at. More than 1 MiB is taken in pieces of
 * that size, each as if it were a call of its own: where a later one fails, `ret_taken` is what
 * those before it took, the result is 0, and the next call meets the error.
 *   -EMSGSIZE  a record over the threshold under policy "reject"; nothing of it is stored, and
 *              calls that go on with the same line get it again
 *   -EFBIG     a record over max_record_bytes, likewise
 *   -EROFS     the shard is closed or failed, or the store is read-only
 *   -ENOSPC, -EDQUOT, -EIO, ...  from the disk; nothing of `data` is stored (with a key rule and
 *              several shards: records for other shards may be). Should even taking back what a
 *              failed call wrote fail, the shard takes no more records until the store is opened
 *              anew; then lines, or a long record, that are whole in its file can be there although
 *              this call failed: there is no mark of an append's end.
 *   -ENOENT    the stream was removed
 */
SFS_API int sfs_writer_write(
	struct sfs_writer *writer, const void *data, size_t bytes, size_t *ret_taken);

/* Bytes of the unfinished line. */
SFS_API uint64_t sfs_writer_pending(const struct sfs_writer *writer);

/* Ends the unfinished line, if there is one: it becomes a record. Errors as above. */
SFS_API int sfs_writer_end(struct sfs_writer *writer);

/*
 * Makes all records that this writer appended durable, then calls `done` once with 0 or a
 * negative errno, from another thread or from this call. It does not end a line.
 */
SFS_API void sfs_writer_sync(
	struct sfs_writer *writer, void (*done)(void *context, int result), void *context);

/* The same, waiting for it. */
SFS_API int sfs_writer_sync_wait(struct sfs_writer *writer);

/* Ends the unfinished line and frees the writer; NULL is fine. Errors as of sfs_writer_end(). */
SFS_API int sfs_writer_close(struct sfs_writer *writer);

#endif
