/* SPDX-License-Identifier: MIT */
/*
 * The chunk at a text offset, and its neighbours. This is the one search by offset: reads, cursors,
 * views and horizons use it. It returns copies of the index's items, because the index of the
 * active segment grows, and merging replaces the others.
 *
 * The shard is open. Any thread may call; shard.lock is taken for a moment.
 */
#ifndef SHARD_SPAN_H
#define SHARD_SPAN_H

#include "shard.h"

/* Neighbouring chunks of one segment, as its index has them. */
enum { SPAN_ITEMS = 64 };
struct span {
	struct segment *segment; /* counted; the span's holder gives it back, whatever came of it */
	uint64_t limit; /* text offset at which the next segment begins, or the shard's size */
	size_t count;
	struct index_item items[SPAN_ITEMS];
	uint64_t ends[SPAN_ITEMS]; /* text offset behind each */
	uint64_t json_end;	   /* JSON offset behind the first */
};
/*
 * The published chunks that hold [offset, end), at most a span of them.
 *   -ENODATA  at or behind the end
 *   -ESTALE   below the horizon
 *   -EBADMSG  no segment has the text, nor any up to span->limit
 */
int shard_span(struct sfs_shard *shard, uint64_t offset, uint64_t end, struct span *span);
/* Counts chunk i of a span as damaged, and reports it the first time. Returns -EBADMSG. */
int shard_note_damage(struct sfs_shard *shard, const struct span *span, size_t i);

/* Where a chunk is. */
struct chunk_place {
	struct segment *segment; /* counted */
	struct index_item item;
	uint64_t end;	   /* text offset behind it */
	uint64_t json_end; /* JSON offset behind it */
};
/* The chunk that holds a text offset. Errors as of shard_span(). */
int shard_chunk_at(struct sfs_shard *shard, uint64_t offset, struct chunk_place *ret_place);

#endif
