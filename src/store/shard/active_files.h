/* SPDX-License-Identifier: MIT */
/*
 * The descriptors of active segments: every shard that was written to has one, and there may be
 * more shards than descriptors. Where many are open, those of clean shards (synced, nobody at them)
 * are closed, the ones not used lately first, and opened again when wanted. Any thread may call.
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

/* The active segment's file was opened; it is sealed or gone. The caller holds shard.lock, or no
 * other thread knows the shard. Adding closes others where there are too many. */
void active_files_add_locked(struct sfs_shard *shard);
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
