/* SPDX-License-Identifier: MIT */
/* What this process sees of streamfs in its table of mounts. */
#ifndef CLI_MOUNTS_H
#define CLI_MOUNTS_H

#include <stdbool.h>

/* Whether the mount that is seen at an absolute path is a streamfs. */
bool mounts_streamfs_at(const char *path);
/* Where the store at an absolute path is mounted, for the caller to free; else NULL. */
char *mounts_of_store(const char *path);

#endif
