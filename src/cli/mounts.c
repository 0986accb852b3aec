/* SPDX-License-Identifier: MIT */
#include "mounts.h"

#include <limits.h>
#include <mntent.h>
#include <stdio.h>
#include <string.h>

static bool is_streamfs(const struct mntent *entry)
{
	return strcmp(entry->mnt_type, "fuse.streamfs") == 0;
}

/* Each line has two paths; an escape makes four bytes of one. */
enum { LINE_MAX_BYTES = 8 * PATH_MAX + 4096 };

bool mounts_streamfs_at(const char *path)
{
	struct mntent entry;
	char line[LINE_MAX_BYTES];
	bool found = false;
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	if (!mounts)
		return false;
	/* The last mount on a directory hides the others. */
	while (getmntent_r(mounts, &entry, line, sizeof line))
		if (strcmp(entry.mnt_dir, path) == 0)
			found = is_streamfs(&entry);
	endmntent(mounts);
	return found;
}

char *mounts_of_store(const char *path)
{
	struct mntent entry;
	char line[LINE_MAX_BYTES];
	char *mountpoint = NULL;
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	if (!mounts)
		return NULL;
	while (!mountpoint && getmntent_r(mounts, &entry, line, sizeof line))
		if (is_streamfs(&entry) && strcmp(entry.mnt_fsname, path) == 0)
			mountpoint = strdup(entry.mnt_dir);
	endmntent(mounts);
	return mountpoint;
}
