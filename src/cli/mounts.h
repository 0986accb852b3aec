/* SPDX-License-Identifier: MIT */
/* The streamfs mounts in this process's mount table. Any thread may call. */
#ifndef CLI_MOUNTS_H
#define CLI_MOUNTS_H

#include <stdbool.h>

/* Whether the visible mount at an absolute path is a streamfs. */
bool mounts_streamfs_at(const char *path);
/* Where the store at an absolute path is mounted, for the caller to free; else NULL. */
char *mounts_of_store(const char *path);

#endif
