/* SPDX-License-Identifier: MIT */
#include "shard_set.h"

#include "syncer.h"

void shard_set_fini(struct shard_set *set)
{
	vector_fini(&set->shards);
	vector_fini(&set->bits);
}

int shard_set_add(struct shard_set *set, struct sfs_shard *shard)
{
	size_t byte = shard->serial / 8;
	uint8_t bit = (uint8_t)(1 << shard->serial % 8);
	if (set->bits.count <= byte) {
		int r = vector_resize(&set->bits, byte + 1);
		if (r < 0)
			return r;
	}
	if (set->bits.items[byte] & bit)
		return 0;
	int r = vector_push(&set->shards, shard);
	if (r == 0)
		set->bits.items[byte] |= bit;
	return r;
}

/* Syncs under way. The last one to end calls `done` and frees the group. */
struct sync_group {
	atomic_size_t left;
	atomic_int result;
	void (*done)(void *context, int result);
	void *context;
};

static void group_done(void *context, int result)
{
	struct sync_group *group = context;
	if (result < 0)
		atomic_store(&group->result, result);
	if (atomic_fetch_sub(&group->left, 1) != 1)
		return;
	group->done(group->context, atomic_load(&group->result));
	free(group);
}

void shard_set_sync(
	const struct shard_set *set, void (*done)(void *context, int result), void *context)
{
	size_t count = set->shards.count;
	if (!count) {
		done(context, 0);
		return;
	}
	struct sync_group *group = malloc(sizeof *group);
	if (!group) {
		done(context, -ENOMEM);
		return;
	}
	/* One more than there are shards: no sync ends the group before the last one has begun. */
	atomic_init(&group->left, count + 1);
	atomic_init(&group->result, 0);
	group->done = done;
	group->context = context;
	for (size_t i = 0; i < count; i++)
		syncer_request(set->shards.items[i], group_done, group);
	group_done(group, 0);
}
