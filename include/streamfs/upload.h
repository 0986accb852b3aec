/* SPDX-License-Identifier: MIT */
/*
 * An upload takes a whole payload, written in any order, and makes one record of it. A payload that
 * is a single line within the threshold becomes that line. Any other becomes a claim check, but a
 * single line stays one long line under the policy "split". Payloads over 1 MiB wait in a file
 * without a name; smaller ones too, when many fill the memory for them. One thread at a time.
 */
#ifndef STREAMFS_UPLOAD_H
#define STREAMFS_UPLOAD_H

#include "streamfs/stream.h"

struct sfs_upload;

/* -EROFS; -ENFILE too many uploads and lines wait in files. */
SFS_API int sfs_upload_open(struct sfs_stream *stream, struct sfs_upload **ret_upload);

/*
 * As pwrite(2), pread(2) and ftruncate(2). A gap reads as zeros. Nothing of this is durable. -EFBIG
 * over max_record_bytes; -ENOENT the stream was removed.
 */
SFS_API int sfs_upload_write(
	struct sfs_upload *upload, uint64_t offset, const void *data, size_t bytes);
SFS_API int sfs_upload_read(
	struct sfs_upload *upload, uint64_t offset, void *buffer, size_t bytes, size_t *ret_bytes);
SFS_API int sfs_upload_truncate(struct sfs_upload *upload, uint64_t size_bytes);
SFS_API uint64_t sfs_upload_size(const struct sfs_upload *upload);

/*
 * Appends the record under this key: 1 to SFS_KEY_MAX characters of UTF-8, else the record has no
 * key. The record is published when this returns, and survives the process. A blob is durable
 * before the record that names it is appended. On failure the upload is unchanged and may be
 * committed again. -EMSGSIZE and -EFBIG as for writers, -ENOSPC, -EIO, -EROFS, -ENOENT.
 */
SFS_API int sfs_upload_commit(struct sfs_upload *upload, const char *key, size_t key_bytes);

/* Makes a committed record durable. Blocks. -EIO once a sync of its shard has failed. */
SFS_API int sfs_upload_sync(struct sfs_upload *upload);

/* Discards an upload that was not committed. NULL is fine. */
SFS_API void sfs_upload_free(struct sfs_upload *upload);

#endif
