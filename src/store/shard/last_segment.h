/* SPDX-License-Identifier: MIT */
/* The last segment of a shard as recovery finds it: what its end is, and what becomes of it. */
#ifndef SHARD_LAST_SEGMENT_H
#define SHARD_LAST_SEGMENT_H

#include "segment.h"

struct sfs_shard;

enum segment_end {
	END_WHOLE,   /* the last good chunk ends the file */
	END_TORN,    /* bytes behind the last good chunk, never durable: an unfinished write */
	END_LOST,    /* text below the watermark is missing: damage */
	END_TRIMMED, /* all text is below the horizon; later segments were trimmed before it */
	END_FOREIGN, /* the chunks are another shard's */
};

struct last_segment {
	uint64_t base;
	int fd;
	struct scan scan; /* of END_LOST with a gap at the end, up to the watermark, once settled */
	enum segment_end end;
};

/*
 * Opens segment `base`, walks its chunks and judges its end. Changes nothing on the disk. Release
 * with last_segment_fini(), whatever the result.
 */
int last_segment_open(struct sfs_shard *shard, uint64_t base, struct last_segment *ret_last);
void last_segment_fini(struct last_segment *last);

/*
 * Does what the end calls for: cuts a torn tail, notes what is lost; reports damage. -EBADMSG: the
 * segment is foreign. Then `scan.index` is what counts of it: nothing, if it has no items.
 */
int last_segment_settle(struct sfs_shard *shard, struct last_segment *last);

/*
 * The end of the segment becomes the end of the shard. The segment becomes the active one; a sealed
 * one where the shard is closed, or where its end is lost.
 */
int last_segment_adopt(struct sfs_shard *shard, struct last_segment *last);

#endif
