/* SPDX-License-Identifier: MIT */
#include "retention.h"

#include "cleanup.h"
#include "clock.h"
#include "lock.h"
#include "shard.h"
#include "since.h"
#include "stream.h"
#include "trace.h"
#include "trim.h"

/* Text that arrived at or after a time, in all shards that can be read. */
static int bytes_since(const struct shard_list *shards, uint64_t ms, uint64_t *ret_bytes)
{
	uint64_t bytes = 0;
	for (size_t i = 0; i < shards->count; i++) {
		uint64_t offset;
		int r = shard_open(shards->items[i]);
		if (r == 0)
			r = shard_since(shards->items[i], ms, &offset);
		if (r == -ENOMEM)
			return r;
		if (r < 0)
			continue;
		uint64_t size = sfs_shard_size(shards->items[i]);
		bytes += size > offset ? size - offset : 0;
	}
	*ret_bytes = bytes;
	return 0;
}

/*
 * A time since which at least `limit` bytes came, and not many more: what is older can go. A step
 * of the search may decode a chunk of each shard, so it ends a little above the limit.
 */
static int time_of_bytes(
	const struct shard_list *shards, uint64_t limit, uint64_t now_ms, uint64_t *ret_ms)
{
	enum { SLACK = 128 };
	uint64_t low = 0, high = now_ms + 1;
	while (high - low > 1) {
		uint64_t middle = low + (high - low) / 2, bytes;
		int r = bytes_since(shards, middle, &bytes);
		if (r < 0)
			return r;
		if (bytes < limit) {
			high = middle;
			continue;
		}
		low = middle;
		if (bytes - limit <= limit / SLACK)
			break;
	}
	*ret_ms = low;
	return 0;
}

/* Sums of the ends and of the horizons of those that can be opened. */
static void sum_shards(const struct shard_list *shards, uint64_t *ret_ends, uint64_t *ret_horizons)
{
	*ret_ends = *ret_horizons = 0;
	for (size_t i = 0; i < shards->count; i++) {
		if (shard_open(shards->items[i]) < 0)
			continue;
		SCOPED_LOCK(&shards->items[i]->lock);
		*ret_ends += shards->items[i]->end.offset;
		*ret_horizons += shards->items[i]->horizon.offset;
	}
}

static int trim_before(struct sfs_stream *stream, uint64_t ms)
{
	const struct trim_position position = {.kind = TRIM_TIME, .value = ms};
	return ms ? trim_stream(stream, &position, NULL) : 0;
}

/* Does nothing for a stream in which nothing came or went since it last did all. */
static int retain_bytes(struct sfs_stream *stream, const struct shard_list *shards, uint64_t limit)
{
	uint64_t ends, horizons, ends_now, ms;
	struct retained *last = &stream->retained;
	ASSERT_LOCKED(&stream->retain_lock);
	sum_shards(shards, &ends, &horizons);
	bool same =
		ends == last->end_bytes && limit == last->limit && horizons == last->horizon_bytes;
	if (same || ends - horizons <= limit)
		return 0;
	int r = time_of_bytes(shards, limit, clock_wall_ms(), &ms);
	if (r == 0)
		r = trim_before(stream, ms);
	if (r < 0)
		return r;
	TRACE(trim, "stream %llu: retention of %llu bytes trims before time %llu ms",
		(unsigned long long)stream->id, (unsigned long long)limit, (unsigned long long)ms);
	sum_shards(shards, &ends_now, &horizons);
	/* `ends`, not `ends_now`: what came meanwhile is for the next time. */
	*last = (struct retained){.end_bytes = ends, .horizon_bytes = horizons, .limit = limit};
	return 0;
}

static int retain_by_bytes(struct sfs_stream *stream, uint64_t limit)
{
	struct shard_list shards = {0};
	int r = shard_table_copy(stream, &shards);
	if (r == 0)
		r = retain_bytes(stream, &shards, limit);
	vector_fini(&shards);
	return r;
}

static void retention_settings(struct sfs_stream *stream, uint64_t *ret_hours, uint64_t *ret_bytes)
{
	SCOPED_RDLOCK(&stream->home.lock);
	*ret_hours = stream->home.settings.retention_hours;
	*ret_bytes = stream->home.settings.retention_bytes;
}

int retention_apply(struct sfs_stream *stream)
{
	static const uint64_t hour_ms = 3600 * 1000;
	SCOPED_LOCK(&stream->retain_lock);
	uint64_t hours, bytes, now_ms = clock_wall_ms();
	retention_settings(stream, &hours, &bytes);
	int by_hours = 0, by_bytes = 0;
	if (hours && hours < now_ms / hour_ms)
		by_hours = trim_before(stream, now_ms - hours * hour_ms);
	if (bytes)
		by_bytes = retain_by_bytes(stream, bytes);
	return by_hours < 0 ? by_hours : by_bytes;
}
