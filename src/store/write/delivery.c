/* SPDX-License-Identifier: MIT */
#include "delivery.h"

#include "cleanup.h"
#include "lock.h"
#include "records.h"
#include "shard.h"
#include "store.h"
#include "stream_blobs.h"
#include "trace.h"

#include <string.h>

/* How far into a line under way that waited in a file its key is looked for. */
enum { KEY_REACH_BYTES = 4 << 20 };

struct delivery {
	struct sfs_writer *writer;
	struct workspace *workspace;
	size_t spread_route; /* of this write's records without a key */

	/* The line under way, when the write has ended it: */
	struct batch *head_batch; /* of its shard; NULL: there is none */
	bool head_appended;
	bool is_long; /* it is `long_record`, which comes before the batch */
	struct long_record long_record;
};

static const struct settings *settings_of(const struct delivery *delivery)
{
	return &delivery->writer->stream->home.settings;
}

static const struct disk *disk_of(const struct delivery *delivery)
{
	return &delivery->writer->stream->store->env.disk;
}

/* ---- keys and routes ---- */

static bool keys_are_in_records(const struct sfs_writer *writer)
{
	return writer->target == TARGET_PUT &&
	       writer->stream->home.settings.key.kind != KEY_RULE_NONE;
}

/* The key lies in the line, in `scratch` or in the writer. */
static struct key_text find_key(
	const struct delivery *delivery, const char *line, size_t bytes, char *scratch)
{
	struct sfs_writer *writer = delivery->writer;
	struct key_text key = {writer->key, writer->key_bytes};
	if (!keys_are_in_records(writer))
		return key;
	const struct key_rule *rule = &settings_of(delivery)->key;
	if (key_rule_find(rule, line, bytes, scratch, &key.data, &key.bytes) < 0)
		metric_add(&writer->stream->home.metrics.keyless, 1);
	return key;
}

/*
 * The key of the line under way, of which the first `reach` bytes are at hand. A key that ends
 * where they end may go on behind them, and is none. The key outlives the line: it lies in
 * `scratch` or in the writer.
 */
static struct key_text find_head_key(const struct delivery *delivery, const char *line,
	size_t reach, uint64_t line_bytes, char *scratch)
{
	struct sfs_writer *writer = delivery->writer;
	struct key_text key = find_key(delivery, line, reach, scratch);
	if (!key.bytes || key.data == scratch || key.data == writer->key)
		return key;
	if (reach < line_bytes && key.data + key.bytes + 1 >= line + reach) {
		metric_add(&writer->stream->home.metrics.keyless, 1);
		return (struct key_text){0};
	}
	memcpy(scratch, key.data, key.bytes);
	key.data = scratch;
	return key;
}

static size_t route_of(const struct delivery *delivery, struct key_text key)
{
	return key.bytes ? stream_route(delivery->writer->stream, key.data, key.bytes)
			 : delivery->spread_route;
}

static struct batch *batch_for(struct delivery *delivery, struct key_text key)
{
	struct sfs_writer *writer = delivery->writer;
	if (writer->target == TARGET_SHARD)
		return workspace_shard_batch(delivery->workspace, writer->shard);
	return workspace_batch(
		delivery->workspace, &writer->stream->table.routes, route_of(delivery, key));
}

/* ---- line by line: into batches ---- */

static int add_claimed(struct delivery *delivery, struct batch *batch, struct key_text key,
	const struct payload *payload)
{
	struct claim claim;
	int r = workspace_put_blob(delivery->workspace, delivery->writer->stream, payload, &claim);
	return r < 0 ? r : batch_add_claim(batch, key, &claim);
}

/* Completes the line under way with what the write has of it. */
static int finish_pending(struct sfs_writer *writer, const char *end, size_t end_bytes)
{
	struct sfs_stream *stream = writer->stream;
	struct payload *pending = &writer->pending;
	int r = payload_fits(pending, pending->size_bytes + end_bytes)
			? 0
			: stream_blobs_open(stream, true);
	return r < 0 ? r
		     : payload_append(pending, &stream->store->env.disk, stream->blobs.dir, end,
			       end_bytes);
}

/* The long record keeps its key in the workspace, where it outlives this call. */
static int set_long_record(struct delivery *delivery, struct key_text key)
{
	struct buf *kept = &delivery->workspace->head;
	const struct payload *pending = &delivery->writer->pending;
	kept->size = 0;
	int r = buf_append(kept, key.data, key.bytes);
	delivery->is_long = true;
	delivery->long_record = (struct long_record){
		pending, pending->size_bytes, {(const char *)kept->data, key.bytes}};
	return r;
}

