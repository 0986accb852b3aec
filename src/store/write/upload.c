/* SPDX-License-Identifier: MIT */
#include "cleanup.h"
#include "records.h"
#include "shard.h"
#include "stream.h"
#include "stream_blobs.h"
#include "store.h"
#include "syncer.h"

#include "streamfs/upload.h"

struct sfs_upload {
	struct sfs_stream *stream; /* counted */
	struct payload payload;
	struct sfs_shard *shard; /* that the record went to */
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

/* Readies the stream for a payload that will end at `end`. Returns with home.lock held if 0. */
static int prepare(struct sfs_upload *upload, uint64_t end)
{
	struct sfs_stream *stream = upload->stream;
	pthread_rwlock_rdlock(&stream->home.lock);
	int r = stream->home.removed ? -ENOENT : 0;
	if (r == 0 && end > stream->home.settings.max_record_bytes)
		r = -EFBIG;
	if (r == 0 && !payload_fits(&upload->payload, end))
		r = stream_blobs_open(stream, true);
	if (r < 0)
		pthread_rwlock_unlock(&stream->home.lock);
	return r;
}

int sfs_upload_write(struct sfs_upload *upload, uint64_t offset, const void *data, size_t bytes)
{
	struct sfs_stream *stream = upload->stream;
	if (offset > INT64_MAX - bytes)
		return -EFBIG;
	int r = prepare(upload, offset + bytes);
	if (r < 0)
		return r;
	r = payload_write(
		&upload->payload, &stream->store->env.disk, stream->blobs.dir, offset, data, bytes);
	pthread_rwlock_unlock(&stream->home.lock);
	return r;
}

int sfs_upload_truncate(struct sfs_upload *upload, uint64_t size_bytes)
{
	struct sfs_stream *stream = upload->stream;
	int r = prepare(upload, size_bytes);
	if (r < 0)
		return r;
	r = payload_truncate(
		&upload->payload, &stream->store->env.disk, stream->blobs.dir, size_bytes);
	pthread_rwlock_unlock(&stream->home.lock);
	return r;
}

int sfs_upload_read(
	struct sfs_upload *upload, uint64_t offset, void *buffer, size_t bytes, size_t *ret_bytes)
{
	return payload_read(&upload->payload, &upload->stream->store->env.disk, offset, buffer,
		bytes, ret_bytes);
}

uint64_t sfs_upload_size(const struct sfs_upload *upload)
{
	return upload->payload.size_bytes;
}

/* Where the payload's single line ends, without its newline. -ENOMSG: it is not a single line. */
static int single_line(struct sfs_upload *upload, uint64_t *ret_bytes)
{
	const struct payload *payload = &upload->payload;
	uint64_t newline;
	int r = payload_find_newline(payload, &upload->stream->store->env.disk, &newline);
	if (r < 0)
		return r;
	if (newline < payload->size_bytes && newline + 1 != payload->size_bytes)
		return -ENOMSG;
	*ret_bytes = newline;
	return 0;
}

/* The record as a line of the batch, as a claim check in it, or as a long record. */
static int add_record(struct sfs_upload *upload, struct workspace *w, struct batch *batch,
	struct key_text key, struct long_record *long_record)
{
	struct sfs_stream *stream = upload->stream;
	const struct payload *payload = &upload->payload;
	uint64_t line_bytes;
	int r = single_line(upload, &line_bytes);
	if (r < 0 && r != -ENOMSG)
		return r;
	bool is_line = r == 0;
	r = record_limit(&stream->home.settings, is_line ? line_bytes : payload->size_bytes);
	if (r < 0)
		return r;
	if (!is_line || record_is_claimed(&stream->home.settings, line_bytes))
		return batch_add_claim(w, stream, batch, key, payload);
	if (line_bytes >= CHUNK_TEXT_TARGET) {
		*long_record = (struct long_record){payload, line_bytes, key};
		return 0;
	}
	const char *line;
	r = payload_text(payload, &stream->store->env.disk, line_bytes, &w->head, &line);
	return r < 0 ? r : batch_add(batch, key, line, line_bytes);
}

static int commit_held(struct sfs_upload *upload, struct workspace *w, struct key_text key)
{
	struct sfs_stream *stream = upload->stream;
	if (stream->home.removed)
		return -ENOENT;
	size_t route =
		key.bytes ? stream_route(stream, key.data, key.bytes) : stream_spread(stream);
	struct batch *batch = workspace_batch(w, &stream->table.routes, route);
	if (!batch)
		return -ENOMEM;
	struct long_record long_record = {0};
	int r = add_record(upload, w, batch, key, &long_record);
	if (r == 0)
		r = append_run(w, batch->shard, long_record.payload ? &long_record : NULL,
			batch->records ? batch : NULL);
	if (r == 0)
		upload->shard = batch->shard;
	if (r == -EMSGSIZE || r == -EFBIG)
		metric_add(&stream->home.metrics.rejected, 1);
	workspace_settle(w, stream);
	return r;
}

int sfs_upload_commit(struct sfs_upload *upload, const char *key, size_t key_bytes)
{
	struct sfs_stream *stream = upload->stream;
	struct workspace *w = workspace_get(stream->store);
	if (!w)
		return -ENOMEM;
	struct key_text text = {key, sfs_key_valid(key, key_bytes) ? key_bytes : 0};
	struct waiter_list due = LIST_HEAD_INITIALIZER(due);
	w->due = &due;
	pthread_rwlock_rdlock(&stream->home.lock);
	int r = commit_held(upload, w, text);
	pthread_rwlock_unlock(&stream->home.lock);
	waiters_wake(&due);
	workspace_put(stream->store, w);
	return r;
}

int sfs_upload_sync(struct sfs_upload *upload)
{
	return upload->shard ? sfs_shard_sync(upload->shard) : 0;
}
