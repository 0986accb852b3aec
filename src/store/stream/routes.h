/* SPDX-License-Identifier: MIT */
/*
 * Which open shard takes a key. Routes are built as a whole from a table of shards and never
 * change after that; another table brings other routes. They own their arrays, not the shards.
 */
#ifndef STREAM_ROUTES_H
#define STREAM_ROUTES_H

#include "hash_range.h"

struct sfs_shard;

/* In the order of the hash ranges. `firsts[i]` is the first hash of `shards[i]`. */
struct routes {
	size_t count;
	struct hash_key *firsts;
	struct sfs_shard **shards;
};

/* Room for `count` routes, all zero; routes->count is set. -ENOMEM: then there is none. */
int routes_alloc(struct routes *routes, size_t count);
/* Builds the routes to the open ones among `count` shards. -ENOMEM. */
int routes_build(struct sfs_shard *const *shards, size_t count, struct routes *ret_routes);
void routes_fini(struct routes *routes);

/* The index of the route that a key belongs to. The routes must cover every key. */
size_t routes_find(const struct routes *routes, const char *key, size_t bytes);
/* Whether every key belongs to exactly one route. */
bool routes_cover_once(const struct routes *routes);

#endif
