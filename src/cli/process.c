/* SPDX-License-Identifier: MIT */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"
#include "trace.h"

/*
 * Reads and writes need buffers of a few hundred KiB all the time. By default malloc(3) maps each
 * one anew, and the kernel clears its pages. With these limits it keeps them, in few arenas.
 */
static void tune_malloc(void)
{
	mallopt(M_MMAP_THRESHOLD, 8 << 20);
	mallopt(M_TRIM_THRESHOLD, 8 << 20);
	mallopt(M_ARENA_MAX, 4);
}

static int set_trace(const char *program)
{
	const char *areas = getenv("STREAMFS_TRACE");
	int r = areas ? trace_set(areas) : 0;
	if (r < 0)
		fprintf(stderr, "%s: STREAMFS_TRACE=%s: unknown area; there are %s\n", program,
			areas, trace_area_list);
	return r;
}

/* Else a file of the store could become standard error. */
static void open_standard_files(void)
{
	int fd;
	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

int process_prepare(const char *program)
{
	struct rlimit files;
	open_standard_files();
	int r = set_trace(program);
	tune_malloc();
	clearenv();
	/* libfuse looks for fusermount3 here if it is not where it was built to be. */
	setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
	umask(077);
	/* Root mounts by itself. Other users need fusermount3's set-uid bit, up to the unmount. */
	if (geteuid() == 0)
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files); /* a failure leaves the old limit */
	}
	return r;
}

/* `path` names nothing yet: the absolute path of its parent, and its last component. */
static int absolute_in_parent(const char *path, char **ret_path)
{
	_cleanup_free_ char *copy = strdup(path);
	if (!copy)
		return -ENOMEM;
	for (size_t n = strlen(copy); n > 1 && copy[n - 1] == '/'; n--)
		copy[n - 1] = '\0';
	char *slash = strrchr(copy, '/');
	const char *name = slash ? slash + 1 : copy;
	if (*name == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return -ENOENT;
	if (slash)
		*slash = '\0';
	const char *parent = !slash ? "." : slash == copy ? "/" : copy;
	_cleanup_free_ char *base = realpath(parent, NULL);
	if (!base)
		return -errno;
	if (asprintf(ret_path, "%s/%s", strcmp(base, "/") == 0 ? "" : base, name) < 0)
		return -ENOMEM;
	return 0;
}

int path_absolute(const char *path, char **ret_path)
{
	char *found = realpath(path, NULL);
	if (found) {
		*ret_path = found;
		return 0;
	}
	/* A dangling symbolic link counts as existing: nothing is made in its place. */
	struct stat st;
	if (errno != ENOENT || lstat(path, &st) == 0)
		return -errno;
	return absolute_in_parent(path, ret_path);
}

bool path_is_within(const char *path, const char *root)
{
	size_t n = strlen(root);
	if (strcmp(root, "/") == 0)
		return true;
	return strncmp(path, root, n) == 0 && (path[n] == '\0' || path[n] == '/');
}
