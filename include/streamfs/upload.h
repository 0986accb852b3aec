/* SPDX-License-Identifier: MIT */
/*
 * An upload takes a whole payload, written in any order, and makes one record of it: a line where
 * the payload is a single line within the threshold, else a claim check (or, under policy "split",
 * one long line). Payloads over 1 MiB wait in a file without a name. One thread at a time.
 */
#ifndef STREAMFS_UPLOAD_H
#define STREAMFS_UPLOAD_H

#include "streamfs/stream.h"

struct sfs_upload;

SFS_API int sfs_upload_open(struct sfs_stream *stream, struct sfs_upload **ret_upload);

/* As pwrite(2), pread(2) and ftruncate(2); a gap reads as zeros. -EFBIG over max_record_bytes. */
SFS_API int sfs_upload_write(
	struct sfs_upload *upload, uint64_t offset, const void *data, size_t bytes);
SFS_API int sfs_upload_read(struct sfs_upload *upload, uint64_t offset, void *buffer, size_t bytes,
	size_t *ret_bytes);
SFS_API int sfs_upload_truncate(struct sfs_upload *upload, uint64_t size_bytes);
SFS_API uint64_t sfs_upload_size(const struct sfs_upload *upload);

/*
 * Appends the record under this key (1 to SFS_KEY_MAX characters of UTF-8, else it has none).
 * Published when it returns: survives the process; a blob is durable before the record that names
 * it is appended. On failure the upload is unchanged and may be committed again.
 * -EMSGSIZE and -EFBIG as for writers, -ENOSPC, -EIO, -EROFS, -ENOENT.
 */
SFS_API int sfs_upload_commit(struct sfs_upload *upload, const char *key, size_t key_bytes);

/* Makes a committed record durable. */
SFS_API int sfs_upload_sync(struct sfs_upload *upload);

SFS_API void sfs_upload_free(struct sfs_upload *upload); /* uncommitted: discarded. NULL is fine */

#endif
