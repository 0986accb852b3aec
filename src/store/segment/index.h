/* SPDX-License-Identifier: MIT */
/*
 * The index of one segment: where each chunk is. It is derived from the segment and can always be
 * made again; a sealed segment's is kept in a file beside it, whose every use is checked against
 * the segment.
 */
#ifndef STORE_INDEX_H
#define STORE_INDEX_H

#include "chunk.h"
#include "disk.h"
#include "streamfs/store.h"

struct index_item {
	uint64_t text_offset;
	uint64_t file_offset;
	uint64_t first_sequence;
	uint64_t json_offset;
	uint64_t arrival_ms;
	uint32_t stored_bytes; /* 0 in a damaged gap */
	uint32_t flags;	       /* enum index_flag */
};

struct index {
	struct index_item *items; /* rising text_offset, no gaps: an item ends where the next starts */
	size_t count, capacity;
	uint64_t end_offset;	  /* text behind the last item */
	uint64_t end_sequence;
	uint64_t end_json_offset;
	uint64_t end_file_offset; /* behind the last good chunk */
	uint64_t last_arrival_ms;
	uint64_t first_header_hash, last_header_hash;
};

void index_init(struct index *index, uint64_t base_offset, uint64_t base_sequence);
void index_fini(struct index *index);
/* Adds a chunk that stands at file_offset. 0 or -ENOMEM. */
int index_add(struct index *index, const struct chunk *chunk, uint64_t file_offset);
/*
 * Adds a damaged gap up to text offset `end_offset`, where the record `end_sequence` and the JSON
 * from `end_json_offset` on begin.
 */
int index_add_gap(struct index *index, uint64_t file_offset, uint64_t end_offset,
	uint64_t end_sequence, uint64_t end_json_offset);
/* The item that holds a text offset below end_offset. */
size_t index_find(const struct index *index, uint64_t text_offset);
/*
 * The item that holds a JSON offset below end_json_offset: the one in which the record of that
 * line ends (it begins in this item, or in the one that index_record_start() tells), or the gap.
 */
size_t index_find_json(const struct index *index, uint64_t json_offset);
/* The item in which the first record of item `i` begins; a gap, if that is where it began. */
size_t index_record_start(const struct index *index, size_t i);
static inline uint64_t index_item_json_end(const struct index *index, size_t i)
{
	return i + 1 < index->count ? index->items[i + 1].json_offset : index->end_json_offset;
}
static inline uint64_t index_item_end(const struct index *index, size_t i)
{
	return i + 1 < index->count ? index->items[i + 1].text_offset : index->end_offset;
}

int index_save(const struct disk *disk, int dir, const char *name, uint64_t owner,
	const struct index *index);
/*
 * -ENOENT, or -EBADMSG if the file is damaged or is not of this segment: of this owner, this file
 * size, and with these first and last chunks (whose headers it reads from `segment_fd`).
 */
int index_load(const struct disk *disk, int dir, const char *name, uint64_t owner, int segment_fd,
	uint64_t segment_bytes, uint64_t base_offset, struct index *ret_index);

#endif
