/* SPDX-License-Identifier: MIT */
/*
 * Makes shards durable. Calls that wait for one shard share one fdatasync (group commit); text that
 * no call waits for is flushed within the stream's flush interval. The syncer has threads of its
 * own, so it blocks no caller's.
 *
 * A sync that failed is never tried again. The shard is marked failed, and every call that waits
 * for it, then or later, gets -EIO. Any thread may call.
 */
#ifndef STORE_SYNCER_H
#define STORE_SYNCER_H

#include "shard.h"

int syncer_new(struct syncer **ret_syncer);
/* Stops the threads. Nothing may be waiting any more. NULL is fine. */
void syncer_free(struct syncer *syncer);

/*
 * Makes all that is published durable, then calls `done` once: from a thread of the syncer, or
 * from this call when there is nothing to do.
 */
void syncer_request(
	struct sfs_shard *shard, void (*done)(void *context, int result), void *context);

/* To wait: sync_wait_done as `done`, one of these as its context, then sync_wait(). */
struct sync_wait {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	bool done;
	int result;
};
#define SYNC_WAIT_INIT {.lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER}
void sync_wait_done(void *context, int result);
int sync_wait(struct sync_wait *wait);

/*
 * Asks for a horizon: syncs what there is, then makes the horizon durable and publishes it. Takes
 * over `page`, which becomes the shard's horizon_page. One at a time for a shard.
 */
void syncer_request_horizon(struct sfs_shard *shard, const struct horizon *to, struct buf *page,
	void (*done)(void *context, int result), void *context);

/* The shard grew: syncs it within the flush interval. The caller holds shard.lock. */
void syncer_dirty_locked(struct sfs_shard *shard, uint32_t flush_interval_ms);

/*
 * A sealed segment whose file the next sync takes along; it is counted. There must be room for it
 * among the UNSYNCED_SEGMENTS. -ENOMEM. The caller holds shard.lock.
 */
int shard_add_unsynced_locked(struct sfs_shard *shard, struct segment *segment);

/* Queues a sync now, whatever the flush interval. The caller holds shard.lock. */
void syncer_hurry_locked(struct sfs_shard *shard);

/* The stream's flush interval changed: what is planned is planned anew. */
void syncer_set_interval(struct sfs_shard *shard, uint32_t flush_interval_ms);
/* Waits until nothing of the shard is queued or under way, and takes it out. For closing. */
void syncer_forget(struct sfs_shard *shard);

/* One sync, here and now, the watermark included. For closing. */
int syncer_sync_now(struct sfs_shard *shard);

#endif
