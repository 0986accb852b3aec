/* SPDX-License-Identifier: MIT */
#include "segment.h"

#include "cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <xxhash.h>

int segment_parse_name(const char *name, uint64_t *ret_base_offset)
{
	enum { DIGITS = 20 };
	if (strlen(name) != DIGITS + strlen(SEGMENT_SUFFIX) ||
		strcmp(name + DIGITS, SEGMENT_SUFFIX))
		return -EINVAL;
	uint64_t base = 0;
	for (int i = 0; i < DIGITS; i++) {
		if (name[i] < '0' || name[i] > '9')
			return -EINVAL;
		if (base > INT64_MAX / 10)
			return -EINVAL;
		base = base * 10 + (uint64_t)(name[i] - '0');
	}
	if (base > INT64_MAX)
		return -EINVAL;
	*ret_base_offset = base;
	return 0;
}

struct segment *segment_new(uint64_t base_offset, int fd, const struct index *index)
{
	static atomic_uint_fast64_t next_uid = 1;
	struct segment *segment = calloc(1, sizeof *segment);
	if (!segment)
		return NULL;
	atomic_init(&segment->refs, 1);
	segment->uid = atomic_fetch_add(&next_uid, 1);
	segment->base_offset = base_offset;
	segment->fd = fd;
	segment->index = *index;
	return segment;
}

struct segment *segment_ref(struct segment *segment)
{
	atomic_fetch_add_explicit(&segment->refs, 1, memory_order_relaxed);
	return segment;
}

void segment_unref(struct segment *segment)
{
	if (!segment || atomic_fetch_sub(&segment->refs, 1) != 1)
		return;
	if (segment->fd >= 0)
		close(segment->fd);
	index_fini(&segment->index);
	free(segment);
}

/* A sliding window of the file: a walk over small chunks costs few reads. */
enum { WINDOW_BYTES = 256 << 10 };
struct window {
	const struct disk *disk;
	int fd;
	uint8_t *data;
	uint64_t offset;
	size_t bytes;
};

/* `bytes` of the file at `offset`; NULL with *ret 0 if the file ends before. */
static const uint8_t *window_get(struct window *w, uint64_t offset, size_t bytes, int *ret)
{
	*ret = 0;
	if (offset < w->offset || offset - w->offset > w->bytes ||
		bytes > w->bytes - (size_t)(offset - w->offset)) {
		w->bytes = 0;
		*ret = disk_read(w->disk, w->fd, offset, w->data, WINDOW_BYTES, &w->bytes);
		if (*ret < 0)
			return NULL;
		w->offset = offset;
		if (bytes > w->bytes)
			return NULL;
	}
	return w->data + (offset - w->offset);
}

struct walk {
	struct window window;
	uint64_t owner;
	uint64_t verified_offset;
	struct scan *scan;
	struct buf stored;
};

bool segment_content_sound(const struct chunk *chunk, const void *content)
{
	const uint8_t *frame = (const uint8_t *)content + chunk->meta_bytes;
	return XXH3_64bits(content, chunk->meta_bytes) == chunk->meta_hash &&
	       XXH3_64bits(frame, chunk->frame_bytes) == chunk->frame_hash;
}

/* Whether the stored frame and meta match their checksums. -EBADMSG, or the disk's error. */
static int check_content(struct walk *walk, const struct chunk *c, uint64_t at)
{
	size_t bytes = (size_t)c->meta_bytes + c->frame_bytes, got;
	walk->stored.size = 0;
	int r = buf_reserve(&walk->stored, bytes);
	if (r == 0)
		r = disk_read(walk->window.disk, walk->window.fd, at + sizeof(struct chunk_header),
			walk->stored.data, bytes, &got);
	if (r < 0)
		return r;
	return got == bytes && segment_content_sound(c, walk->stored.data) ? 0 : -EBADMSG;
}

