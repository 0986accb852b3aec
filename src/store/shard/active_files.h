/* SPDX-License-Identifier: MIT */
/*
 * The descriptors of active segments. Every shard that was written to has one, and there may be
 * more shards than descriptors. When many are open, those of idle shards (synced, not in use) are
 * closed, the ones not used lately first; they are opened again when wanted. Any thread may call.
 */
#ifndef STORE_ACTIVE_FILES_H
#define STORE_ACTIVE_FILES_H

#include <bsd/sys/queue.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct sfs_shard;
struct shard_env;

/* Shards whose active segment's file is open. */
struct active_files {
	pthread_mutex_t lock; /* guards the list; with it held, other locks are only tried */
	TAILQ_HEAD(, sfs_shard) list;
	atomic_uint count;
	unsigned max;
};

void active_files_init(struct active_files *files, unsigned max);
void active_files_fini(struct active_files *files);

/*
 * The active segment's file was opened: lists it, and closes others if there are too many. The
 * caller holds shard.lock or recovers the shard.
 */
void active_files_add_locked(struct sfs_shard *shard);
/* The file was closed, or the segment is no longer the active one. */
void active_files_remove(struct sfs_shard *shard);
/* Opens the active segment's file if it is closed. The caller holds shard.lock. */
int active_file_open_locked(struct sfs_shard *shard);
/*
 * Before a file is opened for appending: brings the number under the limit, which may take syncs of
 * other shards. Blocks; the caller holds no lock but home.lock.
 */
void active_files_make_room(struct sfs_shard *shard);
/* Whether descriptors that could be opened again had better be closed. */
bool active_files_are_many(struct shard_env *env);

#endif
