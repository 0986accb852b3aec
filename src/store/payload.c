/* SPDX-License-Identifier: MIT */
#include "payload.h"

#include "cleanup.h"

#include <bsd/stdlib.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
	PAYLOAD_KEEP_BYTES = 4096,
	PAYLOAD_PIECE_BYTES = 256 << 10, /* read at a time from the file */
};

void payload_init(struct payload *payload)
{
	*payload = (struct payload){.fd = -1};
}

static void close_file(struct payload *payload)
{
	if (payload->fd >= 0)
		close(payload->fd);
	payload->fd = -1;
}

void payload_fini(struct payload *payload)
{
	close_file(payload);
	buf_fini(&payload->memory);
	payload->size_bytes = 0;
}

void payload_reset(struct payload *payload)
{
	close_file(payload);
	buf_reset(&payload->memory, PAYLOAD_KEEP_BYTES);
	payload->size_bytes = 0;
}

/* For disks without O_TMPFILE. A crash in between leaves a .tmp for the sweep. */
static int open_unlinked(const struct disk *disk, int dir, int *ret_fd)
{
	char name[48];
	uint64_t unique;
	arc4random_buf(&unique, sizeof unique);
	snprintf(name, sizeof name, "payload.%016" PRIx64 DISK_TMP_SUFFIX, unique);
	_cleanup_close_ int fd = -1;
	int r = disk_open(disk, dir, name, O_RDWR | O_CREAT | O_EXCL, &fd);
	if (r < 0)
		return r;
	r = disk_unlink(disk, dir, name);
	if (r < 0 && r != -ENOENT) /* a sweep may have been quicker */
		return r;
	*ret_fd = fd;
	fd = -1;
	return 0;
}

static int open_spill(const struct disk *disk, int dir, int *ret_fd)
{
	int r = disk_open(disk, dir, ".", O_RDWR | O_TMPFILE | O_EXCL, ret_fd);
	if (r == -EOPNOTSUPP || r == -EISDIR)
		r = open_unlinked(disk, dir, ret_fd);
	return r;
}

/* Moves what is in memory to a file; on failure nothing has changed. */
static int spill(struct payload *payload, const struct disk *disk, int spill_dir)
{
	if (payload->fd >= 0)
		return 0;
	_cleanup_close_ int fd = -1;
	int r = open_spill(disk, spill_dir, &fd);
	if (r == 0 && payload->memory.size)
		r = disk_write(disk, fd, 0, payload->memory.data, payload->memory.size);
	if (r < 0)
		return r;
	payload->fd = fd;
	fd = -1;
	buf_reset(&payload->memory, PAYLOAD_KEEP_BYTES);
	return 0;
}

/* What a failed write left behind the end must not show up in a gap. */
static int cut_leftovers(const struct payload *payload, const struct disk *disk)
{
	struct stat st;
	if (fstat(payload->fd, &st) < 0)
		return -errno;
	if ((uint64_t)st.st_size <= payload->size_bytes)
		return 0;
	return disk_truncate(disk, payload->fd, payload->size_bytes);
}

static int memory_resize(struct payload *payload, size_t size)
{
	struct buf *memory = &payload->memory;
	if (size > memory->size) {
		int r = buf_reserve(memory, size - memory->size);
		if (r < 0)
			return r;
		memset(memory->data + memory->size, 0, size - memory->size);
	}
	memory->size = size;
	payload->size_bytes = size;
	return 0;
}

static int memory_write(struct payload *payload, uint64_t offset, const void *data, size_t bytes)
{
	if (offset == payload->size_bytes) { /* the usual one: no need for zeros first */
		int r = buf_append(&payload->memory, data, bytes);
		if (r == 0)
			payload->size_bytes += bytes;
		return r;
	}
	uint64_t end = offset + bytes;
	if (end > payload->size_bytes) {
		int r = memory_resize(payload, (size_t)end);
		if (r < 0)
			return r;
	}
	memcpy(payload->memory.data + offset, data, bytes);
	return 0;
}

int payload_write(struct payload *payload, const struct disk *disk, int spill_dir, uint64_t offset,
	const void *data, size_t bytes)
{
	if (!bytes)
		return 0;
	if (offset > INT64_MAX || bytes > INT64_MAX - offset)
		return -EFBIG;
	uint64_t end = offset + bytes;
	if (payload->fd < 0 && end <= PAYLOAD_MEMORY_MAX)
		return memory_write(payload, offset, data, bytes);
	int r = spill(payload, disk, spill_dir);
	if (r == 0 && offset > payload->size_bytes)
		r = cut_leftovers(payload, disk);
	if (r == 0)
		r = disk_write(disk, payload->fd, offset, data, bytes);
	if (r == 0 && end > payload->size_bytes)
		payload->size_bytes = end;
	return r;
}

