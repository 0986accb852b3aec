/* SPDX-License-Identifier: MIT */
/*
 * The buffers that one append needs while it runs: taken from a pool and given back, so that there
 * are as many as threads that append at once, not as many as open writers.
 */
#ifndef STORE_WORKSPACE_H
#define STORE_WORKSPACE_H

#include "meta.h"
#include "store.h"

/* Records on their way to one shard, in order. */
struct batch {
	struct sfs_shard *shard;
	struct buf text;
	struct meta_writer meta;
	bool has_meta; /* some record has a key or is a claim check */
	uint32_t records;
	uint64_t json_bytes; /* of these, unplaced (json_record.h) */
	SLIST_ENTRY(batch) link;
};

struct workspace {
	struct waiter_list *due; /* whom the appends of this run wake; NULL: nobody is told */
	struct pool_item pooled;
	struct encoder *encoder;
	SLIST_HEAD(, batch) used, idle;
	struct buf slots; /* struct batch *[]: the batch in use of each route */
	struct buf head;  /* a line that began in an earlier write */
	struct buf meta;  /* of chunks that need no batch */
	struct buf puts;  /* digests of blobs for which blobs_put_done() is owed */
};

struct workspace *workspace_get(struct sfs_store *store); /* NULL: no memory */
void workspace_put(struct sfs_store *store, struct workspace *workspace);

/* The batch of a route: the one in use or a fresh one. NULL: no memory. */
struct batch *workspace_batch(
	struct workspace *workspace, const struct routes *routes, size_t route);
/* A batch of its own for a shard. NULL: no memory. */
struct batch *workspace_new_batch(struct workspace *workspace, struct sfs_shard *shard);
/* Empties the batches in use and makes them idle. */
void workspace_reset(struct workspace *workspace);

#endif
