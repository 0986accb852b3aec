/* SPDX-License-Identifier: MIT */
/* What the programs share: exit codes, how a process is set up, and paths. */
#ifndef CLI_PROCESS_H
#define CLI_PROCESS_H

#include <stdbool.h>

/* mount(8)'s */
enum { EXIT_USAGE = 1, EXIT_SYSTEM = 2, EXIT_MOUNT = 32 };

/*
 * To be called first: nothing from the environment is believed, files are private whatever the
 * caller's umask, as many files may be open as the administrator lets, and no program that root's
 * process starts gets more rights than it has.
 */
void process_prepare(void);

/*
 * The absolute path without symbolic links, of something that exists or whose parent does. The
 * caller's to free().
 */
int path_absolute(const char *path, char **ret_path);
/* Whether `path` is `root` or lies below it; both absolute. */
bool path_is_within(const char *path, const char *root);

#endif
