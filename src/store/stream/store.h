/* SPDX-License-Identifier: MIT */
/*
 * The store as a whole.
 *
 * Lock order, outermost first (a thread that holds one takes only those below it):
 *   store.config_lock      changes of streamfs.json and of the set of streams
 *   stream.consumers.lock  the consumers and their documents
 *   stream.retain_lock     retention, one after the other
 *   stream.change_lock     changes of the settings and trims, one after the other
 *   store.trim_watch_lock  the callback for trims; held while it is called
 *   home.lock                (rw) the shard table, settings and name; appends hold it shared
 *   shard.append_lock      ordering and storing: one append at a time
 *   shard.files_lock       replacing or removing the file of a sealed segment
 *   shard.lock             what is published; held for a moment
 *   home.path_lock       (rw) where the stream's directory is; held while a file is opened
 *   syncer, tidier, pools, caches, waiters: leaves
 * store.lock (the set of streams) is a leaf too: nothing is taken under it.
 *
 * An append of a long record can hold home.lock for as long as its writing takes. A thread that
 * waits for the exclusive lock holds others up for moments only (stream_lock_alone()). What must
 * not wait at all (syncs, reads of sealed segments) and what takes long by itself (merges, sweeps)
 * takes home.path_lock alone.
 *
 * An append has two halves. Ordering gives a chunk its offset, sequence and time; storing puts an
 * ordered chunk into the local segment. Here the order comes from the shard under append_lock; an
 * engine that orders elsewhere would call the storing half with chunks that it was handed.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "payload.h"
#include "pool.h"
#include "shard_env.h"
#include "stream.h"

struct tidier;

enum {
	ORPHAN_GRACE_MS = 3600 * 1000,
	SWEEP_BLOBS = 100 * 1000, /* bounds the memory of a sweep to some 6 MiB */
};

RB_HEAD(stream_tree, sfs_stream);

struct sfs_store {
	struct shard_env env;
	char *path;
	int dir, lock_fd;
	int blob_dir; /* -1: blobs are inside the streams */
	uint64_t orphan_grace_ms;
	size_t sweep_blobs; /* that a sweep looks for at once */

	pthread_mutex_t config_lock; /* guards writing streamfs.json and all that is in it: */
	char uuid[37];
	uint64_t next_id;     /* of a stream */
	uint64_t reserved_id; /* ids below it may be given without writing the file */
	struct sfs_owner owner;
	struct settings defaults;
	bool streams_unsynced; /* streams/ may have entries that are not durable */

	pthread_mutex_t lock; /* guards the table */
	struct stream_tree streams;

	struct payload_budget payloads; /* unfinished lines and uploads */

	pthread_mutex_t trim_watch_lock; /* guards the callback; held while it is called */
	void (*trimmed)(void *context, struct sfs_shard *shard);
	void *trimmed_context;

	struct tidier *tidier;
	struct pool workspaces; /* idle ones, of the writers */
};

/* A store without descriptors or services; the path is not touched. NULL: no memory. */
struct sfs_store *store_new(const char *path, const struct sfs_store_options *options);
/* Frees what there is of it. */
void store_free(struct sfs_store *store);
/* The next stream id, never given before. The caller holds config_lock. */
int store_next_id(struct sfs_store *store, uint64_t *ret_id);
/* Calls the callback of sfs_store_watch_trims() for a shard whose horizon moved. No other lock is
 * needed. */
void store_report_trim(struct sfs_store *store, struct sfs_shard *shard);
#endif
