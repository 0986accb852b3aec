/* SPDX-License-Identifier: MIT */
/*
 * The shards that a writer appended to, each once, to be synced together. A zeroed set is empty.
 * One thread at a time. The shards are those of one stream, which the set's owner keeps alive.
 */
#ifndef WRITE_SHARD_SET_H
#define WRITE_SHARD_SET_H

#include "shard.h"
#include "vector.h"

struct shard_set {
	VECTOR(, struct sfs_shard *) shards;
	VECTOR(, uint8_t) bits; /* bit shard->serial: the shard is in the set */
};

void shard_set_fini(struct shard_set *set);
/* Adds a shard that may be in it already. 0 or -ENOMEM. */
int shard_set_add(struct shard_set *set, struct sfs_shard *shard);
/*
 * Makes all that was appended to these shards durable. Calls `done` once, from another thread or
 * from this call, with 0 or the error of one of them. Does not block, and needs the set no more
 * when it returns.
 */
void shard_set_sync(
	const struct shard_set *set, void (*done)(void *context, int result), void *context);

#endif
