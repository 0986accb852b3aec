/* SPDX-License-Identifier: MIT */
/*
 * A segment: one file of chunks with its index. A sealed segment never changes (merging makes a
 * new file and a new object); the last one of a shard grows under the shard's lock.
 */
#ifndef STORE_SEGMENT_H
#define STORE_SEGMENT_H

#include "index.h"

#include <stdatomic.h>
#include <stdbool.h>

struct segment {
	atomic_uint refs;
	uint64_t uid;	      /* unlike that of every other object of this process */
	uint64_t base_offset; /* text offset of the first byte; the file's name */
	int fd;
	struct index index;
	atomic_bool unindexed; /* has no index file yet */
};

/* "<shard directory>/<base as 20 digits><suffix>" */
enum { SEGMENT_NAME_MAX = 64 };
#define SEGMENT_SUFFIX ".lz4"
#define INDEX_SUFFIX ".idx"
/* Reads the base offset out of a segment's file name. -EINVAL: not such a name. */
int segment_parse_name(const char *name, uint64_t *ret_base_offset);

/* Takes over the descriptor and, by value, the index. NULL: no memory; then it owns nothing. */
struct segment *segment_new(uint64_t base_offset, int fd, const struct index *index);
struct segment *segment_ref(struct segment *segment);
void segment_unref(struct segment *segment); /* NULL is fine */

/* What walking the chunk headers of a segment found. */
struct scan {
	struct index index; /* good chunks and the gaps between them */
	uint64_t file_bytes;
	uint64_t synced_offset; /* greatest that any chunk tells */
	uint64_t gap_count;
	uint64_t gap_bytes; /* text */
	bool tail_damaged;  /* bytes behind the last good chunk are no chunk */
	bool open_record;   /* the last chunk's record has no end */
};

/*
 * Walks the chunk headers of a segment file. Chunks that end at or below `verified_offset` are
 * taken by their headers; of those above it the contents are checked too. Where a chunk is bad it
 * looks for the next good one of the same owner and notes a gap. -errno only for the disk's
 * errors, -ENOMEM, and -EPROTONOSUPPORT.
 */
int segment_scan(const struct disk *disk, int fd, uint64_t owner, uint64_t base_offset,
	uint64_t verified_offset, struct scan *ret_scan);

/*
 * Checks that the stored bytes of an indexed chunk (item->stored_bytes of them) begin with the
 * header that the index tells of; the frame and the meta are left to chunk_decode...(). -EBADMSG.
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
