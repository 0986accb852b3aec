/* SPDX-License-Identifier: MIT */
/*
 * A stream: the object behind streamfs/stream.h. shard_table.h, consumers.h and view_waiters.h have
 * its larger parts, reshard.h, trim.h and retention.h what changes its shards.
 *
 * It is counted. The set of streams (streams.h) holds one reference; a reference to a shard is one
 * to its stream. A removed stream lasts until its last user gives it back.
 */
#ifndef STORE_STREAM_H
#define STORE_STREAM_H

#include "blobs.h"
#include "consumers.h"
#include "home.h"
#include "retention.h"
#include "shard_table.h"
#include "streamfs/stream.h"
#include "view_waiters.h"

#include <bsd/sys/tree.h>

struct sfs_store;

struct sfs_stream {
	struct sfs_store *store;
	RB_ENTRY(sfs_stream) link; /* store.lock */
	atomic_uint refs;	   /* of users, of their shards too, and of the set */
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
	atomic_uint shape;  /* counts changes of what the table of shards holds; view_waiters.h */
	struct view_waiters waiters;
	struct consumers consumers;
	struct retained retained; /* retain_lock */
	pthread_mutex_t retain_lock;
	/* Under the tidier's lock: */
	unsigned queued_jobs;	 /* a bit for each kind of sweep that is queued */
	uint64_t sweep_after_ns; /* when the next sweep after a trim may begin */
};

/* A stream of this name with the store's defaults and nothing else. NULL: no memory. */
struct sfs_stream *stream_new(struct sfs_store *store, const char *name);
/* For shard_env: a reference to a shard is one to its stream. */
void stream_ref_shard(struct sfs_shard *shard);
bool stream_try_ref_shard(struct sfs_shard *shard); /* false: there is none yet */
void stream_unref_shard(struct sfs_shard *shard);
/* Frees it, wherever it stands. Nothing of it may be queued any more. */
void stream_free(struct sfs_stream *stream);

/*
 * Takes home.lock exclusively. An append of gigabytes holds it shared for long. While this waits
 * for one, it steps back now and then, so that other appends go on.
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
/* home.removed was set: marks all shards. The caller holds home.lock exclusively. */
void stream_set_removed(struct sfs_stream *stream);
/* Writes stream.json after a change, durably. -EROFS, -ENOENT. The caller holds home.lock
 * exclusively. */
int stream_save(struct sfs_stream *stream);
/*
 * Notes in stream.json that the stream changed now. Durable. stream_untouch() puts the time back
 * that it returned. The caller holds home.lock exclusively.
 */
int stream_touch(struct sfs_stream *stream, uint64_t *ret_changed_ms);
void stream_untouch(struct sfs_stream *stream, uint64_t changed_ms);

#endif
