/* SPDX-License-Identifier: MIT */
/*
 * The names in a directory. Release with closedir(3), or declare it `_cleanup_closedir_ DIR *`.
 * One thread uses a DIR at a time. Its descriptor, dirfd(3), serves for calls on the names.
 *
 *     int r = dir_open(disk, parent, "streams", &dir);
 *     while (r == 0 && (r = dir_next(dir, &name)) == 0 && name)
 *             r = look_at(dirfd(dir), name);
 */
#ifndef UTIL_DIR_H
#define UTIL_DIR_H

#include <dirent.h>

struct disk;

/* Opens the directory `path` below the descriptor `at`, by the rules of disk_open(). */
int dir_open(const struct disk *disk, int at, const char *path, DIR **ret_dir);
/*
 * The next name, in no order, without "." and ".."; NULL at the end. Valid until the next call on
 * this DIR. -errno when the directory cannot be read on.
 */
int dir_next(DIR *dir, const char **ret_name);

#endif
