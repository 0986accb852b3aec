/* SPDX-License-Identifier: MIT */
/* What the rest of the store does with a stream. stream.c, stream_set.c, reshape.c, stream_blobs.c.
 */
#ifndef STORE_STREAM_H
#define STORE_STREAM_H

#include "blobs.h"
#include "consumers.h"
#include "home.h"
#include "retention.h"
#include "shard_table.h"
#include "streamfs/stream.h"
#include "waiters.h"

#include <bsd/sys/tree.h>

struct sfs_store;

struct sfs_stream {
	struct sfs_store *store;
	RB_ENTRY(sfs_stream) link; /* store.lock */
	atomic_uint refs;	   /* of users; the table's hold does not count */
	atomic_uint spread;	   /* turns of records without a key */
	uint64_t id;
	uint64_t created_ms;

	pthread_mutex_t change_lock;
	struct home home; /* its name changes under store.lock too; home.lock guards all below */
	struct sfs_owner owner;
	uint64_t changed_ms;
	struct shard_table table;
	struct shard_list retired;  /* shards that left the table */
	struct blobs blobs;	    /* has its own lock; directory made when first needed */
	pthread_mutex_t blobs_lock; /* for making it */
	bool blobs_durable; /* blobs_lock; its entry was synced since the store was opened */
	atomic_uint shape;  /* counts changes of what the table of shards holds; waiters.c */
	struct waiters waiters;
	struct consumers consumers;
	struct retained retained; /* retain_lock */
	pthread_mutex_t retain_lock;
	/* Under the tidier's lock: */
	unsigned queued_jobs;	 /* a bit for each kind of sweep that is queued */
	uint64_t sweep_after_ns; /* when the next sweep after a trim may begin */
};

/* A stream of this name with the store's defaults and nothing else. NULL: no memory. */
struct sfs_stream *stream_new(struct sfs_store *store, const char *name);
/* What shard_env calls: a reference to a shard is one to its stream. */
void shard_owner_ref(struct sfs_shard *shard);
bool shard_owner_try_ref(struct sfs_shard *shard); /* false: there is none yet */
void shard_owner_unref(struct sfs_shard *shard);
/* Frees it, wherever it stands. Nothing of it may be queued any more. */
void stream_free(struct sfs_stream *stream);

/*
 * Takes home.lock exclusively. An append of gigabytes holds it shared for long; waiting for that,
 * it steps back now and then, so that other appends go on.
 */
void stream_lock_alone(struct sfs_stream *stream);

/* The index, in the table's routes, of the route of a key. The caller holds home.lock. */
size_t stream_route(const struct sfs_stream *stream, const char *key, size_t bytes);
/* The route of a record without a key: the next in turn. */
size_t stream_spread(struct sfs_stream *stream);
/* A shard that is in no table yet, with a tag of its own. NULL: no memory. */
struct sfs_shard *stream_new_shard(struct sfs_stream *stream, uint32_t number);
/*
 * Puts a shard that left the table on the list of retired ones, which has room for it, and marks it
 * as removed. The caller holds home.lock exclusively.
 */
void stream_retire(struct sfs_stream *stream, struct sfs_shard *shard);
/* Writes stream.json after a change. The caller holds home.lock exclusively. */
int stream_save(struct sfs_stream *stream);
/*
 * reshape.c: changes the settings to these, which have another number of shards, and the shards
 * with them. Swaps the old settings for the new. The caller holds change_lock. Durable. -EINVAL,
 * with `diag`: too many.
 */
int stream_reshape(struct sfs_stream *stream, struct settings *settings, struct sfs_diag *diag);

/*
 * Notes in stream.json that the stream changed now. Durable. The caller holds home.lock
 * exclusively. stream_touch_undo() puts the time back that it gave.
 */
int stream_touch(struct sfs_stream *stream, uint64_t *ret_changed_ms);
void stream_touch_undo(struct sfs_stream *stream, uint64_t changed_ms);

/* The id of a stream, where that is known without reading it; else 0. */
uint64_t stream_known_id(struct sfs_store *store, const char *name);

/* Forgets all streams, for closing: syncs each. The first error. */
int streams_close(struct sfs_store *store);
/* Counters of all streams that were touched: calls `each` with a counted stream. */
int streams_each(struct sfs_store *store, int (*each)(void *context, struct sfs_stream *stream),
	void *context);

#endif
