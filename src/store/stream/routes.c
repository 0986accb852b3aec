/* SPDX-License-Identifier: MIT */
#include "routes.h"

#include "shard.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

int routes_alloc(struct routes *routes, size_t count)
{
	*routes = (struct routes){
		.count = count,
		.firsts = calloc(count + 1, sizeof *routes->firsts),
		.shards = calloc(count + 1, sizeof(struct sfs_shard *)),
	};
	if (routes->firsts && routes->shards)
		return 0;
	routes_fini(routes);
	return -ENOMEM;
}

void routes_fini(struct routes *routes)
{
	free(routes->firsts);
	free(routes->shards);
	*routes = (struct routes){0};
}

static int compare_first(const void *a, const void *b)
{
	const struct sfs_shard *x = *(struct sfs_shard *const *)a,
			       *y = *(struct sfs_shard *const *)b;
	if (x->hash_first.high != y->hash_first.high)
		return x->hash_first.high < y->hash_first.high ? -1 : 1;
	return (x->hash_first.low > y->hash_first.low) - (x->hash_first.low < y->hash_first.low);
}

int routes_build(struct sfs_shard *const *shards, size_t count, struct routes *ret_routes)
{
	struct routes routes;
	int r = routes_alloc(&routes, count);
	if (r < 0)
		return r;
	routes.count = 0;
	for (size_t i = 0; i < count; i++)
		if (!shards[i]->closed)
			routes.shards[routes.count++] = shards[i];
	qsort(routes.shards, routes.count, sizeof(struct sfs_shard *), compare_first);
	for (size_t i = 0; i < routes.count; i++)
		routes.firsts[i] = routes.shards[i]->hash_first;
	*ret_routes = routes;
	return 0;
}

size_t routes_find(const struct routes *routes, const char *key, size_t bytes)
{
	assert(routes->count);
	if (routes->count == 1)
		return 0;
	return hash_range_find(routes->firsts, routes->count, hash_key_of(key, bytes));
}

bool routes_cover_once(const struct routes *routes)
{
	struct hash_key next = {0, 0};
	for (size_t i = 0; i < routes->count; i++) {
		const struct sfs_shard *shard = routes->shards[i];
		bool ended = i && !next.high && !next.low;
		if (ended || shard->hash_first.high != next.high ||
			shard->hash_first.low != next.low ||
			!hash_key_le(shard->hash_first, shard->hash_last))
			return false;
		next = shard->hash_last;
		next.high += !++next.low;
	}
	return routes->count && !next.high && !next.low;
}
