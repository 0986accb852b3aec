/* SPDX-License-Identifier: MIT */
/*
 * The blobs of one stream, in a directory of their own: <first two hex digits>/<digest>.lz4, each a
 * file of chunks (chunk.h) whose owner is the first eight bytes of the digest, so that `lz4 -dc`
 * prints the payload and every chunk is bound to the digest. Equal payloads are stored once.
 *
 * Blobs that no record names come from a crash between storing a blob and appending its claim
 * check, and from trims. Sweeping removes them, but none that is in use here.
 */
#ifndef STORE_BLOBS_H
#define STORE_BLOBS_H

#include "digest.h"
#include "disk.h"
#include "payload.h"
#include "settings.h"

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <pthread.h>
#include <stdatomic.h>

struct blob_put;
struct blob_batch;

struct blobs {
	const struct disk *disk;
	const atomic_bool *stop;  /* set: listing and sweeping end with -ECANCELED; or NULL */
	_Atomic int dir;	  /* owned; -1: not made yet */
	pthread_mutex_t lock;	  /* guards what follows; held over unlinking */
	RB_HEAD(put_tree, blob_put) puts; /* whose claim checks are not appended yet */
	LIST_HEAD(, blob_batch) batches;  /* that are being swept */
	uint32_t fans_durable[8]; /* a bit for each XX directory whose entry was synced */
};

/* `dir` becomes the object's own. */
void blobs_init(struct blobs *blobs, const struct disk *disk, int dir);
void blobs_fini(struct blobs *blobs);

/*
 * Stores a payload and returns its digest. The blob is durable (its directory too) when it
 * returns. Each successful call is followed by one blobs_put_done() with that digest, when the claim
 * check has been appended or given up. An existing blob is adopted, and its mtime renewed, if it holds these very
 * bytes; a damaged one is replaced. No sweep takes either before blobs_put_done().
 */
int blobs_put(struct blobs *blobs, const struct payload *payload, enum compression compression,
	uint8_t ret_digest[32]);
void blobs_put_done(struct blobs *blobs, const uint8_t digest[32]);
/* Whether a payload of this digest is between the two. The caller holds blobs->lock. */
bool blobs_in_flight_locked(struct blobs *blobs, const uint8_t digest[32]);

/*
 * A sweep goes by batches: blobs that are old enough to go. From the moment that a batch is known
 * to `blobs`, every put in flight and every put that begins marks its digest as one to keep; then
 * `keep_named` looks for claim checks and marks what they name; then what has no mark goes, each
 * under blobs->lock. A put that was done before has its claim check where `keep_named` sees it. So
 * nothing that is named, or about to be, is ever missing, and puts hold no sweep up. Any number of
 * sweeps can go on at once.
 */
struct blob_batch {
	struct blobs *blobs;
	LIST_ENTRY(blob_batch) link; /* blobs->lock */
	struct buf digests;	     /* rising, DIGEST_BYTES each */
	struct buf kept;	     /* bool[]; blobs->lock */
};
/* Marks a digest; one that is not in the batch is left alone anyway. */
void blob_batch_keep(struct blob_batch *batch, const uint8_t digest[32]);
void blob_batch_keep_locked(struct blob_batch *batch, const uint8_t digest[32]);
/* blobs.c: between the two, puts mark the batch. */
void blobs_watch_puts(struct blobs *blobs, struct blob_batch *batch);
void blobs_unwatch_puts(struct blobs *blobs, struct blob_batch *batch);

struct blob_sweep {
	uint64_t grace_ms;	     /* younger blobs stay; 0: all can go, whatever their time */
	uint64_t temporary_grace_ms; /* the same of temporary files */
	size_t batch_max;	     /* blobs looked for at once: bounds the memory */
	int (*keep_named)(void *context, struct blob_batch *batch);
	void *context;
};
/*
 * Removes the blobs that `keep_named` did not mark, and temporary files that nobody writes. -errno
 * of `keep_named` ends it: what is not known to be an orphan stays.
 */
int blobs_sweep(struct blobs *blobs, const struct blob_sweep *sweep, uint64_t *ret_removed);

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

#endif
