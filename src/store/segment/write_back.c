/* SPDX-License-Identifier: MIT */
#include "write_back.h"

#include "segment.h"

#include "cleanup.h"

enum { BATCH_BYTES = 1 << 20 };

/* The end of a run of chunks from item `i` on, without holes in the file; one chunk at least. */
static size_t batch_end(const struct index *index, size_t i, size_t *ret_bytes)
{
	const struct index_item *items = index->items;
	size_t bytes = items[i].stored_bytes, end = i + 1;
	while (end < index->count && !(items[end].flags & INDEX_DAMAGED) &&
		items[end].file_offset == items[i].file_offset + bytes &&
		bytes + items[end].stored_bytes <= BATCH_BYTES)
		bytes += items[end++].stored_bytes;
	*ret_bytes = bytes;
	return end;
}

static int check_batch(
	const struct index *index, uint64_t owner, size_t i, size_t end, const uint8_t *stored)
{
	for (; i < end; i++) {
		const struct index_item *item = &index->items[i];
		struct chunk chunk;
		int r = segment_check_chunk(
			item, owner, index_item_end(index, i) - item->start.offset, stored, &chunk);
		if (r < 0)
			return r;
		if (!segment_content_sound(&chunk, chunk_meta_of(stored)))
			return -EBADMSG;
		stored += item->stored_bytes;
	}
	return 0;
}

static int write_batch(const struct disk *disk, int fd, uint64_t owner, const struct index *index,
	size_t i, size_t end, struct buf *stored)
{
	uint64_t at = index->items[i].file_offset;
	size_t got;
	int r = disk_read(disk, fd, at, stored->data, stored->size, &got);
	if (r == 0 && got < stored->size)
		r = -EBADMSG;
	if (r == 0)
		r = check_batch(index, owner, i, end, stored->data);
	return r < 0 ? r : disk_write(disk, fd, at, stored->data, stored->size);
}

int segment_write_back(const struct disk *disk, int fd, uint64_t owner, const struct index *index,
	uint64_t from_offset)
{
	_cleanup_(buf_fini) struct buf stored = {0};
	size_t i = 0;
	while (i < index->count && index_item_end(index, i) <= from_offset)
		i++;
	while (i < index->count) {
		if (index->items[i].flags & INDEX_DAMAGED) {
			i++;
			continue;
		}
		size_t bytes, end = batch_end(index, i, &bytes);
		stored.size = 0;
		int r = buf_reserve(&stored, bytes);
		if (r < 0)
			return r;
		stored.size = bytes;
		r = write_batch(disk, fd, owner, index, i, end, &stored);
		if (r < 0)
			return r;
		i = end;
	}
	return 0;
}