/* The line under way, whole by now. `line`: its first bytes, if they are needed here. */
static int add_head_record(
	struct delivery *delivery, struct batch *batch, struct key_text key, const char *line)
{
	const struct payload *pending = &delivery->writer->pending;
	if (settings_wants_claim_check(settings_of(delivery), pending->size_bytes))
		return add_claimed(delivery, batch, key, pending);
	if (pending->size_bytes < CHUNK_TEXT_TARGET)
		return batch_add(batch, key, line, pending->size_bytes);
	return set_long_record(delivery, key);
}

/* The line under way, which ends with `end`. */
static int add_head(struct delivery *delivery, const char *end, size_t end_bytes)
{
	struct sfs_writer *writer = delivery->writer;
	const uint64_t line_bytes = writer->pending.size_bytes + end_bytes;
	int r = settings_admit(settings_of(delivery), line_bytes);
	if (r == 0)
		r = finish_pending(writer, end, end_bytes);
	const char *line = NULL;
	size_t reach = line_bytes < KEY_REACH_BYTES ? (size_t)line_bytes : KEY_REACH_BYTES;
	if (r == 0 && (line_bytes < CHUNK_TEXT_TARGET || keys_are_in_records(writer)))
		r = payload_text(&writer->pending, disk_of(delivery), reach,
			&delivery->workspace->head, &line);
	if (r < 0)
		return r;
	char scratch[SFS_KEY_MAX_BYTES];
	struct key_text key = find_head_key(delivery, line, reach, line_bytes, scratch);
	delivery->head_batch = batch_for(delivery, key);
	if (!delivery->head_batch)
		return -ENOMEM;
	return add_head_record(delivery, delivery->head_batch, key, line);
}

/* A claimed line that lies whole in the write. */
static int add_claimed_line(struct delivery *delivery, struct batch *batch, struct key_text key,
	const char *line, size_t bytes)
{
	_cleanup_(payload_fini) struct payload payload;
	payload_init(&payload, NULL);
	int r = payload_append(&payload, disk_of(delivery), -1, line, bytes);
	return r < 0 ? r : add_claimed(delivery, batch, key, &payload);
}

/* A line that lies whole in the write. */
static int add_line(struct delivery *delivery, const char *line, size_t bytes)
{
	int r = settings_admit(settings_of(delivery), bytes);
	if (r < 0)
		return r;
	char scratch[SFS_KEY_MAX_BYTES];
	struct key_text key = find_key(delivery, line, bytes, scratch);
	struct batch *batch = batch_for(delivery, key);
	if (!batch)
		return -ENOMEM;
	return settings_wants_claim_check(settings_of(delivery), bytes)
		       ? add_claimed_line(delivery, batch, key, line, bytes)
		       : batch_add(batch, key, line, bytes);
}

/* Adds lines up to one that cannot be: *ret_added are the bytes before it, the error its result. */
static int add_lines(struct delivery *delivery, const char *data, size_t bytes, size_t *ret_added)
{
	bool is_head = delivery->writer->pending.size_bytes;
	size_t at = 0;
	int r = 0;
	while (at < bytes) {
		const char *line = data + at, *newline = memchr(line, '\n', bytes - at);
		size_t line_bytes = (size_t)(newline - line);
		r = is_head ? add_head(delivery, line, line_bytes)
			    : add_line(delivery, line, line_bytes);
		if (r < 0)
			break;
		is_head = false;
		at += line_bytes + 1;
	}
	*ret_added = at;
	return r;
}

/* ---- line by line: to the shards ---- */

static int append_batch(struct delivery *delivery, struct batch *batch)
{
	bool has_head = batch == delivery->head_batch;
	const struct long_record *record =
		has_head && delivery->is_long ? &delivery->long_record : NULL;
	if (!batch->records && !record)
		return 0;
	int r = shard_set_add(&delivery->writer->appended, batch->shard);
	if (r == 0)
		r = records_append(
			delivery->workspace, batch->shard, record, batch->records ? batch : NULL);
	if (r == 0 && has_head)
		delivery->head_appended = true;
	return r;
}

