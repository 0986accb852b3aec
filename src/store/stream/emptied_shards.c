/* SPDX-License-Identifier: MIT */
#include "emptied_shards.h"

#include "cleanup.h"
#include "lock.h"
#include "shard.h"
#include "shard_name.h"
#include "store.h"
#include "stream.h"
#include "streams_dir.h"
#include "trace.h"

#include <stdio.h>

static bool is_emptied(struct sfs_shard *shard)
{
	SCOPED_LOCK(&shard->lock);
	return shard->closed && shard->opened && shard->end.offset == shard->horizon.offset;
}

static bool has_emptied(struct sfs_stream *stream)
{
	SCOPED_RDLOCK(&stream->home.lock);
	for (size_t i = 0; i < stream->table.count; i++)
		if (is_emptied(stream->table.shards[i]))
			return true;
	return false;
}

/* Splits the table's shards. Both arrays have room for all. Returns how many are emptied. */
static size_t split_locked(
	struct sfs_stream *stream, struct sfs_shard **keep, struct sfs_shard **emptied)
{
	size_t kept = 0, count = 0;
	for (size_t i = 0; i < stream->table.count; i++) {
		struct sfs_shard *shard = stream->table.shards[i];
		if (is_emptied(shard))
			emptied[count++] = shard;
		else
			keep[kept++] = shard;
	}
	return count;
}

/* The table without the emptied shards stands in stream.json before they are marked as removed. */
static int shrink_table_locked(
	struct sfs_stream *stream, struct sfs_shard **emptied, size_t *ret_count)
{
	struct shard_table *table = &stream->table;
	struct sfs_shard **before = table->shards;
	size_t count_before = table->count;
	ASSERT_WRLOCKED(&stream->home.lock);
	struct sfs_shard **keep = calloc(count_before, sizeof *keep);
	if (!keep)
		return -ENOMEM;
	size_t count = split_locked(stream, keep, emptied);
	int r = vector_reserve(&stream->retired, count);
	if (r == 0 && count) {
		table->shards = keep;
		table->count = count_before - count;
		r = stream_save(stream);
	}
	if (r < 0 || !count) {
		table->shards = before;
		table->count = count_before;
		free(keep);
		return r;
	}
	free(before);
	for (size_t i = 0; i < count; i++)
		stream_retire(stream, emptied[i]);
	*ret_count = count;
	return 0;
}

/* What fails here leaves a directory that no table names and nothing reads. */
static void remove_directory(struct sfs_stream *stream, struct sfs_shard *shard)
{
	struct sfs_store *store = stream->store;
	char from[SHARD_PATH_MAX], aside[SHARD_PATH_MAX], to[2 * SHARD_PATH_MAX];
	pthread_rwlock_rdlock(&stream->home.lock);
	shard_path(shard, from, "");
	snprintf(aside, sizeof aside, ".%s.%llu-%u%s", stream->home.name,
		(unsigned long long)stream->id, shard->number, DISK_TMP_SUFFIX);
	snprintf(to, sizeof to, "%s/" SHARD_NAME_FORMAT, aside, shard->number);
	int r = stream->home.removed ? -ENOENT
				     : disk_mkdir(&store->env.disk, store->env.streams_dir, aside);
	if (r == 0 || r == -EEXIST)
		r = disk_rename(
			&store->env.disk, store->env.streams_dir, from, store->env.streams_dir, to);
	pthread_rwlock_unlock(&stream->home.lock);
	if (r == 0)
		(void)streams_dir_remove(store, aside);
}

int emptied_shards_drop(struct sfs_stream *stream)
{
	ASSERT_LOCKED(&stream->change_lock);
	if (!has_emptied(stream))
		return 0;
	stream_lock_alone(stream);
	size_t count = 0;
	_cleanup_free_ struct sfs_shard **emptied =
		calloc(stream->table.count + 1, sizeof *emptied);
	int r = !emptied	       ? -ENOMEM
		: stream->home.removed ? -ENOENT
				       : shrink_table_locked(stream, emptied, &count);
	pthread_rwlock_unlock(&stream->home.lock);
	for (size_t i = 0; i < count; i++) {
		TRACE(trim, "stream %llu: closed shard %u is empty and leaves the table",
			(unsigned long long)stream->id, emptied[i]->number);
		remove_directory(stream, emptied[i]);
	}
	return r;
}
