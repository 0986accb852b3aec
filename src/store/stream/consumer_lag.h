/* SPDX-License-Identifier: MIT */
/* How far consumers are behind. */
#ifndef STREAM_CONSUMER_LAG_H
#define STREAM_CONSUMER_LAG_H

#include "streamfs/consumer.h"

/* In one shard. */
struct consumer_lag {
	uint32_t shard;
	uint64_t offset; /* the checkpoint */
	uint64_t records, bytes;
	double seconds; /* since the first record came that it has not processed; 0: none */
};

/*
 * Calls `each` for every consumer and every shard that can be read. A non-zero return ends it and
 * is the result. For a damaged consumer there is one call, with lag NULL.
 */
int consumer_lag_each(struct sfs_stream *stream,
	int (*each)(void *context, const char *name, const struct consumer_lag *lag),
	void *context);

#endif
