/* SPDX-License-Identifier: MIT */
/*
 * Removing a stream that is no longer in the table. What recovery once set aside in its shards was
 * never acknowledged, or was lost, so it does not keep a stream from going; but only a person may
 * throw it away: it moves to lost+found/ of the store.
 */
#include "store.h"

#include "cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

#define TORN_SUFFIX ".torn"

static void cleanup_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static int open_listing(const struct disk *disk, int dir, const char *name, DIR **ret_dir)
{
	int fd;
	int r = disk_open(disk, dir, name, O_RDONLY | O_DIRECTORY, &fd);
	if (r < 0)
		return r;
	*ret_dir = fdopendir(fd);
	if (*ret_dir)
		return 0;
	close(fd);
	return -ENOMEM;
}

static bool is_dots(const char *name)
{
	return !strcmp(name, ".") || !strcmp(name, "..");
}

static int remove_entries(struct sfs_store *store, DIR *listing)
{
	for (;;) {
		errno = 0;
		const struct dirent *entry = readdir(listing);
		if (!entry)
			return -errno;
		if (is_dots(entry->d_name))
			continue;
		int r = disk_unlink(&store->env.disk, dirfd(listing), entry->d_name);
		if (r == -EISDIR || r == -EPERM)
			r = store_remove_tree(store, dirfd(listing), entry->d_name);
		if (r < 0)
			return r;
	}
}

int store_remove_tree(struct sfs_store *store, int dir, const char *name)
{
	_cleanup_(cleanup_dir) DIR *listing = NULL;
	int r = open_listing(&store->env.disk, dir, name, &listing);
	if (r == 0)
		r = remove_entries(store, listing);
	return r < 0 ? r : disk_rmdir(&store->env.disk, dir, name);
}

static bool has_suffix(const char *name, const char *suffix)
{
	size_t length = strlen(name), tail = strlen(suffix);
	return length > tail && !strcmp(name + length - tail, suffix);
}

static int open_lost_found(struct sfs_store *store, int *ret_fd)
{
	int r = disk_mkdir(&store->env.disk, store->dir, LOST_FOUND);
	if (r < 0 && r != -EEXIST)
		return r;
	r = disk_sync_dir(&store->env.disk, store->dir);
	return r < 0 ? r
		     : disk_open(&store->env.disk, store->dir, LOST_FOUND, O_RDONLY | O_DIRECTORY,
			       ret_fd);
}

/* Moves what recovery kept aside in one shard's directory. */
static int save_torn(struct sfs_store *store, const char *stream, const char *shard, DIR *listing,
	int *lost_found)
{
	for (;;) {
		errno = 0;
		const struct dirent *entry = readdir(listing);
		if (!entry)
			return -errno;
		if (!has_suffix(entry->d_name, TORN_SUFFIX))
			continue;
		int r = *lost_found < 0 ? open_lost_found(store, lost_found) : 0;
		char to[2 * NAME_MAX];
		/* ".NAME.ID.tmp": the id keeps the names of all streams that ever were apart. */
		snprintf(to, sizeof to, "%.*s.%s.%s", (int)(strlen(stream) - strlen("..tmp")),
			stream + 1, shard, entry->d_name);
		if (r == 0)
			r = disk_rename_noreplace(
				&store->env.disk, dirfd(listing), entry->d_name, *lost_found, to);
		if (r < 0)
			return r;
		env_report(&store->env, SFS_INFO, "kept as " LOST_FOUND "/%s", to);
	}
}

static int save_all_torn(struct sfs_store *store, const char *name, DIR *listing, int *lost_found)
{
	for (;;) {
		errno = 0;
		const struct dirent *entry = readdir(listing);
		if (!entry)
			return -errno;
		if (strncmp(entry->d_name, "shard-", strlen("shard-")) != 0)
			continue;
		_cleanup_(cleanup_dir) DIR *shard = NULL;
		int r = open_listing(&store->env.disk, dirfd(listing), entry->d_name, &shard);
		if (r == -ENOTDIR || r == -ELOOP)
			continue;
		if (r == 0)
			r = save_torn(store, name, entry->d_name, shard, lost_found);
		if (r < 0)
			return r;
	}
}

int store_remove_stream(struct sfs_store *store, const char *name)
{
	_cleanup_(cleanup_dir) DIR *listing = NULL;
	_cleanup_close_ int lost_found = -1;
	int r = open_listing(&store->env.disk, store->env.streams_dir, name, &listing);
	if (r == 0)
		r = save_all_torn(store, name, listing, &lost_found);
	if (r == 0 && lost_found >= 0)
		r = disk_sync_dir(&store->env.disk, lost_found);
	if (r < 0)
		return r;
	return store_remove_tree(store, store->env.streams_dir, name);
}
