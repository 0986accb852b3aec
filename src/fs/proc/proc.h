/* SPDX-License-Identifier: MIT */
/*
 * The room proc/: what /proc shows of the threads and processes that use the mount. Any of it can
 * be hidden (hidepid, another PID namespace, another user), so every question has an answer for
 * that case. Nothing here follows a link to a file of the mount, which would wait for this daemon.
 *
 * Uses util.
 */
#ifndef FS_PROC_H
#define FS_PROC_H

#include <dirent.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

/* Reads the start of /proc/TID/name as a string. -ESRCH where it is empty, else -errno. */
int proc_read(pid_t tid, const char *name, char *text, size_t bytes);

/* Open /proc/TID/name; NULL with errno where it cannot be. The caller closes it. */
FILE *proc_open_file(pid_t tid, const char *name);
DIR *proc_open_dir(pid_t tid, const char *name);

#endif
