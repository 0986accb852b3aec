/* SPDX-License-Identifier: MIT */
#include "shard_table.h"

#include "cleanup.h"
#include "shard.h"
#include "stream.h"

#include <assert.h>

int shard_table_make(struct sfs_stream *stream, uint32_t count)
{
	struct shard_table *table = &stream->table;
	assert(!table->count && !table->shards);
	table->shards = calloc(count, sizeof(struct sfs_shard *));
	if (!table->shards)
		return -ENOMEM;
	while (table->count < count) {
		struct sfs_shard *shard = stream_new_shard(stream, (uint32_t)table->count);
		if (!shard)
			return -ENOMEM;
		table->shards[table->count++] = shard;
	}
	table->next_number = count;
	shard_table_divide(table);
	return shard_table_route(table);
}

void shard_table_fini(struct shard_table *table)
{
	for (size_t i = 0; i < table->count; i++)
		shard_free(table->shards[i]);
	free(table->shards);
	routes_fini(&table->routes);
	*table = (struct shard_table){0};
}

int shard_table_route(struct shard_table *table)
{
	struct routes routes;
	int r = routes_build(table->shards, table->count, &routes);
	if (r < 0)
		return r;
	routes_fini(&table->routes);
	table->routes = routes;
	return 0;
}

void shard_table_divide(struct shard_table *table)
{
	uint32_t count = (uint32_t)table->count;
	for (uint32_t i = 0; i < count; i++) {
		table->shards[i]->hash_first = hash_range_first(i, count);
		table->shards[i]->hash_last = hash_range_last(i, count);
	}
}

struct sfs_shard *shard_table_find(const struct shard_table *table, uint32_t number)
{
	size_t low = 0, high = table->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (table->shards[middle]->number < number)
			low = middle + 1;
		else
			high = middle;
	}
	bool found = low < table->count && table->shards[low]->number == number;
	return found ? table->shards[low] : NULL;
}

int shard_table_copy(struct sfs_stream *stream, struct shard_list *ret_list)
{
	const struct shard_table *table = &stream->table;
	struct shard_list list = {0};
	SCOPED_RDLOCK(&stream->home.lock);
	if (stream->home.removed)
		return -ENOENT;
	int r = vector_resize(&list, table->count);
	if (r < 0)
		return r;
	if (table->count)
		memcpy(list.items, table->shards, table->count * sizeof *list.items);
	*ret_list = list;
	return 0;
}
