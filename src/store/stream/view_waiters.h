/* SPDX-License-Identifier: MIT */
/*
 * The waiters of views (struct sfs_waiter): each has a function that is called when its view has
 * more. Waiters for a sync are others; see syncer.h. What always holds:
 *
 *   1. A waiter is on one list at most, that of a shard or that of its stream.
 *   2. One lock of the stream guards all these lists. It is a leaf.
 *   3. A waiter is called once for each time it was added, with no lock held, or it is removed.
 *   4. No wake-up is lost. A view adds its waiter first and looks for records after that; an append
 *      publishes first and looks for waiters after that. Both do so under locks, or with
 *      sequentially consistent atomics.
 *
 * Waking has two steps, because the calls need a thread without locks. Where something changes,
 * the waiters are taken off their lists onto a list of that thread. When it has given back its
 * locks it calls them. An append without waiters costs one atomic load.
 */
#ifndef STREAM_VIEW_WAITERS_H
#define STREAM_VIEW_WAITERS_H

#include "shard.h"

#include <pthread.h>
#include <stdatomic.h>

struct sfs_stream;

/* The stream's part. */
struct view_waiters {
	atomic_uint count; /* on all lists of the stream and of its shards; changes under `lock` */
	pthread_mutex_t lock;
	struct waiter_list any; /* for any shard's records */
};

void view_waiters_init(struct view_waiters *waiters);
void view_waiters_fini(struct view_waiters *waiters);

/* Puts the waiter on the list of the shard, or with NULL on the stream's. */
void view_waiters_add(
	struct sfs_waiter *waiter, struct sfs_stream *stream, struct sfs_shard *shard);
/* Takes a waiter off its list. False: it is on none, or was never put on one. */
bool view_waiters_remove(struct sfs_waiter *waiter);

/* Takes the waiters for records of the shard; right after records were published. */
void view_waiters_take(struct sfs_shard *shard, struct waiter_list *due);
/* Calls the waiters that were taken. The caller holds no lock. */
void view_waiters_wake(struct waiter_list *due);

/*
 * Wakes all waiters of the stream and its shards: shards came, closed or went, records were
 * trimmed, or it was removed. The caller holds no lock.
 */
void view_waiters_wake_all(struct sfs_stream *stream);

#endif
