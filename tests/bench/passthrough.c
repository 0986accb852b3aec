/* SPDX-License-Identifier: MIT */
/*
 * bench-passthrough DIRECTORY MOUNTPOINT [CACHE_SECONDS]: shows the files of one flat directory and
 * does nothing with their bytes: the floor of any FUSE filesystem. It stays in the foreground until
 * it is unmounted or gets SIGTERM.
 *
 * What it shares with streamfs, so that only streamfs's own work makes the difference: the
 * low-level API, the multi-threaded loop, default_permissions, writes of up to 1 MiB that bypass
 * the page cache (direct_io), reads through it, a real flush at every close(2), and names and sizes
 * that the kernel asks for each time, since other processes may have changed them. CACHE_SECONDS
 * lets the kernel remember names and sizes for that long instead, which a log that many read cannot
 * do.
 */
#define FUSE_USE_VERSION 312
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILES_MAX = 1024 };

/* Inode number i + 2 is names[i]; 1 is the directory. A name keeps its number for ever. */
struct mirror {
	int directory;
	double cache_seconds;
	pthread_mutex_t lock; /* guards names and count */
	char *names[FILES_MAX];
	size_t count;
};

static struct mirror *mirror_of(fuse_req_t request)
{
	return fuse_req_userdata(request);
}

/* The name behind an inode number; "." for the root. Numbers come from the kernel, so they exist.
 */
static const char *name_of(struct mirror *mirror, fuse_ino_t ino)
{
	const char *name;

	if (ino == FUSE_ROOT_ID)
		return ".";
	pthread_mutex_lock(&mirror->lock);
	name = mirror->names[ino - 2];
	pthread_mutex_unlock(&mirror->lock);
	return name;
}

static int number_of(struct mirror *mirror, const char *name, fuse_ino_t *ret_ino)
{
	size_t i;
	int result = 0;

	pthread_mutex_lock(&mirror->lock);
	for (i = 0; i < mirror->count && strcmp(mirror->names[i], name) != 0; i++)
		continue;
	if (i == FILES_MAX)
		result = -ENOSPC;
	else if (i == mirror->count && !(mirror->names[mirror->count++] = strdup(name)))
		result = -ENOMEM;
	pthread_mutex_unlock(&mirror->lock);
	if (result == 0)
		*ret_ino = i + 2;
	return result;
}

