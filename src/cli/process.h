/* SPDX-License-Identifier: MIT */
/* What the programs share: exit codes, how a process is set up, and paths. */
#ifndef CLI_PROCESS_H
#define CLI_PROCESS_H

#include <stdbool.h>

/* mount(8)'s */
enum { EXIT_USAGE = 1, EXIT_SYSTEM = 2, EXIT_MOUNT = 32 };

/*
 * Call it first. It drops the environment, makes new files private whatever the umask, allows as
 * many open files as the administrator does, and lets no program that root's process starts gain
 * rights. Of the environment only STREAMFS_TRACE counts (see trace.h): -EINVAL for an unknown area
 * there, with a message on standard error in the name of `program`.
 */
int process_prepare(const char *program);

/*
 * The absolute path, without symbolic links, of something that exists or whose parent does. The
 * caller frees it.
 */
int path_absolute(const char *path, char **ret_path);
/* Whether `path` is `root` or lies below it; both absolute. */
bool path_is_within(const char *path, const char *root);

#endif
