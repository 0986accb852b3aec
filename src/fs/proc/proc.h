/* SPDX-License-Identifier: MIT */
/* Reads files of /proc/TID. A hidden file counts as missing. */
#ifndef FS_PROC_H
#define FS_PROC_H

#include <dirent.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

/* Reads the start of /proc/TID/name as a string. -ESRCH: it is empty. Or -errno. */
int proc_read(pid_t tid, const char *name, char *text, size_t bytes);

/* Open /proc/TID/name. NULL with errno on failure. The caller closes it. */
FILE *proc_open_file(pid_t tid, const char *name);
DIR *proc_open_dir(pid_t tid, const char *name);

#endif
