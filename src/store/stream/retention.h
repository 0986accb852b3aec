/* SPDX-License-Identifier: MIT */
/* Trimming by itself: what is older than a stream's settings retain, or more than they do. */
#ifndef STREAM_RETENTION_H
#define STREAM_RETENTION_H

#include <stdint.h>

struct sfs_stream;

/* What retention by bytes last left behind. Guarded by the stream's retain_lock. */
struct retained {
	uint64_t end_bytes, horizon_bytes; /* sums over the shards */
	uint64_t limit;			   /* the setting at that time */
};

/* Trims the stream as its settings say. Blocks. The tidier calls it. */
int retention_apply(struct sfs_stream *stream);

#endif