int payload_truncate(
	struct payload *payload, const struct disk *disk, int spill_dir, uint64_t size_bytes)
{
	if (size_bytes > INT64_MAX)
		return -EFBIG;
	if (size_bytes == 0) {
		payload_reset(payload);
		return 0;
	}
	if (payload->fd < 0 && size_bytes <= PAYLOAD_MEMORY_MAX)
		return memory_resize(payload, (size_t)size_bytes);
	int r = spill(payload, disk, spill_dir);
	if (r == 0 && size_bytes > payload->size_bytes)
		r = cut_leftovers(payload, disk);
	if (r == 0)
		r = disk_truncate(disk, payload->fd, size_bytes);
	if (r == 0)
		payload->size_bytes = size_bytes;
	return r;
}

int payload_read(const struct payload *payload, const struct disk *disk, uint64_t offset,
	void *buffer, size_t bytes, size_t *ret_bytes)
{
	if (offset >= payload->size_bytes || !bytes) {
		*ret_bytes = 0;
		return 0;
	}
	if (bytes > payload->size_bytes - offset)
		bytes = (size_t)(payload->size_bytes - offset);
	if (payload->fd >= 0)
		return disk_read(disk, payload->fd, offset, buffer, bytes, ret_bytes);
	memcpy(buffer, payload->memory.data + offset, bytes);
	*ret_bytes = bytes;
	return 0;
}

int payload_map(const struct payload *payload, const char **ret_data)
{
	if (!payload->size_bytes) {
		*ret_data = NULL;
		return 0;
	}
	if (payload->fd < 0) {
		*ret_data = (const char *)payload->memory.data;
		return 0;
	}
	if (payload->size_bytes > SIZE_MAX)
		return -ENOMEM;
	void *data = mmap(NULL, (size_t)payload->size_bytes, PROT_READ, MAP_SHARED, payload->fd, 0);
	if (data == MAP_FAILED)
		return -errno;
	*ret_data = data;
	return 0;
}

void payload_unmap(const struct payload *payload, const char *data)
{
	if (data && payload->fd >= 0)
		munmap((void *)(uintptr_t)data, (size_t)payload->size_bytes);
}

/* Hands the payload over in pieces until `each` returns non-zero, which is then the result. */
static int each_piece(const struct payload *payload, const struct disk *disk,
	int (*each)(void *context, const uint8_t *data, size_t bytes), void *context)
{
	if (payload->fd < 0)
		return payload->memory.size
			       ? each(context, payload->memory.data, payload->memory.size)
			       : 0;
	_cleanup_free_ uint8_t *piece = malloc(PAYLOAD_PIECE_BYTES);
	if (!piece)
		return -ENOMEM;
	int r = 0;
	for (uint64_t offset = 0; offset < payload->size_bytes && r == 0;) {
		size_t bytes = 0;
		r = payload_read(payload, disk, offset, piece, PAYLOAD_PIECE_BYTES, &bytes);
		if (r == 0 && !bytes)
			r = -EIO; /* the file is shorter than what was written to it */
		if (r == 0)
			r = each(context, piece, bytes);
		offset += bytes;
	}
	return r;
}

static int digest_piece(void *context, const uint8_t *data, size_t bytes)
{
	SHA256Update(context, data, bytes);
	return 0;
}

int payload_digest(const struct payload *payload, const struct disk *disk, uint8_t digest[32])
{
	SHA2_CTX sha;
	SHA256Init(&sha);
	int r = each_piece(payload, disk, digest_piece, &sha);
	if (r == 0)
		SHA256Final(digest, &sha);
	return r;
}

struct newline_search {
	uint64_t offset;
	bool found;
};

static int search_piece(void *context, const uint8_t *data, size_t bytes)
{
	struct newline_search *search = context;
	const uint8_t *newline = memchr(data, '\n', bytes);
	search->offset += newline ? (size_t)(newline - data) : bytes;
	search->found = newline != NULL;
	return search->found;
}

int payload_find_newline(
	const struct payload *payload, const struct disk *disk, uint64_t *ret_offset)
{
	struct newline_search search = {0};
	int r = each_piece(payload, disk, search_piece, &search);
	if (r < 0)
		return r;
	*ret_offset = search.offset;
	return 0;
}
