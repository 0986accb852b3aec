/* SPDX-License-Identifier: MIT */
/*
 * The blobs of one stream, in a directory of their own: <first two hex digits>/<digest>.lz4, each a
 * file of chunks (chunk.h) whose owner is the first eight bytes of the digest, so that `lz4 -dc`
 * prints the payload and every chunk is bound to the digest. Equal payloads are stored once.
 *
 * blob.h reads one, blob_sweep.h removes those that no record names.
 *
 * Invariants:
 *  1. Under a blob's name there is all of it, durable, or nothing.
 *  2. A blob is in `puts` from before it is stored until blobs_put_done(), as often as there are
 *     puts of it. Nothing removes it meanwhile.
 *  3. A file is unlinked under `lock` only, so a put either finds it or stores it anew.
 *
 * Any thread may use it. `lock` is a leaf.
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
	const atomic_bool *stop; /* set: listing and sweeping end with -ECANCELED; or NULL */
	_Atomic int dir;	 /* owned; -1: not made yet */
	pthread_mutex_t lock;	 /* guards what follows; held over unlinking */
	RB_HEAD(put_tree, blob_put) puts; /* their claim checks are not appended yet */
	LIST_HEAD(, blob_batch) batches;  /* that are being swept */
	uint32_t fans_durable[8];	  /* a bit for each XX directory whose entry was synced */
};

/* `dir` becomes the object's own. */
void blobs_init(struct blobs *blobs, const struct disk *disk, int dir);
void blobs_fini(struct blobs *blobs);

/*
 * Stores a payload and returns its digest. The blob is durable (its directory too) when it
 * returns. Each successful call is followed by one blobs_put_done() with that digest, when the
 * claim check has been appended or given up. A blob that is there is adopted, and its mtime
 * renewed, if it holds these very bytes; a damaged one is replaced. The directory must be open.
 */
int blobs_put(struct blobs *blobs, const struct payload *payload, enum compression compression,
	uint8_t ret_digest[DIGEST_BYTES]);
void blobs_put_done(struct blobs *blobs, const uint8_t digest[DIGEST_BYTES]);
/* Whether a payload of this digest is between the two. The caller holds blobs->lock. */
bool blobs_in_flight_locked(struct blobs *blobs, const uint8_t digest[DIGEST_BYTES]);

/* Between the two, every put marks its digest in the batch (blob_sweep.h). */
void blobs_watch_puts(struct blobs *blobs, struct blob_batch *batch);
void blobs_unwatch_puts(struct blobs *blobs, struct blob_batch *batch);

/* Calls `each` with each digest in hex until it returns non-zero, which is then the result. */
int blobs_list(
	struct blobs *blobs, int (*each)(void *context, const char *digest_hex), void *context);
/* Removes every blob and directory (for a stream that is removed). */
int blobs_remove_all(struct blobs *blobs);
/* -ECANCELED: listing and sweeping are to end. */
int blobs_check_stop(const struct blobs *blobs);

#endif