/* Appends to each shard. One that fails does not keep the others back. The first error. */
static int append_batches(struct delivery *delivery)
{
	int result = 0;
	struct batch *batch;
	SLIST_FOREACH(batch, &delivery->workspace->used, link)
	{
		int r = append_batch(delivery, batch);
		if (r < 0 && result == 0)
			result = r;
	}
	return result;
}

/* After a failure the line under way is what it was, unless it has become a record. */
static int restore_pending(struct delivery *delivery, uint64_t size_bytes)
{
	struct sfs_writer *writer = delivery->writer;
	if (delivery->head_appended) {
		payload_reset(&writer->pending);
		return 0;
	}
	return payload_truncate(
		&writer->pending, disk_of(delivery), writer->stream->blobs.dir, size_bytes);
}

static int deliver_lines(
	struct delivery *delivery, const char *data, size_t bytes, struct delivered *ret_delivered)
{
	const uint64_t pending_bytes = delivery->writer->pending.size_bytes;
	size_t added;
	int refusal = 0;
	int r = add_lines(delivery, data, bytes, &added);
	if (r == -EFBIG || r == -EMSGSIZE) {
		refusal = r;
		r = 0;
	}
	if (r == 0 && added)
		r = append_batches(delivery);
	if (r < 0) {
		int restored = restore_pending(delivery, pending_bytes);
		return restored < 0 ? restored : r;
	}
	*ret_delivered = (struct delivered){added, refusal};
	return 0;
}

/* ---- as text ---- */

/* Whether every line surely stays a line of the one chunk that the write makes. */
static bool goes_as_text(const struct sfs_writer *writer, size_t bytes)
{
	const struct settings *settings = &writer->stream->home.settings;
	uint64_t longest = writer->pending.size_bytes + bytes;
	return !keys_are_in_records(writer) && longest <= settings->threshold_bytes &&
	       longest <= settings->max_record_bytes &&
	       longest <= CHUNK_TEXT_TARGET + PAYLOAD_MEMORY_MAX && writer->pending.fd < 0;
}

/* The line under way and the data in one piece. */
static int join_text(struct delivery *delivery, const char **data, size_t *bytes)
{
	const struct buf *pending = &delivery->writer->pending.memory;
	struct buf *joined = &delivery->workspace->head;
	joined->size = 0;
	int r = buf_append(joined, pending->data, pending->size);
	if (r == 0)
		r = buf_append(joined, *data, *bytes);
	if (r < 0)
		return r;
	*data = (const char *)joined->data;
	*bytes = joined->size;
	return 0;
}

static int deliver_text(
	struct delivery *delivery, const char *data, size_t bytes, struct delivered *ret_delivered)
{
	struct sfs_writer *writer = delivery->writer;
	const char *text = data;
	size_t text_bytes = bytes;
	int r = writer->pending.size_bytes ? join_text(delivery, &text, &text_bytes) : 0;
	if (r < 0)
		return r;
	struct key_text key = {writer->key, writer->key_bytes};
	struct sfs_shard *shard =
		writer->target == TARGET_SHARD
			? writer->shard
			: writer->stream->table.routes.shards[route_of(delivery, key)];
	r = shard_set_add(&writer->appended, shard);
	if (r == 0)
		r = records_append_text(delivery->workspace, shard, key, text, text_bytes);
	if (r < 0)
		return r;
	*ret_delivered = (struct delivered){.bytes = bytes};
	return 0;
}

int delivery_append_locked(
	struct sfs_writer *writer, const char *data, size_t bytes, struct delivered *ret_delivered)
{
	struct sfs_stream *stream = writer->stream;
	ASSERT_RDLOCKED(&stream->home.lock);
	assert(bytes && data[bytes - 1] == '\n');
	struct delivery delivery = {.writer = writer, .workspace = workspace_take(stream->store)};
	if (!delivery.workspace)
		return -ENOMEM;
	delivery.workspace->due = &writer->due;
	delivery.spread_route = stream_spread(stream);
	bool as_text = goes_as_text(writer, bytes);
	TRACE(append, "%s: %zu bytes of lines %s", stream->home.name, bytes,
		as_text ? "as text" : "line by line");
	int r = as_text ? deliver_text(&delivery, data, bytes, ret_delivered)
			: deliver_lines(&delivery, data, bytes, ret_delivered);
	workspace_settle(delivery.workspace, stream);
	workspace_give(delivery.workspace, stream->store);
	return r;
}
