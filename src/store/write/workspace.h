/* SPDX-License-Identifier: MIT */
/*
 * The buffers that one append needs while it runs. They come from a pool of the store and go back
 * to it, so there are as many workspaces as threads that append at once, not as many as open
 * writers. A workspace belongs to one thread at a time.
 *
 * Invariants:
 *  1. A batch is either in use (it has a shard) or idle (it is empty).
 *  2. No two batches in use have the same route.
 *  3. Each blob that workspace_put_blob() stored is kept from sweeps until workspace_settle().
 *     workspace_give() comes after that.
 */
#ifndef WRITE_WORKSPACE_H
#define WRITE_WORKSPACE_H

#include "batch.h"
#include "digest.h"
#include "payload.h"
#include "store.h"

#include <bsd/sys/queue.h>
#include "vector.h"

struct workspace {
	struct waiter_list *due; /* where an append puts the waiters to wake; NULL: it wakes none */
	struct pool_item pooled;
	struct encoder *encoder;
	SLIST_HEAD(, batch) used, idle;
	VECTOR(, struct batch *) by_route; /* the batch in use of each route, or NULL */
	struct buf head;		   /* a line that began in an earlier write, or its key */
	struct buf meta;		   /* of chunks that need no batch */
	struct digests puts;		   /* blobs for which blobs_put_done() is due */
};

struct workspace *workspace_take(struct sfs_store *store); /* NULL: no memory */
/* Gives it back, with the batches that it used. */
void workspace_give(struct workspace *workspace, struct sfs_store *store);

/* The batch of a route: the one in use or a fresh one. NULL: no memory. */
struct batch *workspace_batch(
	struct workspace *workspace, const struct routes *routes, size_t route);
/* The one batch of an append to a shard by its name. NULL: no memory. */
struct batch *workspace_shard_batch(struct workspace *workspace, struct sfs_shard *shard);

/*
 * Stores a payload as a blob, durably, and returns the claim for it. workspace_settle() is due. The
 * caller holds home.lock.
 */
int workspace_put_blob(struct workspace *workspace, struct sfs_stream *stream,
	const struct payload *payload, struct claim *ret_claim);
/* Records name the blobs now, or they are given up. Sweeps may have those without a record. */
void workspace_settle(struct workspace *workspace, struct sfs_stream *stream);

#endif
