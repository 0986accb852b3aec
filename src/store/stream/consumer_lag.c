/* SPDX-License-Identifier: MIT */
#include "consumer_lag.h"

#include "buf.h"
#include "checkpoints.h"
#include "cleanup.h"
#include "clock.h"
#include "locate.h"
#include "shard.h"
#include "stream.h"

#include <errno.h>
#include <string.h>

static void measure(struct sfs_shard *shard, const struct checkpoint *at, struct consumer_lag *lag)
{
	pthread_mutex_lock(&shard->lock);
	uint64_t size = shard->end.offset, next = shard->end.sequence;
	uint64_t offset = shard->horizon.offset, sequence = shard->horizon.sequence;
	pthread_mutex_unlock(&shard->lock);
	if (at->offset > offset) {
		offset = at->offset;
		sequence = at->sequence;
	}
	*lag = (struct consumer_lag){.shard = shard->number, .offset = at->offset};
	if (offset >= size)
		return;
	uint64_t arrival_ms, now = clock_wall_ms();
	lag->bytes = size - offset;
	lag->records = next - sequence;
	if (shard_arrival_at(shard, offset, sequence, &arrival_ms) == 0 && now > arrival_ms)
		lag->seconds = (double)(now - arrival_ms) / 1000;
}

/* A shard that cannot be read has no figures. */
static int pass_shard(struct sfs_stream *stream, const char *name, uint32_t number,
	int (*each)(void *context, const char *name, const struct consumer_lag *lag), void *context)
{
	struct sfs_shard *shard;
	struct checkpoint at;
	struct consumer_lag lag;
	if (sfs_stream_shard(stream, number, &shard) < 0)
		return 0;
	int r = checkpoint_read(stream, name, number, &at);
	if (r == 0)
		measure(shard, &at, &lag);
	sfs_shard_unref(shard);
	if (r == -ENOENT)
		return 0;
	return r < 0 ? r : each(context, name, &lag);
}

int consumer_lag_each(struct sfs_stream *stream,
	int (*each)(void *context, const char *name, const struct consumer_lag *lag), void *context)
{
	_cleanup_(buf_fini) struct buf names = {0};
	_cleanup_free_ uint32_t *numbers = NULL;
	size_t count = 0;
	int r = consumers_names(stream, &names);
	if (r == 0 && names.size)
		r = sfs_stream_shards(stream, &numbers, &count);
	const char *name = (const char *)names.data;
	for (size_t at = 0; r == 0 && at < names.size; at += strlen(name + at) + 1) {
		struct checkpoint any;
		int bad = checkpoint_read(stream, name + at, 0, &any);
		if (bad < 0 && bad != -ENOENT)
			r = each(context, name + at, NULL);
		for (size_t i = 0; bad == 0 && r == 0 && i < count; i++)
			r = pass_shard(stream, name + at, numbers[i], each, context);
	}
	return r;
}
