/* SPDX-License-Identifier: MIT */
/*
 * The streams of a store that were used since it was opened. What always holds:
 *
 *   1. A stream is in the set from its first use until it is removed or the store is closed. The
 *      set holds one reference to it.
 *   2. The set is in the order of the names; a name changes with store.lock held.
 *   3. Streams are made, loaded, renamed and removed under store.config_lock. So there is one
 *      object at most for a directory, and names on disk and in the set agree.
 *   4. Nobody gets a stream whose name is not durable.
 */
#ifndef STREAM_STREAMS_H
#define STREAM_STREAMS_H

#include <stdint.h>

struct sfs_store;
struct sfs_stream;

/* The id of a stream that is in the set; else 0. */
uint64_t streams_known_id(struct sfs_store *store, const char *name);
/*
 * Calls `each` with every stream of the set, by rising name. A reference is held for the call. A
 * non-zero return ends it and is the result.
 */
int streams_each(struct sfs_store *store, int (*each)(void *context, struct sfs_stream *stream),
	void *context);
/* Empties the set, for closing: syncs each stream. The first error. */
int streams_close(struct sfs_store *store);

#endif
