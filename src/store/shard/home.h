/* SPDX-License-Identifier: MIT */
/*
 * The home of a stream's shards: what a stream and its shards share. The stream owns it; a shard
 * borrows it for its whole life.
 *
 * The name and `removed` change only with both locks held exclusively. To read them, hold either
 * lock shared. Everything else changes under `lock`.
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
	pthread_rwlock_t lock; /* guards shard table, settings and name; appends hold it shared */
	pthread_rwlock_t path_lock; /* held shared while a file below the directory is opened */
	bool removed;
	char name[SFS_NAME_MAX + 1]; /* of the directory below streams/ */
	struct settings settings;    /* a change also holds the stream's change_lock */
	struct stream_metrics metrics;
	atomic_uint shard_serial; /* of the next shard object */
};

void home_init(struct home *home, const char *name);
void home_fini(struct home *home);

/* Copies the present name. Takes path_lock; the caller may hold any other lock. */
void home_name(struct home *home, char name[SFS_NAME_MAX + 1]);

#endif
