/* SPDX-License-Identifier: MIT */
/*
 * The blobs of one stream, in a directory of their own: <first two hex digits>/<digest>.lz4, each a
 * file of chunks (chunk.h) whose owner is the first eight bytes of the digest, so that `lz4 -dc`
 * prints the payload and every chunk is bound to the digest. Equal payloads are stored once.
 *
 * Blobs that no record names come from a crash between storing a blob and appending its claim
 * check. Sweeping removes them, but none that is younger than the grace period or in use here.
 */
#ifndef STORE_BLOBS_H
#define STORE_BLOBS_H

#include "disk.h"
#include "payload.h"
#include "settings.h"

#include <pthread.h>
#include <stdatomic.h>

struct blobs {
	const struct disk *disk;
	const atomic_bool *stop;  /* set: listing and sweeping end with -ECANCELED; or NULL */
	_Atomic int dir;	  /* owned; -1: not made yet */
	pthread_mutex_t lock;	  /* guards what follows; held over unlinking */
	unsigned in_flight;	  /* puts whose claim check is not appended yet */
	uint64_t puts_begun;	  /* tells a sweep that a put came and went meanwhile */
	uint32_t fans_durable[8]; /* a bit for each XX directory whose entry was synced */
};

/* `dir` becomes the object's own. */
void blobs_init(struct blobs *blobs, const struct disk *disk, int dir);
void blobs_fini(struct blobs *blobs);

/*
 * Stores a payload and returns its digest. The blob is durable (its directory too) when it
 * returns. Each successful call is followed by one blobs_put_done(), when the claim check has been
 * appended or given up. An existing blob is adopted, and its mtime renewed, if it holds these very
 * bytes; a damaged one is replaced. No sweep takes either before blobs_put_done().
 */
int blobs_put(struct blobs *blobs, const struct payload *payload, enum compression compression,
	uint8_t ret_digest[32]);
void blobs_put_done(struct blobs *blobs);

/*
 * Whether no put is in flight, and how many have begun so far: the same number later, after a
 * true, tells that what was known of the references then still holds.
 */
bool blobs_idle(struct blobs *blobs, uint64_t *ret_puts_begun);

/*
 * Removes every blob that `referenced` denies and that was last touched more than `grace_ms` ago,
 * and temporary files of that age. Does nothing while a put is in flight. -errno of `referenced`
 * stops it: what is not known to be an orphan stays. `referenced` must know every claim check whose
 * put was done when it is called; one that gathered them before asks blobs_idle() then and now.
 */
int blobs_sweep(struct blobs *blobs, uint64_t grace_ms,
	int (*referenced)(void *context, const uint8_t digest[32], bool *ret_referenced),
	void *context, uint64_t *ret_removed);

/*
 * The digests of the blobs that were last touched more than `grace_ms` ago, 32 bytes each, rising:
 * the `max` least ones above `after` (NULL: of all). Takes memory for twice as many.
 */
int blobs_list_old(struct blobs *blobs, uint64_t grace_ms, const uint8_t *after, size_t max,
	struct buf *ret_digests);

/* Removes every blob and directory (for a stream that is removed). */
int blobs_remove_all(struct blobs *blobs);

/*
 * One blob, for reading by many threads; independent of `blobs` once it is open. Each chunk is
 * checked when it is read, and the SHA-256 of all of it before the last chunk is served to who
 * reads from start to end. Damage keeps the rest readable; where it hides how long the payload is,
 * blob_size() is one byte more than what is known.
 */
struct blob;
/* -ENOENT: none, or not a digest. -EBADMSG: nothing of it is sound. -EPROTONOSUPPORT. */
int blob_open(struct blobs *blobs, const char *digest_hex, struct blob **ret_blob);
void blob_close(struct blob *blob); /* NULL is fine */
uint64_t blob_size(const struct blob *blob);
uint64_t blob_stored(const struct blob *blob);
uint64_t blob_time_ms(const struct blob *blob);
/* Fewer bytes at the end and before damage; -EBADMSG at it. */
int blob_read(struct blob *blob, uint64_t offset, void *buffer, size_t bytes, size_t *ret_bytes);
/* Recomputes the digest over the whole payload: 0 or -EBADMSG. */
int blob_verify(struct blob *blob);
/* 0: sound, and the same bytes as the payload; -EBADMSG: not so. Computes no digest. */
int blob_compare(struct blob *blob, const struct payload *payload);
/* Calls `each` with each digest in hex until it returns non-zero, which is then the result. */
int blobs_list(
	struct blobs *blobs, int (*each)(void *context, const char *digest_hex), void *context);

void digest_to_hex(const uint8_t digest[32], char hex[65]);
int digest_from_hex(const char *hex, uint8_t digest[32]); /* 64 lower-case digits, else -EINVAL */
uint64_t digest_owner(const uint8_t digest[32]);	  /* of a blob's chunks */

#endif