/* The chunk at a file offset. -EBADMSG: there is none that is whole and of this segment. */
static int chunk_at(struct walk *walk, uint64_t at, struct chunk *ret_chunk)
{
	struct scan *scan = walk->scan;
	int r;
	const uint8_t *p = window_get(&walk->window, at, sizeof(struct chunk_header), &r);
	if (!p)
		return r < 0 ? r : -EBADMSG;
	struct chunk c;
	r = chunk_parse(p, &c);
	if (r < 0)
		return r;
	if (c.owner != walk->owner || c.text_offset < scan->index.end.at.offset ||
		c.first_sequence < scan->index.end.at.sequence ||
		c.json_offset < scan->index.end.at.json_offset)
		return -EBADMSG;
	if (chunk_stored_bytes(&c) > scan->file_bytes - at)
		return -EBADMSG;
	if (c.text_offset + c.text_bytes > walk->verified_offset) {
		r = check_content(walk, &c, at);
		if (r < 0)
			return r;
	}
	*ret_chunk = c;
	return 0;
}

/* Finds the next good chunk at or behind `at`. -ENOENT: there is none. */
static int resynchronize(struct walk *walk, uint64_t at, uint64_t *ret_at, struct chunk *ret_chunk)
{
	struct le32 magic = le32(FORMAT_SKIPPABLE_MAGIC);
	for (; at < walk->scan->file_bytes; at++) {
		int r;
		const uint8_t *p = window_get(&walk->window, at, sizeof magic, &r);
		if (!p)
			return r < 0 ? r : -ENOENT;
		size_t left = walk->window.bytes - (size_t)(at - walk->window.offset);
		const uint8_t *hit = memmem(p, left, &magic, sizeof magic);
		if (!hit) {
			at += left - sizeof magic;
			continue;
		}
		at += (uint64_t)(hit - p);
		r = chunk_at(walk, at, ret_chunk);
		if (r == 0)
			*ret_at = at;
		if (r != -EBADMSG)
			return r;
	}
	return -ENOENT;
}

static int note_gap(struct scan *scan, uint64_t at, const struct chunk *next)
{
	if (next->text_offset == scan->index.end.at.offset)
		return 0; /* junk between two chunks that follow on each other */
	scan->gap_count++;
	scan->gap_bytes += next->text_offset - scan->index.end.at.offset;
	return index_add_gap(&scan->index, at, chunk_start(next));
}

static int walk_chunks(struct walk *walk)
{
	struct scan *scan = walk->scan;
	uint64_t at = 0;
	while (at < scan->file_bytes) {
		struct chunk c;
		uint64_t found = at;
		int r = chunk_at(walk, at, &c);
		if (r == -EBADMSG) {
			r = resynchronize(walk, at + 1, &found, &c);
			if (r == -ENOENT) {
				scan->tail_damaged = true;
				return 0;
			}
		}
		if (r < 0)
			return r;
		if (c.text_offset != scan->index.end.at.offset || found != at)
			r = note_gap(scan, at, &c);
		if (r == 0)
			r = index_add(&scan->index, &c, found);
		if (r < 0)
			return r;
		if (c.synced_offset > scan->synced_offset)
			scan->synced_offset = c.synced_offset;
		scan->open_record = c.incompatible & CHUNK_OPEN_END;
		at = found + chunk_stored_bytes(&c);
	}
	return 0;
}

int segment_scan(const struct disk *disk, int fd, uint64_t owner, uint64_t base_offset,
	uint64_t verified_offset, struct scan *ret_scan)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return -errno;
	struct scan scan = {.file_bytes = (uint64_t)st.st_size};
	index_init(&scan.index, (struct position){.offset = base_offset});
	_cleanup_free_ uint8_t *data = malloc(WINDOW_BYTES);
	if (!data)
		return -ENOMEM;
	struct walk walk = {
		.window = {.disk = disk, .fd = fd, .data = data},
		.owner = owner,
		.verified_offset = verified_offset,
		.scan = &scan,
	};
	int r = walk_chunks(&walk);
	buf_fini(&walk.stored);
	if (r < 0) {
		index_fini(&scan.index);
		return r;
	}
	*ret_scan = scan;
	return 0;
}

int segment_check_chunk(const struct index_item *item, uint64_t owner, uint64_t text_bytes,
	const void *stored, struct chunk *ret_chunk)
{
	struct chunk c;
	int r = chunk_parse(stored, &c);
	if (r < 0)
		return r;
	if (c.owner != owner || c.text_offset != item->start.offset || c.text_bytes != text_bytes ||
		c.first_sequence != item->start.sequence ||
		c.json_offset != item->start.json_offset ||
		chunk_stored_bytes(&c) != item->stored_bytes)
		return -EBADMSG;
	*ret_chunk = c;
	return 0;
}
