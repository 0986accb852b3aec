/* SPDX-License-Identifier: MIT */
/*
 * The home of a stream's shards: what a stream and its shards share. The stream owns it; a shard
 * borrows it for its whole life.
 *
 * The name and `removed` change with both locks held exclusively, so holding either one shared is
 * enough to read them. Everything else changes under `lock`.
 */
#ifndef SHARD_HOME_H
#define SHARD_HOME_H

#include "metrics.h"
#include "settings.h"
#include "streamfs/store.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct home {
	pthread_rwlock_t lock; /* the stream's: shard table, settings, name; appends share it */
	pthread_rwlock_t path_lock; /* held shared while a file below the directory is opened */
	bool removed;
	char name[SFS_NAME_MAX + 1]; /* of the directory below streams/ */
	struct settings settings;    /* change under the stream's change_lock, too */
	struct stream_metrics metrics;
	atomic_uint shard_serial; /* the next shard object's */
};

void home_init(struct home *home, const char *name);
void home_fini(struct home *home);

/* Copies the present name. Takes path_lock; the caller may hold any lock but that. */
void home_name(struct home *home, char name[SFS_NAME_MAX + 1]);

#endif
