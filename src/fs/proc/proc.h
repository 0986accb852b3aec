/* SPDX-License-Identifier: MIT */
/* Reads files of /proc/TID. A file that is hidden is as one that is not there. */
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