/* Returns 0 or -errno. */
static int describe(struct mirror *mirror, const char *name, struct fuse_entry_param *ret_entry)
{
	struct fuse_entry_param entry = {0};
	int result;

	if (fstatat(mirror->directory, name, &entry.attr, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	result = number_of(mirror, name, &entry.ino);
	if (result < 0)
		return result;
	entry.attr.st_ino = entry.ino;
	entry.attr_timeout = mirror->cache_seconds;
	entry.entry_timeout = mirror->cache_seconds;
	*ret_entry = entry;
	return 0;
}

static void do_lookup(fuse_req_t request, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param entry;
	int result = describe(mirror_of(request), name, &entry);

	(void)parent;
	if (result < 0)
		fuse_reply_err(request, -result);
	else
		fuse_reply_entry(request, &entry);
}

static void do_getattr(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *file)
{
	struct mirror *mirror = mirror_of(request);
	struct stat status;

	(void)file;
	if (fstatat(mirror->directory, name_of(mirror, ino), &status, AT_SYMLINK_NOFOLLOW) < 0) {
		fuse_reply_err(request, errno);
		return;
	}
	status.st_ino = ino;
	fuse_reply_attr(request, &status, mirror->cache_seconds);
}

/* Appending writers bypass the page cache, readers keep what is in it. */
static int open_file(
	struct mirror *mirror, const char *name, mode_t mode, struct fuse_file_info *file)
{
	int fd = openat(mirror->directory, name, (file->flags & ~O_NOFOLLOW) | O_CLOEXEC, mode);

	if (fd < 0)
		return -errno;
	file->fh = (uint64_t)fd;
	file->direct_io = (file->flags & O_ACCMODE) != O_RDONLY;
	file->keep_cache = (file->flags & O_ACCMODE) == O_RDONLY;
	return 0;
}

static void do_open(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *file)
{
	struct mirror *mirror = mirror_of(request);
	int result = open_file(mirror, name_of(mirror, ino), 0, file);

	if (result < 0)
		fuse_reply_err(request, -result);
	else
		fuse_reply_open(request, file);
}

static void do_create(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode,
	struct fuse_file_info *file)
{
	struct mirror *mirror = mirror_of(request);
	struct fuse_entry_param entry;
	int result;

	(void)parent;
	file->flags |= O_CREAT;
	result = open_file(mirror, name, mode, file);
	if (result == 0) {
		result = describe(mirror, name, &entry);
		if (result < 0)
			close((int)file->fh);
	}
	if (result < 0)
		fuse_reply_err(request, -result);
	else
		fuse_reply_create(request, &entry, file);
}

static void do_read(
	fuse_req_t request, fuse_ino_t ino, size_t bytes, off_t offset, struct fuse_file_info *file)
{
	struct fuse_bufvec buffer = FUSE_BUFVEC_INIT(bytes);

	(void)ino;
	buffer.buf[0].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK;
	buffer.buf[0].fd = (int)file->fh;
	buffer.buf[0].pos = offset;
	fuse_reply_data(request, &buffer, FUSE_BUF_SPLICE_MOVE);
}

/* With O_APPEND the offset is the kernel's guess, and pwrite(2) ignores it. */
static void do_write(fuse_req_t request, fuse_ino_t ino, const char *data, size_t bytes,
	off_t offset, struct fuse_file_info *file)
{
	ssize_t written = pwrite((int)file->fh, data, bytes, offset);

	(void)ino;
	if (written < 0)
		fuse_reply_err(request, errno);
	else
		fuse_reply_write(request, (size_t)written);
}

static void do_flush(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *file)
{
	(void)ino;
	fuse_reply_err(request, close(dup((int)file->fh)) < 0 ? errno : 0);
}

static void do_release(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *file)
{
	(void)ino;
	fuse_reply_err(request, close((int)file->fh) < 0 ? errno : 0);
}

static void do_fsync(fuse_req_t request, fuse_ino_t ino, int data_only, struct fuse_file_info *file)
{
	int fd = (int)file->fh;

	(void)ino;
	fuse_reply_err(request, (data_only ? fdatasync(fd) : fsync(fd)) < 0 ? errno : 0);
}

static void do_unlink(fuse_req_t request, fuse_ino_t parent, const char *name)
{
	(void)parent;
	fuse_reply_err(request, unlinkat(mirror_of(request)->directory, name, 0) < 0 ? errno : 0);
}

static void serve(struct mirror *mirror, const char *mountpoint)
{
	static const struct fuse_lowlevel_ops operations = {
		.lookup = do_lookup,
		.getattr = do_getattr,
		.open = do_open,
		.create = do_create,
		.read = do_read,
		.write = do_write,
		.flush = do_flush,
		.release = do_release,
		.fsync = do_fsync,
		.unlink = do_unlink,
	};
	char *words[] = {"bench-passthrough", "-odefault_permissions,fsname=bench", NULL};
	struct fuse_args arguments = FUSE_ARGS_INIT(2, words);
	struct fuse_session *session =
		fuse_session_new(&arguments, &operations, sizeof(operations), mirror);

	errno = 0;
	if (!session || fuse_set_signal_handlers(session) < 0)
		die("cannot make a FUSE session");
	if (fuse_session_mount(session, mountpoint) < 0)
		die("cannot mount on %s", mountpoint);
	fuse_session_loop_mt(session, NULL);
	fuse_session_unmount(session);
	fuse_remove_signal_handlers(session);
	fuse_session_destroy(session);
	fuse_opt_free_args(&arguments);
}

int main(int argc, char **argv)
{
	static struct mirror mirror = {.lock = PTHREAD_MUTEX_INITIALIZER};

	if (argc < 3 || argc > 4)
		die("usage: bench-passthrough DIRECTORY MOUNTPOINT [CACHE_SECONDS]");
	mirror.directory = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (mirror.directory < 0)
		die("%s", argv[1]);
	mirror.cache_seconds = argc > 3 ? (double)number(argv[3]) : 0;
	serve(&mirror, argv[2]);
	for (size_t i = 0; i < mirror.count; i++)
		free(mirror.names[i]);
	close(mirror.directory);
	return 0;
}
