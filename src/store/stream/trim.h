/* SPDX-License-Identifier: MIT */
/*
 * Trimming: moving the horizons of a stream's shards. A horizon is a position at which a record
 * begins; what is before it is gone. What always holds:
 *
 *   1. A horizon never moves back, and never past the end.
 *   2. It stands durably in the shard's watermark before a read or a file shows it.
 *   3. A read below it returns -ESTALE. No record at or above it is touched.
 *   4. Trims of one stream go one after the other (change_lock).
 *
 * The steps, of which a crash leaves the first ones done:
 *
 *   1. the shard is synced, and the new horizon stands in its watermark, durably (syncer.c)
 *   2. the horizon is published: reads below it return -ESTALE
 *   3. segments that are wholly below it are removed; recovery removes those that it finds
 *   4. a closed shard of which nothing is left leaves the table (emptied_shards.h)
 */
#ifndef STREAM_TRIM_H
#define STREAM_TRIM_H

#include "trim_position.h"

struct sfs_stream;

/* sfs_stream_trim(), with the position parsed. Then wakes views and has the blobs swept. */
int trim_stream(
	struct sfs_stream *stream, const struct trim_position *position, struct sfs_diag *diag);

#endif
