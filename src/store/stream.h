/* SPDX-License-Identifier: MIT */
/* What the rest of the store does with a stream. stream.c, stream_set.c, reshape.c, stream_blobs.c.
 */
#ifndef STORE_STREAM_H
#define STORE_STREAM_H

#include "internal.h"

#include "streamfs/stream.h"

/* A stream of this name with the store's defaults and nothing else. NULL: no memory. */
struct sfs_stream *stream_new(struct sfs_store *store, const char *name);
/* Frees it, wherever it stands. Nothing of it may be queued any more. */
void stream_free(struct sfs_stream *stream);

/*
 * Takes stream.lock exclusively. An append of gigabytes holds it shared for long; waiting for that,
 * it steps back now and then, so that other appends go on.
 */
void stream_lock_alone(struct sfs_stream *stream);

/* Makes the first `count` shards of an empty stream, evenly over the hash space. 0, -ENOMEM. */
int stream_set_shards(struct sfs_stream *stream, uint32_t count);
/* Makes the table of open shards anew. */
int stream_set_routes(struct sfs_stream *stream);
/* The route (into stream->routes) that a key belongs to. The caller holds stream.lock. */
size_t stream_route(const struct sfs_stream *stream, const char *key, size_t bytes);
/* The route of a record without a key: the next in turn. */
size_t stream_spread(struct sfs_stream *stream);
/* A shard that is in no table yet, with a tag of its own. NULL: no memory. */
struct sfs_shard *stream_new_shard(struct sfs_stream *stream, uint32_t number);
/* Writes stream.json after a change. The caller holds stream.lock exclusively. */
int stream_save(struct sfs_stream *stream);
/*
 * reshape.c: changes the settings to these, which have another number of shards, and the shards
 * with them. Swaps the old settings for the new. The caller holds change_lock. Durable. -EINVAL,
 * with `diag`: too many.
 */
int stream_reshape(struct sfs_stream *stream, struct settings *settings, struct sfs_diag *diag);

/*
 * Notes in stream.json that the stream changed now. Durable. The caller holds stream.lock
 * exclusively. stream_touch_undo() puts the time back that it gave.
 */
int stream_touch(struct sfs_stream *stream, uint64_t *ret_changed_ms);
void stream_touch_undo(struct sfs_stream *stream, uint64_t changed_ms);

/* stream_blobs.c: opens the directory of the stream's blobs; makes it if `make`. The caller holds
 * stream.lock. Without `make`, a missing one is no error: the blobs are empty. */
int stream_open_blobs(struct sfs_stream *stream, bool make);
/* Removes all of it; for a stream that is removed. The caller holds stream.lock. */
int stream_remove_blobs(struct sfs_stream *stream);

/* The present name, for a message, without stream.lock; takes store.lock. */
void stream_told_name(struct sfs_stream *stream, char name[SFS_NAME_MAX + 1]);

/* The id of a stream, where that is known without reading it; else 0. */
uint64_t stream_known_id(struct sfs_store *store, const char *name);

/* Forgets all streams, for closing: syncs each. The first error. */
int streams_close(struct sfs_store *store);
/* Counters of all streams that were touched: calls `each` with a counted stream. */
int streams_each(struct sfs_store *store, int (*each)(void *context, struct sfs_stream *stream),
	void *context);

#endif
