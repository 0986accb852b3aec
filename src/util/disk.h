/* SPDX-License-Identifier: MIT */
/*
 * The system calls with which the store touches its files. They check results, finish short
 * transfers and follow no name out of the store. Tests have one seam here: a hook that can fail,
 * cut or record any call.
 *
 * Any thread may call. Functions return 0 or -errno. `dir` is a directory's descriptor and `name` a
 * path below it; symbolic links and ".." are refused (-ELOOP, -EXDEV).
 * No call returns -ESTALE or -EBADMSG, which the store uses for text that is trimmed or damaged: a
 * disk that fails with one of them gives -EIO.
 */
#ifndef UTIL_DISK_H
#define UTIL_DISK_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

enum disk_op {
	DISK_OPEN,     /* fd = dir, name, flags */
	DISK_READ,     /* fd, offset, bytes */
	DISK_WRITE,    /* fd, offset, bytes, iov */
	DISK_SYNC,     /* fd: fdatasync of a file */
	DISK_SYNC_DIR, /* fd: fsync of a directory */
	DISK_TRUNCATE, /* fd, offset = the new size */
	DISK_RENAME,   /* fd = dir, name, to_fd, to */
	DISK_LINK,     /* fd = an unnamed file, to_fd, to */
	DISK_UNLINK,   /* fd = dir, name */
	DISK_MKDIR,    /* fd = dir, name */
	DISK_RMDIR,    /* fd = dir, name */
};

struct disk_call {
	enum disk_op op;
	int fd;
	int to_fd;
	const char *name;
	const char *to;
	int flags;
	uint64_t offset;
	size_t bytes;
	const struct iovec *iov;
	int iov_count;
};

/*
 * before() runs ahead of every call: 0 lets the call happen, -errno fails it. It may cut a write:
 * with an error and a *limit that is not 0, that many bytes are written before the write fails.
 * after() runs after every call that succeeded. Either may be NULL. Many threads call them.
 */
struct disk_hook {
	int (*before)(struct disk_hook *hook, const struct disk_call *call, size_t *limit);
	void (*after)(struct disk_hook *hook, const struct disk_call *call, int result);
};

struct disk {
	struct disk_hook *hook; /* NULL in production; borrowed */
};

/* Opens with O_CLOEXEC; with O_CREAT, mode 0600. With O_TMPFILE, `name` is a directory. */
int disk_open(const struct disk *disk, int dir, const char *name, int flags, int *ret_fd);
/* Reads up to `bytes`, fewer only at the end of the file. */
int disk_read(const struct disk *disk, int fd, uint64_t offset, void *buffer, size_t bytes,
	size_t *ret_bytes);
/* Writes all or fails; what a failed call wrote is unknown. Changes the iovecs. */
int disk_writev(const struct disk *disk, int fd, uint64_t offset, struct iovec *iov, int iov_count);
int disk_write(const struct disk *disk, int fd, uint64_t offset, const void *data, size_t bytes);
int disk_sync(const struct disk *disk, int fd);
int disk_sync_dir(const struct disk *disk, int dir);
int disk_truncate(const struct disk *disk, int fd, uint64_t size_bytes);
/* Replaces `to` if it exists. */
int disk_rename(const struct disk *disk, int dir, const char *name, int to_dir, const char *to);
/* Fails with -EEXIST if `to` exists. */
int disk_rename_noreplace(
	const struct disk *disk, int dir, const char *name, int to_dir, const char *to);
int disk_unlink(const struct disk *disk, int dir, const char *name);
int disk_mkdir(const struct disk *disk, int dir, const char *name); /* mode 0700 */
int disk_rmdir(const struct disk *disk, int dir, const char *name);

/*
 * Replaces file `name` as a whole: a temporary file beside it, fsync, rename, fsync of the
 * directory. After a crash there is the old content or the new, nothing else. The content is
 * durable when it returns 0.
 */
int disk_replace(
	const struct disk *disk, int dir, const char *name, const void *data, size_t bytes);
/* Reads a whole file; -EFBIG over `max_bytes`. A NUL that is not counted follows the content. */
int disk_slurp(const struct disk *disk, int dir, const char *name, size_t max_bytes,
	char **ret_data, size_t *ret_bytes);

/* Temporary files of disk_replace() and of others end in this; recovery removes them. */
#define DISK_TMP_SUFFIX ".tmp"

#endif
