/* SPDX-License-Identifier: MIT */
/*
 * Blobs: the payloads that claim checks stand for. A blob's name is the SHA-256 of its bytes, and
 * it never changes. Every read checks what it returns against checksums that are bound to the
 * digest.
 */
#ifndef STREAMFS_BLOB_H
#define STREAMFS_BLOB_H

#include "streamfs/stream.h"

enum { SFS_DIGEST_HEX = 64 }; /* hex digits of a SHA-256 */

struct sfs_blob;

/*
 * Calls `each` with every digest (64 lower-case hex digits), in no order. A non-zero return ends it
 * and is the result.
 */
SFS_API int sfs_blob_list(
	struct sfs_stream *stream, int (*each)(void *context, const char *digest), void *context);
/*
 * Opens a blob; it stays readable until it is closed, even if a sweep removes it. -ENOENT the
 * stream has no such blob, or this is no digest; -EBADMSG nothing of it is sound; -EPROTONOSUPPORT.
 */
SFS_API int sfs_blob_open(
	struct sfs_stream *stream, const char *digest, struct sfs_blob **ret_blob);
SFS_API void sfs_blob_close(struct sfs_blob *blob);		/* NULL is fine */
SFS_API uint64_t sfs_blob_size(const struct sfs_blob *blob);	/* payload bytes */
SFS_API uint64_t sfs_blob_stored(const struct sfs_blob *blob);	/* bytes on disk */
SFS_API uint64_t sfs_blob_time_ms(const struct sfs_blob *blob); /* when it was stored */
/*
 * Reads exactly min(bytes, size - offset) bytes, none at or past the end. -EBADMSG where the first
 * chunk touched is damaged; a good part before a damaged one is returned short. A handle that reads
 * from start to end also gets -EBADMSG, before the last chunk, if the whole has another digest.
 */
SFS_API int sfs_blob_read(
	struct sfs_blob *blob, uint64_t offset, void *buffer, size_t bytes, size_t *ret_bytes);

#endif
