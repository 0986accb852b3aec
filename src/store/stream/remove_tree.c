/* SPDX-License-Identifier: MIT */
#include "remove_tree.h"

#include "cleanup.h"
#include "dir.h"
#include "disk.h"

static int remove_entry(const struct disk *disk, int dir, const char *name)
{
	int r = disk_unlink(disk, dir, name);
	return r == -EISDIR || r == -EPERM ? remove_tree(disk, dir, name) : r;
}

int remove_tree(const struct disk *disk, int at, const char *name)
{
	_cleanup_closedir_ DIR *listing = NULL;
	const char *entry;
	int r = dir_open(disk, at, name, &listing);
	while (r == 0 && (r = dir_next(listing, &entry)) == 0 && entry)
		r = remove_entry(disk, dirfd(listing), entry);
	return r < 0 ? r : disk_rmdir(disk, at, name);
}
