/* SPDX-License-Identifier: MIT */
/*
 * Blobs: the payloads that claim checks stand for, by the SHA-256 of their bytes. Immutable. Every
 * read checks what it returns against checksums that are bound to the digest: -EBADMSG otherwise.
 */
#ifndef STREAMFS_BLOB_H
#define STREAMFS_BLOB_H

#include "streamfs/stream.h"

enum { SFS_DIGEST_HEX = 64 }; /* hex digits of a SHA-256 */

struct sfs_blob;

/* Calls `each` with every digest (64 lower-case hex digits) until it returns non-zero. */
SFS_API int sfs_blob_list(
	struct sfs_stream *stream, int (*each)(void *context, const char *digest), void *context);
/* -ENOENT no such blob in this stream (also for what is not a digest); -EBADMSG damaged. */
SFS_API int sfs_blob_open(
	struct sfs_stream *stream, const char *digest, struct sfs_blob **ret_blob);
SFS_API void sfs_blob_close(struct sfs_blob *blob); /* NULL is fine */
SFS_API uint64_t sfs_blob_size(const struct sfs_blob *blob);	/* payload bytes */
SFS_API uint64_t sfs_blob_stored(const struct sfs_blob *blob);	/* bytes on disk */
SFS_API uint64_t sfs_blob_time_ms(const struct sfs_blob *blob); /* when it was stored, Unix time */
/* As sfs_shard_read(). */
SFS_API int sfs_blob_read(
	struct sfs_blob *blob, uint64_t offset, void *buffer, size_t bytes, size_t *ret_bytes);

#endif
