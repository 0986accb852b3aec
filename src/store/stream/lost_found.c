/* SPDX-License-Identifier: MIT */
#include "lost_found.h"

#include "cleanup.h"
#include "dir.h"
#include "shard_name.h"
#include "store.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define TORN_SUFFIX ".torn"

static bool has_suffix(const char *name, const char *suffix)
{
	size_t length = strlen(name), tail = strlen(suffix);
	return length > tail && strcmp(name + length - tail, suffix) == 0;
}

static int open_lost_found(struct sfs_store *store, int *ret_dir)
{
	const struct disk *disk = &store->env.disk;
	int r = disk_mkdir(disk, store->dir, LOST_FOUND);
	if (r < 0 && r != -EEXIST)
		return r;
	r = disk_sync_dir(disk, store->dir);
	return r < 0 ? r : disk_open(disk, store->dir, LOST_FOUND, O_RDONLY | O_DIRECTORY, ret_dir);
}

struct save {
	struct sfs_store *store;
	const char *directory; /* ".NAME.ID.tmp" */
	int dir;	       /* lost+found/; -1: not open yet */
};

static int save_file(struct save *save, const char *shard, int shard_dir, const char *file)
{
	char to[2 * NAME_MAX];
	int r = save->dir < 0 ? open_lost_found(save->store, &save->dir) : 0;
	/* The id keeps the names of all streams that ever were apart. */
	snprintf(to, sizeof to, "%.*s.%s.%s", (int)(strlen(save->directory) - strlen("..tmp")),
		save->directory + 1, shard, file);
	if (r == 0)
		r = disk_rename_noreplace(&save->store->env.disk, shard_dir, file, save->dir, to);
	if (r == 0)
		env_report(&save->store->env, SFS_INFO, "kept as " LOST_FOUND "/%s", to);
	return r;
}

static int save_shard(struct save *save, int stream_dir, const char *shard)
{
	_cleanup_closedir_ DIR *listing = NULL;
	const char *file;
	int r = dir_open(&save->store->env.disk, stream_dir, shard, &listing);
	if (r == -ENOTDIR || r == -ELOOP)
		return 0; /* nothing of ours */
	while (r == 0 && (r = dir_next(listing, &file)) == 0 && file)
		if (has_suffix(file, TORN_SUFFIX))
			r = save_file(save, shard, dirfd(listing), file);
	return r;
}

int lost_found_save(struct sfs_store *store, const char *directory)
{
	struct save save = {.store = store, .directory = directory, .dir = -1};
	_cleanup_closedir_ DIR *listing = NULL;
	const char *name;
	int r = dir_open(&store->env.disk, store->env.streams_dir, directory, &listing);
	while (r == 0 && (r = dir_next(listing, &name)) == 0 && name)
		if (strncmp(name, SHARD_NAME_PREFIX, strlen(SHARD_NAME_PREFIX)) == 0)
			r = save_shard(&save, dirfd(listing), name);
	if (save.dir < 0)
		return r;
	if (r == 0)
		r = disk_sync_dir(&store->env.disk, save.dir);
	close(save.dir);
	return r;
}
