/* SPDX-License-Identifier: MIT */
/*
 * Trimming. A shard's horizon is a place at which a record begins; what is before it is gone. The
 * steps of moving it, of which a crash leaves the first ones done:
 *
 *   1. the shard is synced and the new horizon stands in its watermark, durably (syncer.c)
 *   2. it is published: reads below it answer -ESTALE
 *   3. segments that are wholly below it are removed; so does recovery with those it finds
 *   4. a closed shard of which nothing is left leaves the table of shards
 */
#ifndef STORE_TRIM_H
#define STORE_TRIM_H

#include "shard.h"

/* Trims the stream as its settings for retention say. For the tidier. */
int stream_retain(struct sfs_stream *stream);

#endif
