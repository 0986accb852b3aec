/* SPDX-License-Identifier: MIT */
#include "payload.h"

#include "cleanup.h"

#include <bsd/stdlib.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	PAYLOAD_KEEP_BYTES = 4096,
	PAYLOAD_PIECE_BYTES = 256 << 10, /* read at a time from the file */
};

void payload_budget_init(struct payload_budget *budget, unsigned max_files)
{
	*budget = (struct payload_budget){.max_files = max_files};
}

/*
 * malloc(3) keeps what is freed in between of what is not. When the payloads have fallen to half of
 * what they once took, that much is worth giving back.
 */
static void trim_memory(struct payload_budget *budget, size_t bytes)
{
	enum { TRIM_OVER_BYTES = 32 << 20 };
	size_t peak = atomic_load(&budget->peak);
	if (bytes > peak)
		atomic_compare_exchange_strong(&budget->peak, &peak, bytes);
	else if (peak > TRIM_OVER_BYTES && bytes < peak / 2 &&
		 atomic_compare_exchange_strong(&budget->peak, &peak, bytes))
		malloc_trim(0);
}

/* Brings the budget up to date with the memory of a payload. */
static void count_memory(struct payload *payload)
{
	struct payload_budget *budget = payload->budget;
	size_t before = payload->counted_bytes, now = payload->memory.capacity;
	if (!budget || before == now)
		return;
	payload->counted_bytes = now;
	trim_memory(budget, atomic_fetch_add(&budget->bytes, now - before) + (now - before));
}

static int take_file_slot(struct payload *payload)
{
	struct payload_budget *budget = payload->budget;
	if (!budget || payload->has_file_slot)
		return 0;
	if (atomic_fetch_add(&budget->files, 1) >= budget->max_files) {
		atomic_fetch_sub(&budget->files, 1);
		return -ENFILE;
	}
	payload->has_file_slot = true;
	return 0;
}

static void give_file_slot(struct payload *payload)
{
	if (payload->has_file_slot)
		atomic_fetch_sub(&payload->budget->files, 1);
	payload->has_file_slot = false;
}

void payload_init(struct payload *payload, struct payload_budget *budget)
{
	*payload = (struct payload){.budget = budget, .fd = -1};
}

int payload_reserve_file(struct payload *payload)
{
	int r = take_file_slot(payload);
	if (r == 0)
		payload->keeps_file_slot = true;
	return r;
}

static void close_file(struct payload *payload)
{
	if (payload->fd >= 0)
		close(payload->fd);
	payload->fd = -1;
	if (!payload->keeps_file_slot)
		give_file_slot(payload);
}

void payload_fini(struct payload *payload)
{
	payload->keeps_file_slot = false;
	close_file(payload);
	buf_fini(&payload->memory);
	count_memory(payload);
	payload->size_bytes = 0;
}

void payload_reset(struct payload *payload)
{
	close_file(payload);
	buf_reset(&payload->memory, PAYLOAD_KEEP_BYTES);
	count_memory(payload);
	payload->size_bytes = 0;
}

bool payload_fits(const struct payload *payload, uint64_t size_bytes)
{
	if (payload->fd >= 0 || size_bytes > PAYLOAD_MEMORY_MAX)
		return false;
	size_t taken = payload->budget ? atomic_load(&payload->budget->bytes) : 0;
	if (size_bytes <= payload->memory.capacity || taken < PAYLOAD_BUDGET_BYTES)
		return true;
	return size_bytes <= PAYLOAD_MEMORY_TIGHT &&
	       taken < PAYLOAD_BUDGET_BYTES + PAYLOAD_BUDGET_BYTES / 2;
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

static bool stays_in_memory(const struct payload *payload, int spill_dir, uint64_t size_bytes)
{
	if (payload_fits(payload, size_bytes))
		return true;
	return spill_dir < 0 && payload->fd < 0 && size_bytes <= PAYLOAD_MEMORY_MAX;
}

/* Moves what is in memory to a file; on failure nothing has changed. */
static int spill(struct payload *payload, const struct disk *disk, int spill_dir)
{
	if (payload->fd >= 0)
		return 0;
	_cleanup_close_ int fd = -1;
	int r = take_file_slot(payload);
	if (r < 0)
		return r;
	r = open_spill(disk, spill_dir, &fd);
	if (r == 0 && payload->memory.size)
		r = disk_write(disk, fd, 0, payload->memory.data, payload->memory.size);
	if (r < 0) {
		close_file(payload);
		return r;
	}
	payload->fd = fd;
	fd = -1;
	buf_reset(&payload->memory, PAYLOAD_KEEP_BYTES);
	count_memory(payload);
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

static int reserve_memory(struct payload *payload, size_t more)
{
	int r = buf_reserve(&payload->memory, more);
	count_memory(payload);
	return r;
}

static int memory_resize(struct payload *payload, size_t size)
{
	struct buf *memory = &payload->memory;
	if (size > memory->size) {
		int r = reserve_memory(payload, size - memory->size);
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
		int r = reserve_memory(payload, bytes);
		if (r < 0)
			return r;
		(void)buf_append(&payload->memory, data, bytes);
		payload->size_bytes += bytes;
		return 0;
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
	if (stays_in_memory(payload, spill_dir, end))
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
	if (stays_in_memory(payload, spill_dir, size_bytes))
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

int payload_text(const struct payload *payload, const struct disk *disk, size_t bytes,
	struct buf *scratch, const char **ret_data)
{
	if (payload->fd < 0) {
		*ret_data = (const char *)payload->memory.data;
		return 0;
	}
	scratch->size = 0;
	size_t got = 0;
	int r = buf_reserve(scratch, bytes);
	if (r == 0)
		r = payload_read(payload, disk, 0, scratch->data, bytes, &got);
	if (r < 0)
		return r;
	if (got < bytes)
		return -EIO; /* the file is shorter than what was written to it */
	scratch->size = got;
	*ret_data = (const char *)scratch->data;
	return 0;
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
