/* SPDX-License-Identifier: MIT */
#include "proc.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "cleanup.h"

enum { PROC_PATH_MAX = 96 };

static void proc_path(pid_t tid, const char *name, char path[PROC_PATH_MAX])
{
	snprintf(path, PROC_PATH_MAX, "/proc/%d/%.64s", (int)tid, name);
}

int proc_read(pid_t tid, const char *name, char *text, size_t bytes)
{
	char path[PROC_PATH_MAX];
	proc_path(tid, name, path);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ssize_t n = read(fd, text, bytes - 1);
	if (n <= 0)
		return n < 0 ? -errno : -ESRCH;
	text[n] = '\0';
	return 0;
}

FILE *proc_open_file(pid_t tid, const char *name)
{
	char path[PROC_PATH_MAX];
	proc_path(tid, name, path);
	return fopen(path, "re");
}

DIR *proc_open_dir(pid_t tid, const char *name)
{
	char path[PROC_PATH_MAX];
	proc_path(tid, name, path);
	return opendir(path);
}
