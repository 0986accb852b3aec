/* SPDX-License-Identifier: MIT */
/*
 * An upload: one record made of a whole file. Its bytes wait in a payload until sfs_upload_commit()
 * appends it, by its size and form:
 *
 *     one line, or nothing                     a line
 *     one line of CHUNK_TEXT_TARGET or more    a long record
 *     one line that the settings claim,        a claim check, and the payload is a blob
 *     or anything else
 */
#include "cleanup.h"
#include "lock.h"
#include "records.h"
#include "shard.h"
#include "store.h"
#include "stream.h"
#include "stream_blobs.h"
#include "trace.h"

#include "streamfs/upload.h"

#include <inttypes.h>

struct sfs_upload {
	struct sfs_stream *stream; /* counted */
	struct payload payload;
	struct sfs_shard *shard; /* that has the record; NULL: not committed */
};

int sfs_upload_open(struct sfs_stream *stream, struct sfs_upload **ret_upload)
{
	if (stream->store->env.read_only)
		return -EROFS;
	struct sfs_upload *upload = calloc(1, sizeof *upload);
	if (!upload)
		return -ENOMEM;
	upload->stream = sfs_stream_ref(stream);
	payload_init(&upload->payload, &stream->store->payloads);
	int r = payload_reserve_file(&upload->payload);
	if (r < 0) {
		sfs_upload_free(upload);
		return r;
	}
	*ret_upload = upload;
	return 0;
}

void sfs_upload_free(struct sfs_upload *upload)
{
	if (!upload)
		return;
	payload_fini(&upload->payload);
	sfs_stream_unref(upload->stream);
	free(upload);
}

static const struct disk *disk_of(const struct sfs_upload *upload)
{
	return &upload->stream->store->env.disk;
}

/* Readies the stream for a payload that will end at `end`. The caller holds home.lock. */
static int prepare_locked(struct sfs_upload *upload, uint64_t end)
{
	struct sfs_stream *stream = upload->stream;
	ASSERT_RDLOCKED(&stream->home.lock);
	if (stream->home.removed)
		return -ENOENT;
	if (end > stream->home.settings.max_record_bytes)
		return -EFBIG;
	return payload_fits(&upload->payload, end) ? 0 : stream_blobs_open(stream, true);
}

int sfs_upload_write(struct sfs_upload *upload, uint64_t offset, const void *data, size_t bytes)
{
	struct sfs_stream *stream = upload->stream;
	if (offset > INT64_MAX - bytes)
		return -EFBIG;
	SCOPED_RDLOCK(&stream->home.lock);
	int r = prepare_locked(upload, offset + bytes);
	return r < 0 ? r
		     : payload_write(&upload->payload, disk_of(upload), stream->blobs.dir, offset,
			       data, bytes);
}

int sfs_upload_truncate(struct sfs_upload *upload, uint64_t size_bytes)
{
	struct sfs_stream *stream = upload->stream;
	SCOPED_RDLOCK(&stream->home.lock);
	int r = prepare_locked(upload, size_bytes);
	return r < 0 ? r
		     : payload_truncate(
			       &upload->payload, disk_of(upload), stream->blobs.dir, size_bytes);
}

int sfs_upload_read(
	struct sfs_upload *upload, uint64_t offset, void *buffer, size_t bytes, size_t *ret_bytes)
{
	return payload_read(&upload->payload, disk_of(upload), offset, buffer, bytes, ret_bytes);
}

uint64_t sfs_upload_size(const struct sfs_upload *upload)
{
	return upload->payload.size_bytes;
}

/* The payload's line without its newline. -ENOMSG: it is not a single line. */
static int single_line(const struct sfs_upload *upload, uint64_t *ret_bytes)
{
	const struct payload *payload = &upload->payload;
	uint64_t newline;
	int r = payload_find_newline(payload, disk_of(upload), &newline);
	if (r < 0)
		return r;
	if (newline < payload->size_bytes && newline + 1 != payload->size_bytes)
		return -ENOMSG;
	*ret_bytes = newline;
	return 0;
}

