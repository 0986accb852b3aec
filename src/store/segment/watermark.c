/* SPDX-License-Identifier: MIT */
#include "watermark.h"

#include "cleanup.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <xxhash.h>

static bool parse_slot(const uint8_t *bytes, uint64_t owner, struct watermark *ret)
{
	struct watermark_slot s;
	memcpy(&s, bytes, sizeof s);
	if (le32_get(s.magic) != FORMAT_WATERMARK_MAGIC || le64_get(s.owner) != owner ||
		le64_get(s.hash) != XXH3_64bits(&s, offsetof(struct watermark_slot, hash)))
		return false;
	*ret = (struct watermark){
		.counter = le64_get(s.counter),
		.synced = {le64_get(s.synced_offset), le64_get(s.synced_sequence),
			le64_get(s.synced_json_offset)},
		.horizon = {le64_get(s.horizon_offset), le64_get(s.horizon_sequence),
			le64_get(s.horizon_json_offset)},
		.horizon_arrival_ms = le64_get(s.horizon_arrival_ms),
	};
	return ret->synced.offset <= INT64_MAX && ret->synced.sequence <= INT64_MAX &&
	       ret->synced.json_offset <= INT64_MAX && ret->horizon.offset <= ret->synced.offset &&
	       ret->horizon.json_offset <= ret->synced.json_offset;
}

static int read_slots(const struct disk *disk, int dir, const char *name,
	uint8_t ret_file[2 * WATERMARK_SLOT_STRIDE])
{
	_cleanup_close_ int fd = -1;
	int r = disk_open(disk, dir, name, O_RDONLY | O_NONBLOCK, &fd);
	if (r < 0)
		return r;
	struct stat st;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EBADMSG;
	memset(ret_file, 0, 2 * WATERMARK_SLOT_STRIDE);
	size_t got;
	r = disk_read(disk, fd, 0, ret_file, 2 * WATERMARK_SLOT_STRIDE, &got);
	return r == 0 && !got ? -ENOENT : r; /* empty: made, but never written */
}

static bool is_zero(const uint8_t *bytes, size_t count)
{
	return !bytes[0] && !memcmp(bytes, bytes + 1, count - 1);
}

int watermark_verify(const struct disk *disk, int dir, const char *name, uint64_t owner)
{
	uint8_t file[2 * WATERMARK_SLOT_STRIDE];
	int r = read_slots(disk, dir, name, file);
	if (r < 0)
		return r;
	const size_t slot = sizeof(struct watermark_slot);
	for (const uint8_t *p = file; p < file + sizeof file; p += WATERMARK_SLOT_STRIDE) {
		struct watermark ignored;
		if (!parse_slot(p, owner, &ignored) && !is_zero(p, slot))
			return -EBADMSG;
		if (!is_zero(p + slot, WATERMARK_SLOT_STRIDE - slot))
			return -EBADMSG;
	}
	return 0;
}

int watermark_load(const struct disk *disk, int dir, const char *name, uint64_t owner,
	struct watermark *ret_watermark)
{
	uint8_t file[2 * WATERMARK_SLOT_STRIDE];
	int r = read_slots(disk, dir, name, file);
	if (r < 0)
		return r;
	struct watermark a, b;
	bool has_a = parse_slot(file, owner, &a);
	bool has_b = parse_slot(file + WATERMARK_SLOT_STRIDE, owner, &b);
	if (!has_a && !has_b)
		return -EBADMSG;
	*ret_watermark = has_a && (!has_b || a.counter > b.counter) ? a : b;
	return 0;
}

int watermark_store(const struct disk *disk, int fd, uint64_t owner, struct watermark *watermark)
{
	assert(watermark->horizon.offset <= watermark->synced.offset);
	uint64_t counter = watermark->counter + 1;
	struct watermark_slot s = {
		.magic = le32(FORMAT_WATERMARK_MAGIC),
		.owner = le64(owner),
		.counter = le64(counter),
		.synced_offset = le64(watermark->synced.offset),
		.synced_sequence = le64(watermark->synced.sequence),
		.synced_json_offset = le64(watermark->synced.json_offset),
		.horizon_offset = le64(watermark->horizon.offset),
		.horizon_sequence = le64(watermark->horizon.sequence),
		.horizon_json_offset = le64(watermark->horizon.json_offset),
		.horizon_arrival_ms = le64(watermark->horizon_arrival_ms),
	};
	s.hash = le64(XXH3_64bits(&s, offsetof(struct watermark_slot, hash)));
	int r = disk_write(disk, fd, (counter & 1) * WATERMARK_SLOT_STRIDE, &s, sizeof s);
	if (r == 0)
		watermark->counter = counter;
	return r;
}
