/* SPDX-License-Identifier: MIT */
#include "index.h"

#include "cleanup.h"

#include <assert.h>
#include <errno.h>
#include <xxhash.h>

void index_init(struct index *index, struct position start)
{
	*index = (struct index){.end.at = start};
}

void index_fini(struct index *index)
{
	vector_fini(index);
}

static uint32_t index_flags(const struct chunk *c)
{
	uint32_t flags = 0;
	if (c->meta_raw_bytes)
		flags |= INDEX_HAS_META;
	if (c->incompatible & CHUNK_OPEN_END)
		flags |= INDEX_OPEN_END;
	if (c->incompatible & CHUNK_CONTINUES)
		flags |= INDEX_CONTINUES;
	return flags;
}

int index_add(struct index *index, const struct chunk *chunk, uint64_t file_offset)
{
	assert(chunk->text_offset == index->end.at.offset && file_offset >= index->end.file_offset);
	const struct index_item item = {
		.start = chunk_start(chunk),
		.file_offset = file_offset,
		.arrival_ms = chunk->arrival_ms,
		.stored_bytes = chunk_stored_bytes(chunk),
		.flags = index_flags(chunk),
	};
	if (vector_push(index, item) < 0)
		return -ENOMEM;
	if (index->count == 1)
		index->first_header_hash = chunk->header_hash;
	index->end.header_hash = chunk->header_hash;
	index->end.at = chunk_end(chunk);
	index->end.file_offset = file_offset + chunk_stored_bytes(chunk);
	if (chunk->last_arrival_ms > index->end.arrival_ms)
		index->end.arrival_ms = chunk->last_arrival_ms;
	return 0;
}

int index_add_gap(struct index *index, uint64_t file_offset, struct position end)
{
	assert(end.offset > index->end.at.offset);
	const struct index_item gap = {
		.start = index->end.at,
		.file_offset = file_offset,
		.arrival_ms = index->end.arrival_ms,
		.flags = INDEX_DAMAGED,
	};
	if (vector_push(index, gap) < 0)
		return -ENOMEM;
	index->end.at = end;
	return 0;
}

void index_cut(struct index *index, size_t count, const struct index_end *end)
{
	assert(count <= index->count);
	index->count = count;
	index->end = *end;
}

size_t index_find(const struct index *index, uint64_t text_offset)
{
	size_t low = 0, high = index->count;
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		if (index->items[middle].start.offset <= text_offset)
			low = middle;
		else
			high = middle;
	}
	return low;
}

size_t index_find_json(const struct index *index, uint64_t json_offset)
{
	size_t low = 0, high = index->count;
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		if (index->items[middle].start.json_offset <= json_offset)
			low = middle;
		else
			high = middle;
	}
	return low;
}

size_t index_record_start(const struct index *index, size_t i)
{
	while (i && index->items[i].flags & INDEX_CONTINUES)
		i--;
	return i;
}

/* Covers the header and the entries: the hash of the one is the seed of the other's. */
static uint64_t index_hash(const struct index_header *h, const void *entries, size_t bytes)
{
	uint64_t seed = XXH3_64bits(h, offsetof(struct index_header, hash));
	return XXH3_64bits_withSeed(entries, bytes, seed);
}

int index_save(const struct disk *disk, int dir, const char *name, uint64_t owner,
	const struct index *index)
{
	size_t entry_bytes = index->count * sizeof(struct index_entry);
	_cleanup_free_ char *file = malloc(sizeof(struct index_header) + entry_bytes);
	if (!file)
		return -ENOMEM;
	char *entries = file + sizeof(struct index_header);
	for (size_t i = 0; i < index->count; i++) {
		const struct index_item *item = &index->items[i];
		struct index_entry e = {
			.text_offset = le64(item->start.offset),
			.file_offset = le64(item->file_offset),
			.first_sequence = le64(item->start.sequence),
			.json_offset = le64(item->start.json_offset),
			.arrival_ms = le64(item->arrival_ms),
			.stored_bytes = le32(item->stored_bytes),
			.flags = le32(item->flags),
		};
		memcpy(entries + i * sizeof e, &e, sizeof e);
	}
	struct index_header h = {
		.magic = le32(FORMAT_INDEX_MAGIC),
		.entry_count = le32((uint32_t)index->count),
		.owner = le64(owner),
		.segment_bytes = le64(index->end.file_offset),
		.first_header_hash = le64(index->first_header_hash),
		.last_header_hash = le64(index->end.header_hash),
		.end_offset = le64(index->end.at.offset),
		.end_sequence = le64(index->end.at.sequence),
		.end_json_offset = le64(index->end.at.json_offset),
		.last_arrival_ms = le64(index->end.arrival_ms),
	};
	h.hash = le64(index_hash(&h, entries, entry_bytes));
	memcpy(file, &h, sizeof h);
	return disk_replace(disk, dir, name, file, sizeof h + entry_bytes);
}

