/* SPDX-License-Identifier: MIT */
/*
 * Makes shards durable. Calls that wait for one shard share one fdatasync (group commit); text that
 * no call waits for is flushed within the stream's flush interval. The syncer works in threads of
 * its own, so it does not block its callers.
 *
 * A failed sync is never tried again. The shard is marked failed, and every call that waits for it,
 * then or later, gets -EIO. Thread-safe.
 */
#ifndef STORE_SYNCER_H
#define STORE_SYNCER_H

#include "shard.h"

int syncer_new(struct syncer **ret_syncer);
/* Stops the threads. No call may still wait for a sync. NULL is fine. */
void syncer_free(struct syncer *syncer);

/*
 * Makes all that is published durable, then calls `done` once: from a thread of the syncer, or
 * from this call when there is nothing to do.
 */
void syncer_request(
	struct sfs_shard *shard, void (*done)(void *context, int result), void *context);

/* To wait for a sync: pass sync_wait_done as `done` and this as its context; then sync_wait(). */
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
 * Moves the horizon: syncs what is published, then makes the horizon durable and publishes it.
 * Takes over `page`, which becomes the shard's horizon_page. Calls `done` once, as syncer_request()
 * does. A shard may have one such request at a time.
 */
void syncer_request_horizon(struct sfs_shard *shard, const struct horizon *to, struct buf *page,
	void (*done)(void *context, int result), void *context);

/* The shard grew: plans a sync within the flush interval. The caller holds shard.lock. */
void syncer_dirty_locked(struct sfs_shard *shard, uint32_t flush_interval_ms);

/*
 * Adds a sealed segment for the next sync to sync, and takes a reference to it. The caller holds
 * shard.lock, and there are fewer than UNSYNCED_SEGMENTS. -ENOMEM.
 */
int shard_add_unsynced_locked(struct sfs_shard *shard, struct segment *segment);

/* Queues a sync now, whatever the flush interval. The caller holds shard.lock. */
void syncer_hurry_locked(struct sfs_shard *shard);

/* The stream's flush interval changed: a planned flush gets a new time. */
void syncer_set_interval(struct sfs_shard *shard, uint32_t flush_interval_ms);
/* Ends the shard's plan and waits until no sync of it is queued or running. For closing. */
void syncer_forget(struct sfs_shard *shard);

/* Syncs in this thread, the watermark included. For closing. */
int syncer_sync_now(struct sfs_shard *shard);

#endif
