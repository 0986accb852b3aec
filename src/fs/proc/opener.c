/* SPDX-License-Identifier: MIT */
#include "opener.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "dir.h"
#include "proc.h"

enum { TASKS_MAX = 256, CHILDREN_MAX = 64 };

struct process {
	pid_t tgid;
	pid_t parent;
	bool exiting; /* its descriptors are being closed for it */
};

static int process_read(pid_t tid, struct process *ret_process)
{
	_cleanup_fclose_ FILE *file = proc_open_file(tid, "status");
	if (!file)
		return -errno;
	struct process found = {0};
	char line[256];
	while (fgets(line, sizeof(line), file)) {
		int n;
		if (sscanf(line, "Tgid: %d", &n) == 1)
			found.tgid = n;
		if (sscanf(line, "PPid: %d", &n) == 1)
			found.parent = n;
		if (sscanf(line, "FDSize: %d", &n) == 1)
			found.exiting = n == 0;
	}
	if (!found.tgid)
		return -ESRCH;
	*ret_process = found;
	return 0;
}

/* The kernel marks a path that a later lookup has replaced. */
static size_t without_mark(const char *path, size_t length)
{
	static const char mark[] = " (deleted)";
	size_t marked = sizeof(mark) - 1;
	if (length > marked && memcmp(path + length - marked, mark, marked) == 0)
		return length - marked;
	return length;
}

static bool ends_in(const char *path, size_t length, const char *tail, size_t tail_length)
{
	return length >= tail_length && memcmp(path + length - tail_length, tail, tail_length) == 0;
}

struct descriptor {
	long long position;
	unsigned flags;		/* of open(2) */
	unsigned long long ino; /* 0: the kernel does not show it */
};

static int descriptor_read(pid_t tid, const char *number, struct descriptor *ret_descriptor)
{
	char name[32];
	snprintf(name, sizeof(name), "fdinfo/%.16s", number);
	_cleanup_fclose_ FILE *file = proc_open_file(tid, name);
	if (!file)
		return -errno;
	struct descriptor found = {0};
	int n = fscanf(file, "pos: %lld flags: %o mnt_id: %*d ino: %llu", &found.position,
		&found.flags, &found.ino);
	if (n < 2)
		return -EIO;
	*ret_descriptor = found;
	return 0;
}

/* Whether it is, or may be, of the same open(2). */
static bool is_same_open(pid_t tid, const char *number, const struct opened *opened)
{
	struct descriptor found = {0};
	if (descriptor_read(tid, number, &found) < 0)
		return true;
	if ((found.flags & O_ACCMODE) == O_RDONLY)
		return false;
	if (opened->ino && found.ino)
		return found.ino == opened->ino;
	return opened->position < 0 || found.position == opened->position;
}

/*
 * Too many to look through count as one more, and so does what the daemon may not look at. Links
 * are never followed: a look at the file itself would wait for this very daemon.
 */
static bool has_more_descriptors(DIR *dir, pid_t tid, const struct opened *opened, unsigned most)
{
	unsigned count = 0, looked_at = 0;
	size_t tail_length = strlen(opened->tail);
	const char *number;
	while (count <= most && dir_next(dir, &number) == 0 && number) {
		char path[PATH_MAX];
		if (++looked_at > OPENER_DESCRIPTORS_MAX)
			return true;
		ssize_t n = readlinkat(dirfd(dir), number, path, sizeof(path));
		if (n < 0 && (errno == EACCES || errno == EPERM))
			return true;
		if (n <= 0)
			continue;
		size_t length = (size_t)n;
		bool same = ends_in(path, length, opened->tail, tail_length) ||
			    ends_in(path, without_mark(path, length), opened->tail, tail_length);
		count += same && is_same_open(tid, number, opened);
	}
	return count > most;
}

/* What cannot be looked at may have some. */
static bool process_has_descriptors(pid_t tid, const struct opened *opened, unsigned most)
{
	_cleanup_closedir_ DIR *dir = proc_open_dir(tid, "fd");
	if (!dir)
		return errno != ENOENT && errno != ESRCH;
	return has_more_descriptors(dir, tid, opened, most);
}

static bool children_of_task_have(
	pid_t process, const char *task, const struct opened *opened, unsigned *looked_at)
{
	char name[48];
	int child;
	snprintf(name, sizeof(name), "task/%.16s/children", task);
	_cleanup_fclose_ FILE *file = proc_open_file(process, name);
	while (file && fscanf(file, "%d", &child) == 1)
		if (++*looked_at > CHILDREN_MAX || process_has_descriptors(child, opened, 0))
			return true;
	return false;
}

static bool children_have(pid_t process, const struct opened *opened)
{
	unsigned tasks = 0, children = 0;
	const char *task;
	_cleanup_closedir_ DIR *dir = proc_open_dir(process, "task");
	while (dir && dir_next(dir, &task) == 0 && task)
		if (++tasks > TASKS_MAX || children_of_task_have(process, task, opened, &children))
			return true;
	return false;
}

struct opener opener_of(pid_t thread)
{
	struct opener opener = {.thread = thread, .process = thread};
	struct process found;
	/* Most threads are the first of their process, and tgkill(2) shows that without reading. */
	if (thread == 0 || tgkill(thread, thread, 0) == 0 || errno != ESRCH)
		return opener;
	if (process_read(thread, &found) == 0)
		opener.process = found.tgid;
	return opener;
}

bool opener_has_closed(const struct opener *opener, pid_t flusher, const struct opened *opened)
{
	if (opener->thread == 0 || flusher == 0)
		return false;
	struct process process;
	int r = process_read(flusher, &process);
	if (r == -ENOENT || r == -ESRCH)
		return opener->thread == flusher;
	if (r < 0 || (opener->thread != flusher && opener->process != process.tgid))
		return false;
	if (opened->shared && children_have(process.tgid, opened))
		return false;
	return process.exiting || !process_has_descriptors(flusher, opened, opened->twins);
}

bool opener_is_kin(const struct opener *opener, pid_t thread)
{
	struct process process;
	if (opener->thread == 0 || thread == 0)
		return false;
	if (opener->thread == thread)
		return true;
	return process_read(thread, &process) == 0 &&
	       (process.tgid == opener->process || process.parent == opener->process);
}
