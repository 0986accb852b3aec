/* SPDX-License-Identifier: MIT */
/*
 * Those who wait for a view to have more (struct sfs_waiter). A waiter is on the list of one shard
 * or of its stream; one lock of the stream guards them all, and is a leaf.
 *
 * Waking is in two steps, because it must happen without any lock: where something changed, the
 * waiters are taken off their lists, onto a list of whoever changed it; when that has given back
 * its locks, they are called. An append without waiters costs one atomic load.
 *
 * No wake-up is lost: one registers first and looks whether there is something after, and an
 * append publishes first and looks for waiters after; both under locks or sequentially consistent.
 */
#ifndef STORE_WAITERS_H
#define STORE_WAITERS_H

#include "shard.h"

#include <pthread.h>
#include <stdatomic.h>

struct sfs_stream;

/* The stream's part. */
struct waiters {
	atomic_uint count; /* on all lists of the stream and of its shards; changes under `lock` */
	pthread_mutex_t lock;
	struct waiter_list any; /* for any shard's records */
};

void waiters_init(struct waiters *waiters);
void waiters_fini(struct waiters *waiters);

/* Puts the waiter on the list of the shard, or with NULL on the stream's. */
void waiters_add(struct sfs_waiter *waiter, struct sfs_stream *stream, struct sfs_shard *shard);
/* Takes a waiter off its list. False: it is on none, or was never put on one. */
bool waiters_remove(struct sfs_waiter *waiter);

/* Takes those who wait for records of the shard; right after records were published. */
void waiters_take(struct sfs_shard *shard, struct waiter_list *due);
/* Calls those who were taken. The caller holds no lock. */
void waiters_wake(struct waiter_list *due);

/*
 * Wakes all who wait for the stream or a shard of it: shards came, closed or went, records were
 * trimmed, or it was removed. The caller holds no lock.
 */
void stream_wake(struct sfs_stream *stream);

#endif
