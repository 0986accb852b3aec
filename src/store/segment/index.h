/* SPDX-License-Identifier: MIT */
/*
 * The index of one segment: where each chunk is. It is derived from the segment and can always be
 * made again. A sealed segment's index is kept in a file beside the segment.
 *
 * Invariants:
 *   1. Items rise in text and in the file, and leave no hole: an item ends where the next one
 *      starts, and the last one at `end`. Text that cannot be read is an item too, a gap.
 *   2. The text of an item is never empty.
 *   3. `end.file_offset` is the byte behind the last good chunk; a gap does not move it.
 *   4. An index file is believed only if it fits the segment: its owner, its size, the checksums of
 *      its first and last chunk. It holds no gaps.
 *
 * An index has no lock: the owner of its segment guards it.
 */
#ifndef STORE_INDEX_H
#define STORE_INDEX_H

#include "chunk.h"
#include "disk.h"
#include "position.h"
#include "streamfs/store.h"
#include "vector.h"

struct index_item {
	struct position start;
	uint64_t file_offset;
	uint64_t arrival_ms;
	uint32_t stored_bytes; /* 0 in a damaged gap */
	uint32_t flags;	       /* enum index_flag */
};

/* Where the next chunk goes, and what the last one was. */
struct index_end {
	struct position at;
	uint64_t file_offset; /* behind the last good chunk */
	uint64_t arrival_ms;
	uint64_t header_hash;
};

struct index {
	VECTOR(, struct index_item); /* unnamed: an index is itself a vector of its items */
	struct index_end end;
	uint64_t first_header_hash;
};

/* An empty index of a segment that begins at `start`. */
void index_init(struct index *index, struct position start);
void index_fini(struct index *index);
/* Adds a chunk that stands at file_offset. 0 or -ENOMEM. */
int index_add(struct index *index, const struct chunk *chunk, uint64_t file_offset);
/* Adds a damaged gap that ends at `end`. 0 or -ENOMEM. */
int index_add_gap(struct index *index, uint64_t file_offset, struct position end);
/* Goes back to the first `count` items and the end that they had: undoes index_add(). */
void index_cut(struct index *index, size_t count, const struct index_end *end);
/* The item that holds a text offset below the index's end. */
size_t index_find(const struct index *index, uint64_t text_offset);
/*
 * The item that holds a JSON offset below the index's end: the one in which the record of that line
 * ends, or the gap. index_record_start() finds the item in which the record begins.
 */
size_t index_find_json(const struct index *index, uint64_t json_offset);
/* The item in which the first record of item `i` begins; a gap, if that is where it began. */
size_t index_record_start(const struct index *index, size_t i);
static inline uint64_t index_item_json_end(const struct index *index, size_t i)
{
	return i + 1 < index->count ? index->items[i + 1].start.json_offset
				    : index->end.at.json_offset;
}
static inline uint64_t index_item_end(const struct index *index, size_t i)
{
	return i + 1 < index->count ? index->items[i + 1].start.offset : index->end.at.offset;
}

/* Replaces the index file; not durable. The index has items, and no gaps. */
int index_save(const struct disk *disk, int dir, const char *name, uint64_t owner,
	const struct index *index);
/*
 * Loads the index of the segment `segment_fd`. -ENOENT: there is no file. -EBADMSG: it is damaged,
 * or does not fit the segment (invariant 4).
 */
int index_load(const struct disk *disk, int dir, const char *name, uint64_t owner, int segment_fd,
	uint64_t segment_bytes, uint64_t base_offset, struct index *ret_index);

#endif
