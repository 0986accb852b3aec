/* SPDX-License-Identifier: MIT */
/* A stream's figures as JSON. */
#include "cleanup.h"
#include "consumer_lag.h"
#include "shard_name.h"
#include "stream.h"

#include <errno.h>
#include <string.h>

static const char *const state_names[] = {
	[SFS_SHARD_OPEN] = "open", [SFS_SHARD_CLOSED] = "closed", [SFS_SHARD_FAILED] = "failed"};

static double ratio(uint64_t text, uint64_t stored)
{
	return stored ? (double)text / (double)stored : 1.0;
}

static json_t *parents_to_json(const struct sfs_shard *shard)
{
	json_t *parents = json_array();
	for (uint32_t i = 0; i < shard->parent_count; i++)
		json_array_append_new(parents, json_sprintf(SHARD_NAME_FORMAT, shard->parents[i]));
	return parents;
}

static json_t *shard_stats(const struct sfs_shard *shard, const struct sfs_shard_info *info)
{
	char name[32];
	snprintf(name, sizeof name, SHARD_NAME_FORMAT, info->number);
	uint64_t retained = info->size_bytes - info->horizon_offset;
	return json_pack("{s:s,s:s,s:{s:s,s:s},s:o,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:f}", "name",
		name, "state", state_names[info->state], "hash_range", "first", info->hash_first,
		"last", info->hash_last, "parents", parents_to_json(shard), "size_bytes",
		(json_int_t)info->size_bytes, "horizon_offset", (json_int_t)info->horizon_offset,
		"sequence_first", (json_int_t)info->first_sequence, "sequence_next",
		(json_int_t)info->next_sequence, "synced_offset", (json_int_t)info->synced_offset,
		"last_arrival_ms", (json_int_t)info->last_arrival_ms, "stored_bytes",
		(json_int_t)info->stored_bytes, "damaged_bytes",
		(json_int_t)info->quarantined_bytes, "ratio", ratio(retained, info->stored_bytes));
}

struct totals {
	uint64_t records, bytes, stored;
};

static int add_shard(
	struct sfs_stream *stream, uint32_t number, json_t *shards, struct totals *totals)
{
	struct sfs_shard *shard;
	int r = sfs_stream_shard(stream, number, &shard);
	if (r < 0) {
		json_t *broken = json_pack("{s:o,s:s}", "name",
			json_sprintf(SHARD_NAME_FORMAT, number), "state", "unreadable");
		return json_array_append_new(shards, broken) < 0 ? -ENOMEM : 0;
	}
	struct sfs_shard_info info;
	sfs_shard_info(shard, &info);
	int added = json_array_append_new(shards, shard_stats(shard, &info));
	sfs_shard_unref(shard);
	totals->records += info.next_sequence - info.first_sequence;
	totals->bytes += info.size_bytes - info.horizon_offset;
	totals->stored += info.stored_bytes;
	return added < 0 ? -ENOMEM : 0;
}

/* {"name", "checkpoints": […]}; `list` is the consumers so far, one after the other. */
static int add_lag(void *context, const char *name, const struct consumer_lag *lag)
{
	json_t *list = context, *last = json_array_get(list, json_array_size(list) - 1);
	const char *last_name = json_string_value(json_object_get(last, "name"));
	if (!last_name || strcmp(last_name, name)) {
		last = json_pack("{s:s,s:s,s:[]}", "name", name, "state", lag ? "sound" : "damaged",
			"checkpoints");
		if (!last || json_array_append_new(list, last) < 0)
			return -ENOMEM;
	}
	if (!lag)
		return 0;
	json_t *entry = json_pack("{s:o,s:I,s:I,s:I,s:f}", "shard",
		json_sprintf(SHARD_NAME_FORMAT, lag->shard), "offset", (json_int_t)lag->offset,
		"lag_records", (json_int_t)lag->records, "lag_bytes", (json_int_t)lag->bytes,
		"lag_seconds", lag->seconds);
	return json_array_append_new(json_object_get(last, "checkpoints"), entry) < 0 ? -ENOMEM : 0;
}

static char *dump(json_t *stats, size_t *ret_bytes)
{
	char *text = stats ? json_dumps(stats, JSON_INDENT(2) | JSON_REAL_PRECISION(6)) : NULL;
	json_decref(stats);
	if (!text)
		return NULL;
	*ret_bytes = strlen(text) + 1;
	text[*ret_bytes - 1] = '\n';
	return text;
}

int sfs_stream_stats(struct sfs_stream *stream, char **ret_json, size_t *ret_bytes)
{
	_cleanup_free_ uint32_t *numbers = NULL;
	size_t count;
	int r = sfs_stream_shards(stream, &numbers, &count);
	if (r < 0)
		return r;
	json_t *shards = json_array();
	struct totals totals = {0};
	for (size_t i = 0; r == 0 && i < count; i++)
		r = add_shard(stream, numbers[i], shards, &totals);
	json_t *consumers = json_array();
	if (r == 0)
		r = consumer_lag_each(stream, add_lag, consumers);
	char name[SFS_NAME_MAX + 1];
	sfs_stream_name(stream, name);
	const struct stream_metrics *m = &stream->home.metrics;
	json_t *stats = json_pack("{s:s,s:I,s:I,s:I,s:I,s:f,s:{s:I,s:I,s:I,s:I,s:I,s:I},s:o,s:o}",
		"stream", name, "id", (json_int_t)stream->id, "records", (json_int_t)totals.records,
		"bytes", (json_int_t)totals.bytes, "stored_bytes", (json_int_t)totals.stored,
		"ratio", ratio(totals.bytes, totals.stored), "since_mount", "records",
		(json_int_t)metric_get(&m->records), "bytes_in",
		(json_int_t)metric_get(&m->bytes_in), "bytes_stored",
		(json_int_t)metric_get(&m->bytes_stored), "records_without_key",
		(json_int_t)metric_get(&m->keyless), "records_refused",
		(json_int_t)metric_get(&m->rejected), "claim_checks",
		(json_int_t)metric_get(&m->claims), "shards", shards, "consumers", consumers);
	size_t bytes = 0;
	char *text = dump(stats, &bytes);
	if (r == 0 && !text)
		r = -ENOMEM;
	if (r < 0) {
		free(text);
		return r;
	}
	*ret_json = text;
	*ret_bytes = bytes;
	return 0;
}
