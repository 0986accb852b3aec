/* SPDX-License-Identifier: MIT */
#include "disk.h"

#include "cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { DISK_NAME_MAX = 512 };

/*
 * The result of a call that failed with this errno. ESTALE and EBADMSG are the store's own words,
 * for text that was trimmed and text that is damaged. A disk that says so has failed.
 */
static int failed(int error)
{
	return error == ESTALE || error == EBADMSG ? -EIO : -error;
}

static int before(const struct disk *disk, const struct disk_call *call, size_t *limit)
{
	if (!disk->hook || !disk->hook->before)
		return 0;
	int r = disk->hook->before(disk->hook, call, limit);
	return r < 0 ? failed(-r) : r;
}

static void after(const struct disk *disk, const struct disk_call *call, int result)
{
	if (disk->hook && disk->hook->after)
		disk->hook->after(disk->hook, call, result);
}

/* For calls that happen whole or not at all. */
#define ASK(disk, call)                                                                            \
	do {                                                                                       \
		size_t limit_ = (call).bytes;                                                      \
		int asked_ = before(disk, &(call), &limit_);                                       \
		if (asked_ < 0)                                                                    \
			return asked_;                                                             \
	} while (0)

/* For kernels without openat2(2): refuses a link at the end and ".." on the way. */
static int open_plain(int dir, const char *name, int flags, mode_t mode)
{
	for (const char *p = name; (p = strstr(p, "..")); p += 2)
		if ((p == name || p[-1] == '/') && (p[2] == '/' || !p[2])) {
			errno = EXDEV;
			return -1;
		}
	return openat(dir, name, flags | O_NOFOLLOW, mode);
}

