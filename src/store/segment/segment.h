/* SPDX-License-Identifier: MIT */
/*
 * A segment: one file of chunks with its index.
 *
 * Invariants:
 *   1. A sealed segment never changes. Merging makes a new file and a new object.
 *   2. The active segment of a shard grows; the shard's lock guards its index.
 *   3. The file's name is the text offset of its first byte, in 20 digits.
 *   4. Each chunk names its owner and its text offset. A chunk that is out of place is never taken
 *      for one of the segment.
 */
#ifndef STORE_SEGMENT_H
#define STORE_SEGMENT_H

#include "index.h"

#include <stdatomic.h>
#include <stdbool.h>

struct segment {
	atomic_uint refs;
	uint64_t uid;	      /* unlike that of every other object of this process */
	uint64_t base_offset; /* text offset of its first byte */
	int fd;
	struct index index;
	atomic_bool unindexed; /* has no index file yet */
};

/* "<shard directory>/<base as 20 digits><suffix>" */
enum { SEGMENT_NAME_MAX = 64 };
#define SEGMENT_SUFFIX ".lz4"
#define INDEX_SUFFIX ".idx"
/* Parses the base offset in a segment's file name. -EINVAL: no such name. */
int segment_parse_name(const char *name, uint64_t *ret_base_offset);

/* Takes over the descriptor and, by value, the index. NULL: no memory; then it owns nothing. */
struct segment *segment_new(uint64_t base_offset, int fd, const struct index *index);
struct segment *segment_ref(struct segment *segment);
void segment_unref(struct segment *segment); /* NULL is fine */

/* What walking the chunk headers of a segment found. */
struct scan {
	struct index index; /* good chunks and the gaps between them */
	uint64_t file_bytes;
	uint64_t synced_offset; /* the greatest in any chunk's header */
	uint64_t gap_count;
	uint64_t gap_bytes; /* text */
	bool tail_damaged;  /* there are bytes behind the last good chunk */
	bool open_record;   /* the last chunk's record has no end */
};

/*
 * Walks the chunks of a segment file. A chunk that ends at or below `verified_offset` is good if
 * its header is; above it, the contents are checked too. Behind a bad chunk the scan looks for the
 * next good one of the same owner and notes a gap. Damage is no error: -errno is the disk's,
 * -ENOMEM, or -EPROTONOSUPPORT.
 */
int segment_scan(const struct disk *disk, int fd, uint64_t owner, uint64_t base_offset,
	uint64_t verified_offset, struct scan *ret_scan);

/*
 * Checks that the stored bytes of an item, item->stored_bytes of them, begin with the header that
 * fits the item. The frame and the meta are not checked. -EBADMSG.
 */
int segment_check_chunk(const struct index_item *item, uint64_t owner, uint64_t text_bytes,
	const void *stored, struct chunk *ret_chunk);

/* The stored meta and, behind it, the frame match the checksums in the chunk's header. */
bool segment_content_sound(const struct chunk *chunk, const void *content);

static inline const void *chunk_meta_of(const void *stored)
{
	return (const char *)stored + sizeof(struct chunk_header);
}
static inline const void *chunk_frame_of(const struct chunk *chunk, const void *stored)
{
	return (const char *)stored + sizeof(struct chunk_header) + chunk->meta_bytes;
}

#endif
