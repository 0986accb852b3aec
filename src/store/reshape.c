/* SPDX-License-Identifier: MIT */
/*
 * Another number of shards for a stream that never held a record: the hash space is divided anew
 * and numbering starts over. Shards that stay keep their object, so that open writers go on.
 */
#include "cleanup.h"
#include "shard.h"
#include "store.h"
#include "stream.h"

#include <fcntl.h>
#include <stdio.h>

static int check_never_used(struct sfs_stream *stream, struct sfs_diag *diag)
{
	for (size_t i = 0; i < stream->shard_count; i++) {
		struct sfs_shard *shard = stream->shards[i];
		int r = shard_open_held(shard);
		if (r < 0)
			return r;
		SCOPED_LOCK(&shard->lock);
		if (!shard->size && !shard->closed)
			continue;
		diag_set(diag, "shards: can be changed while the stream has had no records only");
		return -EINVAL;
	}
	return 0;
}

/* Takes the shards from `count` on out of the table. */
static int retire_shards(struct sfs_stream *stream, uint32_t count)
{
	size_t excess = stream->shard_count - count;
	struct sfs_shard **retired =
		realloc(stream->retired, (stream->retired_count + excess) * sizeof *retired);
	if (!retired)
		return -ENOMEM;
	stream->retired = retired;
	for (size_t i = count; i < stream->shard_count; i++) {
		struct sfs_shard *shard = stream->shards[i];
		retired[stream->retired_count++] = shard;
		SCOPED_LOCK(&shard->lock);
		shard->removed = true;
		pthread_cond_broadcast(&shard->grown);
	}
	stream->shard_count = count;
	return 0;
}

static int make_directory(struct sfs_shard *shard)
{
	struct sfs_store *store = shard->stream->store;
	char path[SHARD_PATH_MAX];
	shard_path(shard, path, "");
	int r = disk_mkdir(&store->disk, store->streams_dir, path);
	return r == -EEXIST ? 0 : r;
}

/* Puts the last shards that were retired back into the table. */
static int restore_shards(struct sfs_stream *stream, uint32_t count)
{
	size_t missing = count - stream->shard_count;
	struct sfs_shard **shards = realloc(stream->shards, count * sizeof *shards);
	if (!shards)
		return -ENOMEM;
	stream->shards = shards;
	stream->retired_count -= missing;
	for (size_t i = 0; i < missing; i++) {
		struct sfs_shard *shard = stream->retired[stream->retired_count + i];
		SCOPED_LOCK(&shard->lock);
		shard->removed = false;
		shards[stream->shard_count++] = shard;
	}
	return 0;
}

int stream_reshape_undo(struct sfs_stream *stream, uint32_t count)
{
	int r = 0;
	if (count < stream->shard_count)
		r = retire_shards(stream, count);
	else if (count > stream->shard_count)
		r = restore_shards(stream, count);
	return r < 0 ? r : stream_set_shards(stream, count);
}

int stream_reshape(struct sfs_stream *stream, uint32_t count, struct sfs_diag *diag)
{
	uint32_t before = (uint32_t)stream->shard_count;
	int r = check_never_used(stream, diag);
	if (r < 0)
		return r;
	if (count < stream->shard_count)
		r = retire_shards(stream, count);
	if (r == 0)
		r = stream_set_shards(stream, count);
	for (size_t i = 0; r == 0 && i < stream->shard_count; i++)
		r = make_directory(stream->shards[i]);
	if (r < 0)
		(void)stream_reshape_undo(stream, before);
	return r;
}