static int open_beneath(int dir, const char *name, int flags, mode_t mode)
{
	struct open_how how = {
		.flags = (uint64_t)flags,
		.mode = mode,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	int fd;
	do
		fd = (int)syscall(SYS_openat2, dir, name, &how, sizeof how);
	while (fd < 0 && (errno == EAGAIN || errno == EINTR));
	if (fd < 0 && (errno == ENOSYS || errno == EPERM))
		return open_plain(dir, name, flags, mode);
	return fd;
}

int disk_open(const struct disk *disk, int dir, const char *name, int flags, int *ret_fd)
{
	struct disk_call call = {.op = DISK_OPEN, .fd = dir, .name = name, .flags = flags};
	ASK(disk, call);
	mode_t mode = flags & (O_CREAT | (O_TMPFILE & ~O_DIRECTORY)) ? 0600 : 0;
	int fd = open_beneath(dir, name, flags | O_CLOEXEC, mode);
	if (fd < 0)
		return failed(errno);
	after(disk, &call, fd);
	*ret_fd = fd;
	return 0;
}

int disk_read(const struct disk *disk, int fd, uint64_t offset, void *buffer, size_t bytes,
	size_t *ret_bytes)
{
	struct disk_call call = {.op = DISK_READ, .fd = fd, .offset = offset, .bytes = bytes};
	ASK(disk, call);
	size_t done = 0;
	while (done < bytes) {
		ssize_t n = pread(fd, (char *)buffer + done, bytes - done, (off_t)(offset + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return failed(errno);
		if (n == 0)
			break;
		done += (size_t)n;
	}
	*ret_bytes = done;
	return 0;
}

/* Drops the first `bytes` of an iovec array. */
static void iov_advance(struct iovec **iov, int *count, size_t bytes)
{
	while (*count && bytes >= (*iov)->iov_len) {
		bytes -= (*iov)->iov_len;
		++*iov;
		--*count;
	}
	if (*count) {
		(*iov)->iov_base = (char *)(*iov)->iov_base + bytes;
		(*iov)->iov_len -= bytes;
	}
}

static size_t iov_bytes(const struct iovec *iov, int count)
{
	size_t bytes = 0;
	for (int i = 0; i < count; i++)
		bytes += iov[i].iov_len;
	return bytes;
}

/* Cuts an iovec array to `bytes`; for a test's short write. */
static void iov_cut(struct iovec *iov, int *count, size_t bytes)
{
	for (int i = 0; i < *count; i++) {
		if (iov[i].iov_len >= bytes) {
			iov[i].iov_len = bytes;
			*count = i + 1;
			return;
		}
		bytes -= iov[i].iov_len;
	}
}

static int writev_all(int fd, uint64_t offset, struct iovec *iov, int count)
{
	iov_advance(&iov, &count, 0);
	while (count) {
		ssize_t n = pwritev(fd, iov, count, (off_t)offset);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return failed(errno);
		if (n == 0)
			return -EIO;
		offset += (uint64_t)n;
		iov_advance(&iov, &count, (size_t)n);
	}
	return 0;
}

int disk_writev(const struct disk *disk, int fd, uint64_t offset, struct iovec *iov, int iov_count)
{
	struct disk_call call = {
		.op = DISK_WRITE, .fd = fd, .offset = offset, .iov = iov, .iov_count = iov_count};
	if (!disk->hook)
		return writev_all(fd, offset, iov, iov_count);
	call.bytes = iov_bytes(iov, iov_count);
	size_t limit = 0;
	int r = before(disk, &call, &limit);
	if (r < 0) {
		if (limit) {
			iov_cut(iov, &iov_count, limit);
			(void)writev_all(fd, offset, iov, iov_count);
		}
		return r;
	}
	/* writev_all() changes the iovecs, so the hook sees a copy of them. */
	struct iovec copy[8];
	if (iov_count > 8)
		return -EINVAL;
	memcpy(copy, iov, sizeof *iov * (size_t)iov_count);
	r = writev_all(fd, offset, iov, iov_count);
	call.iov = copy;
	if (r == 0)
		after(disk, &call, 0);
	return r;
}

int disk_write(const struct disk *disk, int fd, uint64_t offset, const void *data, size_t bytes)
{
	struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = bytes};
	return disk_writev(disk, fd, offset, &iov, 1);
}

int disk_sync(const struct disk *disk, int fd)
{
	struct disk_call call = {.op = DISK_SYNC, .fd = fd};
	ASK(disk, call);
	if (fdatasync(fd) < 0)
		return failed(errno);
	after(disk, &call, 0);
	return 0;
}

int disk_sync_dir(const struct disk *disk, int dir)
{
	struct disk_call call = {.op = DISK_SYNC_DIR, .fd = dir};
	ASK(disk, call);
	if (fsync(dir) < 0)
		return failed(errno);
	after(disk, &call, 0);
	return 0;
}

int disk_truncate(const struct disk *disk, int fd, uint64_t size_bytes)
{
	struct disk_call call = {.op = DISK_TRUNCATE, .fd = fd, .offset = size_bytes};
	ASK(disk, call);
	if (ftruncate(fd, (off_t)size_bytes) < 0)
		return failed(errno);
	after(disk, &call, 0);
	return 0;
}

static int rename_with(const struct disk *disk, int dir, const char *name, int to_dir,
	const char *to, unsigned flags)
{
	struct disk_call call = {.op = DISK_RENAME,
		.fd = dir,
		.name = name,
		.to_fd = to_dir,
		.to = to,
		.flags = (int)flags};
	ASK(disk, call);
	if (renameat2(dir, name, to_dir, to, flags) < 0)
		return failed(errno);
	after(disk, &call, 0);
	return 0;
}

int disk_rename(const struct disk *disk, int dir, const char *name, int to_dir, const char *to)
{
	return rename_with(disk, dir, name, to_dir, to, 0);
}

int disk_rename_noreplace(
	const struct disk *disk, int dir, const char *name, int to_dir, const char *to)
{
	return rename_with(disk, dir, name, to_dir, to, RENAME_NOREPLACE);
}

int disk_unlink(const struct disk *disk, int dir, const char *name)
{
	struct disk_call call = {.op = DISK_UNLINK, .fd = dir, .name = name};
	ASK(disk, call);
	if (unlinkat(dir, name, 0) < 0)
		return failed(errno);
	after(disk, &call, 0);
	return 0;
}

int disk_mkdir(const struct disk *disk, int dir, const char *name)
{
	struct disk_call call = {.op = DISK_MKDIR, .fd = dir, .name = name};
	ASK(disk, call);
	if (mkdirat(dir, name, 0700) < 0)
		return failed(errno);
	after(disk, &call, 0);
	return 0;
}

int disk_rmdir(const struct disk *disk, int dir, const char *name)
{
	struct disk_call call = {.op = DISK_RMDIR, .fd = dir, .name = name};
	ASK(disk, call);
	if (unlinkat(dir, name, AT_REMOVEDIR) < 0)
		return failed(errno);
	after(disk, &call, 0);
	return 0;
}

/* Writes and syncs the temporary file of a replacement. */
static int write_temporary(
	const struct disk *disk, int dir, const char *temporary, const void *data, size_t bytes)
{
	_cleanup_close_ int fd = -1;
	int r = disk_open(disk, dir, temporary, O_WRONLY | O_CREAT | O_TRUNC, &fd);
	if (r == 0)
		r = disk_write(disk, fd, 0, data, bytes);
	if (r == 0)
		r = disk_sync(disk, fd);
	return r;
}

/* The directory part of a path below `dir`, opened. */
static int open_parent(const struct disk *disk, int dir, const char *name, int *ret_fd)
{
	char parent[DISK_NAME_MAX];
	const char *slash = strrchr(name, '/');
	int n = slash ? snprintf(parent, sizeof parent, "%.*s", (int)(slash - name), name)
		      : snprintf(parent, sizeof parent, ".");
	if (n < 0 || (size_t)n >= sizeof parent)
		return -ENAMETOOLONG;
	return disk_open(disk, dir, parent, O_RDONLY | O_DIRECTORY, ret_fd);
}

int disk_replace(const struct disk *disk, int dir, const char *name, const void *data, size_t bytes)
{
	char temporary[DISK_NAME_MAX];
	int n = snprintf(temporary, sizeof temporary, "%s" DISK_TMP_SUFFIX, name);
	if (n < 0 || (size_t)n >= sizeof temporary)
		return -ENAMETOOLONG;
	_cleanup_close_ int parent = -1;
	int r = open_parent(disk, dir, name, &parent);
	if (r < 0)
		return r;
	r = write_temporary(disk, dir, temporary, data, bytes);
	if (r == 0)
		r = disk_rename(disk, dir, temporary, dir, name);
	if (r < 0) {
		(void)disk_unlink(disk, dir, temporary);
		return r;
	}
	return disk_sync_dir(disk, parent);
}

int disk_slurp(const struct disk *disk, int dir, const char *name, size_t max_bytes,
	char **ret_data, size_t *ret_bytes)
{
	_cleanup_close_ int fd = -1;
	int r = disk_open(disk, dir, name, O_RDONLY | O_NONBLOCK, &fd);
	if (r < 0)
		return r;
	struct stat st;
	if (fstat(fd, &st) < 0)
		return failed(errno);
	if (!S_ISREG(st.st_mode))
		return -EBADMSG;
	if ((uint64_t)st.st_size > max_bytes)
		return -EFBIG;
	size_t bytes = (size_t)st.st_size;
	_cleanup_free_ char *data = malloc(bytes + 1);
	if (!data)
		return -ENOMEM;
	r = disk_read(disk, fd, 0, data, bytes, &bytes);
	if (r < 0)
		return r;
	data[bytes] = 0;
	*ret_data = data;
	*ret_bytes = bytes;
	data = NULL;
	return 0;
}
