/* SPDX-License-Identifier: MIT */
#include "streams_dir.h"

#include "cleanup.h"
#include "dir.h"
#include "lock.h"
#include "lost_found.h"
#include "remove_tree.h"
#include "store.h"
#include "stream.h"
#include "trace.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

int streams_dir_sync(struct sfs_store *store)
{
	ASSERT_LOCKED(&store->config_lock);
	store->streams_unsynced = true;
	int r = disk_sync_dir(&store->env.disk, store->env.streams_dir);
	store->streams_unsynced = r < 0;
	return r;
}

bool streams_dir_has(struct sfs_store *store, const char *name)
{
	struct stat st;
	return fstatat(store->env.streams_dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 ||
	       errno != ENOENT;
}

static int rename_entry(struct sfs_store *store, const char *from, const char *to)
{
	int dir = store->env.streams_dir;
	return disk_rename_noreplace(&store->env.disk, dir, from, dir, to);
}

int streams_dir_rename(struct sfs_store *store, const char *from, const char *to)
{
	ASSERT_LOCKED(&store->config_lock);
	int r = rename_entry(store, from, to);
	if (r < 0)
		return r;
	r = streams_dir_sync(store);
	if (r < 0 && rename_entry(store, to, from) == 0)
		(void)streams_dir_sync(store);
	return r;
}

void streams_dir_temporary_name(const struct sfs_stream *stream, char name[SHARD_PATH_MAX])
{
	snprintf(name, SHARD_PATH_MAX, ".%s.%llu" DISK_TMP_SUFFIX, stream->home.name,
		(unsigned long long)stream->id);
}

int streams_dir_remove(struct sfs_store *store, const char *temporary_name)
{
	int r = lost_found_save(store, temporary_name);
	return r < 0 ? r : remove_tree(&store->env.disk, store->env.streams_dir, temporary_name);
}

static bool is_temporary(const char *name)
{
	size_t length = strlen(name), suffix = strlen(DISK_TMP_SUFFIX);
	return name[0] == '.' && length > suffix + 1 &&
	       strcmp(name + length - suffix, DISK_TMP_SUFFIX) == 0;
}

int streams_dir_remove_unfinished(struct sfs_store *store)
{
	_cleanup_closedir_ DIR *listing = NULL;
	const char *name;
	int r = dir_open(&store->env.disk, store->env.streams_dir, ".", &listing);
	while (r == 0 && (r = dir_next(listing, &name)) == 0 && name)
		if (is_temporary(name)) {
			int removed = streams_dir_remove(store, name);
			TRACE(recover, "removes %s, left half made or half removed: %d", name,
				removed);
		}
	return r;
}
