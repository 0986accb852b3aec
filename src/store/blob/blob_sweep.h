/* SPDX-License-Identifier: MIT */
/*
 * Sweeping: removing the blobs that no record names. Such blobs come from trims, and from a crash
 * between storing a blob and appending its claim check.
 *
 * A sweep goes by batches of blobs that are old enough to go:
 *
 *     blobs_watch_puts()    from here on every put, in flight or new, marks its digest
 *     keep_named()          looks at the claim checks and marks what they name
 *     unlink                what has no mark, one at a time under blobs->lock
 *     blobs_unwatch_puts()
 *
 * Invariants:
 *  1. A blob that a record names, or is about to name, is marked before anything is removed. The
 *     claim check of a put that was done before the watch began is where keep_named() sees it.
 *  2. Marks are never taken back within a batch.
 *  3. Puts wait for a sweep no longer than one unlink takes. Any number of sweeps can go on at
 * once.
 */
#ifndef BLOB_BLOB_SWEEP_H
#define BLOB_BLOB_SWEEP_H

#include "blobs.h"

struct blob_batch {
	struct blobs *blobs;
	LIST_ENTRY(blob_batch) link; /* blobs->lock */
	struct digests digests;	     /* rising */
	VECTOR(, bool) kept;	     /* the marks, one for each digest; blobs->lock */
};
/* Marks a digest. One that is not in the batch stays anyway. */
void blob_batch_keep(struct blob_batch *batch, const uint8_t digest[DIGEST_BYTES]);
/* The same; the caller holds blobs->lock. */
void blob_batch_keep_locked(struct blob_batch *batch, const uint8_t digest[DIGEST_BYTES]);

struct blob_sweep {
	uint64_t grace_ms;	     /* younger blobs stay; 0: all can go, whatever their time */
	uint64_t temporary_grace_ms; /* the same for temporary files */
	size_t batch_max;	     /* blobs of a batch, at least 1: bounds the memory */
	int (*keep_named)(void *context, struct blob_batch *batch);
	void *context;
};
/*
 * Removes the blobs that keep_named() did not mark, and temporary files that no put writes. An
 * error of keep_named() ends the sweep and is its result: what may have a name stays.
 */
int blob_sweep(struct blobs *blobs, const struct blob_sweep *sweep, uint64_t *ret_removed);

#endif
