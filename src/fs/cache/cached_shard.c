/* SPDX-License-Identifier: MIT */
#include "cached_shard.h"

void cached_shard_init(
	struct cached_shard *cached, struct sfs_shard *shard, uint64_t nodeid, uint64_t size_bytes)
{
	cached->shard = shard;
	cached->nodeid = nodeid;
	atomic_init(&cached->known_bytes, size_bytes);
	followers_init(&cached->followers);
}

void cached_shard_fini(struct cached_shard *cached)
{
	followers_fini(&cached->followers);
}