/* The checksum of the chunk header at an offset of the segment is the expected one. */
static int check_chunk(const struct disk *disk, int fd, uint64_t offset, uint64_t header_hash)
{
	struct chunk_header h;
	size_t got;
	int r = disk_read(disk, fd, offset, &h, sizeof h, &got);
	if (r < 0)
		return r;
	struct chunk c;
	if (got != sizeof h || chunk_parse(&h, &c) < 0 || c.header_hash != header_hash)
		return -EBADMSG;
	return 0;
}

/* Converts the entries of the file. -EBADMSG: they break the invariants. */
static int load_items(const char *entries, struct index *index, uint64_t base_offset)
{
	uint64_t text = base_offset, file = 0, json = 0;
	for (size_t i = 0; i < index->count; i++) {
		struct index_entry e;
		memcpy(&e, entries + i * sizeof e, sizeof e);
		struct index_item *item = &index->items[i];
		*item = (struct index_item){
			.start = {le64_get(e.text_offset), le64_get(e.first_sequence),
				le64_get(e.json_offset)},
			.file_offset = le64_get(e.file_offset),
			.arrival_ms = le64_get(e.arrival_ms),
			.stored_bytes = le32_get(e.stored_bytes),
			.flags = le32_get(e.flags),
		};
		bool first = i == 0;
		if (first ? item->start.offset != text : item->start.offset <= text)
			return -EBADMSG;
		if (item->file_offset != file || item->flags & INDEX_DAMAGED)
			return -EBADMSG;
		if (item->start.json_offset < json)
			return -EBADMSG;
		text = item->start.offset;
		json = item->start.json_offset;
		file += item->stored_bytes;
	}
	bool ends = text < index->end.at.offset && file == index->end.file_offset &&
		    json <= index->end.at.json_offset;
	return ends ? 0 : -EBADMSG;
}

int index_load(const struct disk *disk, int dir, const char *name, uint64_t owner, int segment_fd,
	uint64_t segment_bytes, uint64_t base_offset, struct index *ret_index)
{
	enum { FILE_MAX = 256 << 20 };
	_cleanup_free_ char *file = NULL;
	size_t bytes;
	int r = disk_slurp(disk, dir, name, FILE_MAX, &file, &bytes);
	if (r < 0)
		return r == -EFBIG ? -EBADMSG : r;
	struct index_header h;
	if (bytes < sizeof h)
		return -EBADMSG;
	memcpy(&h, file, sizeof h);
	size_t count = le32_get(h.entry_count);
	const char *entries = file + sizeof h;
	if (le32_get(h.magic) != FORMAT_INDEX_MAGIC || le64_get(h.owner) != owner ||
		le64_get(h.segment_bytes) != segment_bytes || !count ||
		bytes - sizeof h != count * sizeof(struct index_entry) ||
		le64_get(h.hash) != index_hash(&h, entries, bytes - sizeof h))
		return -EBADMSG;
	struct index index = {
		.end =
			{
				.at = {le64_get(h.end_offset), le64_get(h.end_sequence),
					le64_get(h.end_json_offset)},
				.file_offset = segment_bytes,
				.arrival_ms = le64_get(h.last_arrival_ms),
				.header_hash = le64_get(h.last_header_hash),
			},
		.first_header_hash = le64_get(h.first_header_hash),
	};
	if (vector_resize(&index, count) < 0)
		return -ENOMEM;
	r = load_items(entries, &index, base_offset);
	if (r == 0)
		r = check_chunk(disk, segment_fd, 0, index.first_header_hash);
	if (r == 0)
		r = check_chunk(disk, segment_fd, index.items[count - 1].file_offset,
			index.end.header_hash);
	if (r < 0) {
		index_fini(&index);
		return r;
	}
	*ret_index = index;
	return 0;
}