/* The record of an upload on its way. */
struct upload_record {
	struct workspace *workspace;
	struct batch *batch; /* of its shard */
	struct key_text key;
	struct long_record long_record; /* no payload: the record is in the batch */
};

static int add_claim(const struct sfs_upload *upload, struct upload_record *record)
{
	struct claim claim;
	int r = workspace_put_blob(record->workspace, upload->stream, &upload->payload, &claim);
	return r < 0 ? r : batch_add_claim(record->batch, record->key, &claim);
}

static int add_line(const struct sfs_upload *upload, struct upload_record *record, size_t bytes)
{
	const char *line;
	int r = payload_text(
		&upload->payload, disk_of(upload), bytes, &record->workspace->head, &line);
	return r < 0 ? r : batch_add(record->batch, record->key, line, bytes);
}

static int add_record(const struct sfs_upload *upload, struct upload_record *record)
{
	const struct settings *settings = &upload->stream->home.settings;
	const struct payload *payload = &upload->payload;
	uint64_t line_bytes;
	int r = single_line(upload, &line_bytes);
	if (r < 0 && r != -ENOMSG)
		return r;
	bool is_line = r == 0;
	r = settings_admit(settings, is_line ? line_bytes : payload->size_bytes);
	if (r < 0)
		return r;
	if (!is_line || settings_wants_claim_check(settings, line_bytes))
		return add_claim(upload, record);
	if (line_bytes < CHUNK_TEXT_TARGET)
		return add_line(upload, record, line_bytes);
	record->long_record = (struct long_record){payload, line_bytes, record->key};
	return 0;
}

static int append_record(struct upload_record *record)
{
	struct batch *batch = record->batch;
	return records_append(record->workspace, batch->shard,
		record->long_record.payload ? &record->long_record : NULL,
		batch->records ? batch : NULL);
}

static int commit_locked(
	struct sfs_upload *upload, struct workspace *workspace, struct key_text key)
{
	struct sfs_stream *stream = upload->stream;
	ASSERT_RDLOCKED(&stream->home.lock);
	if (stream->home.removed)
		return -ENOENT;
	size_t route =
		key.bytes ? stream_route(stream, key.data, key.bytes) : stream_spread(stream);
	struct upload_record record = {
		.workspace = workspace,
		.batch = workspace_batch(workspace, &stream->table.routes, route),
		.key = key,
	};
	if (!record.batch)
		return -ENOMEM;
	int r = add_record(upload, &record);
	if (r == 0)
		r = append_record(&record);
	if (r == 0)
		upload->shard = record.batch->shard;
	if (r == -EMSGSIZE || r == -EFBIG)
		metric_add(&stream->home.metrics.rejected, 1);
	TRACE(drop, "%s shard %u: upload of %" PRIu64 " bytes committed: error %d",
		stream->home.name, record.batch->shard->number, upload->payload.size_bytes, -r);
	workspace_settle(workspace, stream);
	return r;
}

static int commit(struct sfs_upload *upload, struct workspace *workspace, struct key_text key)
{
	SCOPED_RDLOCK(&upload->stream->home.lock);
	return commit_locked(upload, workspace, key);
}

int sfs_upload_commit(struct sfs_upload *upload, const char *key, size_t key_bytes)
{
	struct sfs_store *store = upload->stream->store;
	struct workspace *workspace = workspace_take(store);
	if (!workspace)
		return -ENOMEM;
	struct waiter_list due = LIST_HEAD_INITIALIZER(due);
	workspace->due = &due;
	int r = commit(upload, workspace,
		(struct key_text){key, sfs_key_valid(key, key_bytes) ? key_bytes : 0});
	view_waiters_wake(&due);
	workspace_give(workspace, store);
	return r;
}

int sfs_upload_sync(struct sfs_upload *upload)
{
	return upload->shard ? sfs_shard_sync(upload->shard) : 0;
}
