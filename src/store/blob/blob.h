/* SPDX-License-Identifier: MIT */
/*
 * One blob, for reading by many threads. Once it is open it is independent of `blobs`.
 *
 * Invariants:
 *  1. Every byte that blob_read() returns comes from a chunk whose checksums are right and whose
 *     owner is bound to the digest.
 *  2. A reader from start to end gets -EBADMSG before the last chunk if the SHA-256 of all of it is
 *     not the digest.
 *  3. Damage keeps the rest readable. Where it hides how long the payload is, blob_size() is one
 *     byte more than what is known.
 */
#ifndef BLOB_BLOB_H
#define BLOB_BLOB_H

#include "blobs.h"

struct blob;
/* -ENOENT: none, or not a digest. -EBADMSG: nothing of it is sound. -EPROTONOSUPPORT. */
int blob_open(struct blobs *blobs, const char *digest_hex, struct blob **ret_blob);
void blob_close(struct blob *blob);		/* NULL is fine */
uint64_t blob_size(const struct blob *blob);	/* payload bytes */
uint64_t blob_stored(const struct blob *blob);	/* bytes on disk */
uint64_t blob_time_ms(const struct blob *blob); /* when it was stored */
/* Fewer bytes only at the end and before damage; -EBADMSG at it. */
int blob_read(struct blob *blob, uint64_t offset, void *buffer, size_t bytes, size_t *ret_bytes);
/* Recomputes the digest over the whole payload: 0 or -EBADMSG. */
int blob_verify(struct blob *blob);
/* 0: sound, and the same bytes as the payload; -EBADMSG: not so. Computes no digest. */
int blob_compare(struct blob *blob, const struct payload *payload);

#endif
