/* SPDX-License-Identifier: MIT */
#include "dir.h"

#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

int dir_open(const struct disk *disk, int at, const char *path, DIR **ret_dir)
{
	int fd;
	int r = disk_open(disk, at, path, O_RDONLY | O_DIRECTORY, &fd);
	if (r < 0)
		return r;
	DIR *dir = fdopendir(fd);
	if (!dir) {
		r = -errno;
		close(fd);
		return r;
	}
	*ret_dir = dir;
	return 0;
}

static bool is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

int dir_next(DIR *dir, const char **ret_name)
{
	const struct dirent *entry;
	do {
		errno = 0;
		entry = readdir(dir);
	} while (entry && is_dots(entry->d_name));
	if (!entry && errno)
		return -errno;
	*ret_name = entry ? entry->d_name : NULL;
	return 0;
}
