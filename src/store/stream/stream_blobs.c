/* SPDX-License-Identifier: MIT */
#include "stream_blobs.h"

#include "cleanup.h"
#include "lock.h"
#include "shard.h"
#include "store.h"
#include "stream.h"
#include "trace.h"

#include <fcntl.h>
#include <stdio.h>

/* The directory of the blobs as a path below *ret_dir. */
static void blobs_path(const struct sfs_stream *stream, char path[SHARD_PATH_MAX], int *ret_dir)
{
	const struct sfs_store *store = stream->store;
	if (store->blob_dir < 0) {
		snprintf(path, SHARD_PATH_MAX, "%s/blobs", stream->home.name);
		*ret_dir = store->env.streams_dir;
		return;
	}
	snprintf(path, SHARD_PATH_MAX, "%s/%llu", store->uuid, (unsigned long long)stream->id);
	*ret_dir = store->blob_dir;
}

static int make_directories(struct sfs_stream *stream, int dir, const char *path)
{
	const struct disk *disk = &stream->store->env.disk;
	char parent[SHARD_PATH_MAX];
	snprintf(parent, sizeof parent, "%s", path);
	*strrchr(parent, '/') = 0;
	int r = disk_mkdir(disk, dir, parent);
	if (r < 0 && r != -EEXIST)
		return r;
	r = disk_sync_dir(disk, dir);
	if (r < 0)
		return r;
	r = disk_mkdir(disk, dir, path);
	if (r < 0 && r != -EEXIST)
		return r;
	_cleanup_close_ int parent_fd = -1;
	r = disk_open(disk, dir, parent, O_RDONLY | O_DIRECTORY, &parent_fd);
	return r < 0 ? r : disk_sync_dir(disk, parent_fd);
}

int stream_blobs_open(struct sfs_stream *stream, bool make)
{
	ASSERT_RDLOCKED(&stream->home.lock);
	SCOPED_LOCK(&stream->blobs_lock);
	make = make && !stream->blobs_durable;
	if (stream->blobs.dir >= 0 && !make)
		return 0;
	if (stream->home.removed)
		return -ENOENT;
	char path[SHARD_PATH_MAX];
	int dir, fd;
	blobs_path(stream, path, &dir);
	/* A directory that is there was perhaps never synced: its maker may have been killed. */
	int r = make ? make_directories(stream, dir, path) : 0;
	if (r < 0)
		return r;
	stream->blobs_durable |= make;
	if (stream->blobs.dir >= 0)
		return 0;
	r = disk_open(&stream->store->env.disk, dir, path, O_RDONLY | O_DIRECTORY, &fd);
	if (r < 0)
		return r == -ENOENT && !make ? 0 : r;
	stream->blobs.dir = fd;
	TRACE(blob, "stream %llu: opened its blobs at %s", (unsigned long long)stream->id, path);
	return 0;
}

int stream_blobs_remove(struct sfs_stream *stream)
{
	char path[SHARD_PATH_MAX];
	int dir;
	ASSERT_RDLOCKED(&stream->home.lock);
	blobs_path(stream, path, &dir);
	if (stream->blobs.dir < 0 || stream->store->blob_dir < 0)
		return 0; /* goes with the stream's directory */
	int r = blobs_remove_all(&stream->blobs);
	return r < 0 ? r : disk_rmdir(&stream->store->env.disk, dir, path);
}
