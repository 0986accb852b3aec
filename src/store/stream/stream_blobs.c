/* SPDX-License-Identifier: MIT */
/*
 * A stream and its blobs: where they are (inside the stream, or below the directory given with
 * the store, under the store's uuid and the stream's id), and how they are read.
 */
#include "cleanup.h"
#include "shard.h"
#include "stream.h"
#include "store.h"

#include "streamfs/blob.h"

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

int stream_open_blobs(struct sfs_stream *stream, bool make)
{
	SCOPED_LOCK(&stream->blobs_lock);
	make = make && !stream->blobs_durable;
	if (stream->blobs.dir >= 0 && !make)
		return 0;
	if (stream->home.removed)
		return -ENOENT;
	char path[SHARD_PATH_MAX];
	int dir, fd;
	blobs_path(stream, path, &dir);
	/* What is there may never have been synced: its maker can have been killed in between. */
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
	return 0;
}

int stream_remove_blobs(struct sfs_stream *stream)
{
	char path[SHARD_PATH_MAX];
	int dir;
	blobs_path(stream, path, &dir);
	if (stream->blobs.dir < 0 || stream->store->blob_dir < 0)
		return 0; /* goes with the stream's directory */
	int r = blobs_remove_all(&stream->blobs);
	return r < 0 ? r : disk_rmdir(&stream->store->env.disk, dir, path);
}

int sfs_blob_list(
	struct sfs_stream *stream, int (*each)(void *context, const char *digest), void *context)
{
	pthread_rwlock_rdlock(&stream->home.lock);
	int r = stream_open_blobs(stream, false);
	pthread_rwlock_unlock(&stream->home.lock);
	return r < 0 ? r : blobs_list(&stream->blobs, each, context);
}

struct sfs_blob {
	struct sfs_stream *stream;
	struct blob *blob;
};

int sfs_blob_open(struct sfs_stream *stream, const char *digest, struct sfs_blob **ret_blob)
{
	pthread_rwlock_rdlock(&stream->home.lock);
	int r = stream_open_blobs(stream, false);
	pthread_rwlock_unlock(&stream->home.lock);
	if (r < 0)
		return r;
	struct sfs_blob *blob = calloc(1, sizeof *blob);
	if (!blob)
		return -ENOMEM;
	r = blob_open(&stream->blobs, digest, &blob->blob);
	if (r < 0) {
		free(blob);
		return r;
	}
	blob->stream = sfs_stream_ref(stream);
	*ret_blob = blob;
	return 0;
}

void sfs_blob_close(struct sfs_blob *blob)
{
	if (!blob)
		return;
	blob_close(blob->blob);
	sfs_stream_unref(blob->stream);
	free(blob);
}

uint64_t sfs_blob_size(const struct sfs_blob *blob)
{
	return blob_size(blob->blob);
}

uint64_t sfs_blob_stored(const struct sfs_blob *blob)
{
	return blob_stored(blob->blob);
}

uint64_t sfs_blob_time_ms(const struct sfs_blob *blob)
{
	return blob_time_ms(blob->blob);
}

int sfs_blob_read(
	struct sfs_blob *blob, uint64_t offset, void *buffer, size_t bytes, size_t *ret_bytes)
{
	return blob_read(blob->blob, offset, buffer, bytes, ret_bytes);
}
