/* SPDX-License-Identifier: MIT */
#include "records.h"

#include "cleanup.h"
#include "json_record.h"
#include "shard.h"
#include "stream.h"
#include "stream_blobs.h"
#include "store.h"

#include <stdio.h>

enum { KEEP_PUTS_BYTES = 64 << 10 };

int record_limit(const struct settings *settings, uint64_t bytes)
{
	if (bytes > settings->max_record_bytes)
		return -EFBIG;
	if (settings->large_policy == LARGE_REJECT && bytes > settings->threshold_bytes)
		return -EMSGSIZE;
	return 0;
}

bool record_is_claimed(const struct settings *settings, uint64_t bytes)
{
	return settings->large_policy == LARGE_CLAIM_CHECK && bytes > settings->threshold_bytes;
}

static int batch_add_record(struct batch *batch, struct key_text key, const char *line,
	size_t bytes, const struct claim *claim)
{
	int r = buf_reserve(&batch->text, bytes + 1);
	if (r == 0)
		r = meta_writer_record(&batch->meta, key.data, key.bytes, 0, claim);
	if (r < 0)
		return r;
	if (bytes) /* an empty line may have no address */
		memcpy(batch->text.data + batch->text.size, line, bytes);
	batch->text.size += bytes;
	batch->text.data[batch->text.size++] = '\n';
	batch->has_meta |= key.bytes || claim;
	batch->records++;
	batch->json_bytes += json_unplaced_bytes(key.data, key.bytes, line, bytes, claim);
	return 0;
}

int batch_add(struct batch *batch, struct key_text key, const char *line, size_t bytes)
{
	return batch_add_record(batch, key, line, bytes, NULL);
}

int batch_add_claim(struct workspace *w, struct sfs_stream *stream, struct batch *batch,
	struct key_text key, const struct payload *payload)
{
	struct claim claim = {.payload_bytes = payload->size_bytes};
	int r = stream_blobs_open(stream, true);
	if (r == 0)
		r = buf_reserve(&w->puts, DIGEST_BYTES);
	if (r == 0)
		r = blobs_put(
			&stream->blobs, payload, stream->home.settings.compression, claim.digest);
	if (r < 0)
		return r;
	memcpy(w->puts.data + w->puts.size, claim.digest, DIGEST_BYTES);
	w->puts.size += DIGEST_BYTES;
	char hex[65], line[256];
	digest_to_hex(claim.digest, hex);
	int n = snprintf(line, sizeof line,
		"{\"claim_check\":{\"sha256\":\"%s\",\"bytes\":%llu,\"path\":\"blobs/%s\"}}", hex,
		(unsigned long long)claim.payload_bytes, hex);
	metric_add(&stream->home.metrics.claims, 1);
	return batch_add_record(batch, key, line, (size_t)n, &claim);
}

void workspace_settle(struct workspace *w, struct sfs_stream *stream)
{
	for (size_t at = 0; at < w->puts.size; at += DIGEST_BYTES)
		blobs_put_done(&stream->blobs, w->puts.data + at);
	buf_reset(&w->puts, KEEP_PUTS_BYTES);
}

static bool compresses(const struct sfs_shard *shard)
{
	return shard->stream->home.settings.compression == COMPRESSION_LZ4;
}

static int encode_batch(struct workspace *w, struct batch *batch)
{
	const struct buf *meta = batch->has_meta ? meta_writer_finish(&batch->meta) : NULL;
	if (batch->has_meta && !meta)
		return -ENOMEM;
	struct chunk_input input = {
		.text = batch->text.data,
		.text_bytes = batch->text.size,
		.meta = meta,
		.record_count = batch->records,
		.compress = compresses(batch->shard),
		.json_bytes = batch->json_bytes,
	};
	return chunk_encode(w->encoder, &input);
}

/* The meta of a chunk whose records all have one key. */
static int key_meta(struct buf *meta, struct key_text key)
{
	const uint8_t type = META_KEY;
	meta->size = 0;
	if (!key.bytes)
		return 0;
	int r = buf_append(meta, &type, 1);
	if (r == 0)
		r = buf_varint(meta, key.bytes);
	return r < 0 ? r : buf_append(meta, key.data, key.bytes);
}

/* One piece of a long record; the last one brings its newline. */
static int append_piece(struct workspace *w, struct sfs_shard *shard,
	const struct long_record *record, uint64_t at, char *piece, struct json_scan *scan)
{
	bool last = record->bytes - at < CHUNK_TEXT_TARGET;
	size_t bytes = last ? (size_t)(record->bytes - at) : CHUNK_TEXT_TARGET, got = 0;
	int r = payload_read(
		record->payload, &shard->stream->store->env.disk, at, piece, bytes, &got);
	if (r < 0)
		return r;
	if (got != bytes)
		return -EIO;
	json_scan(scan, piece, bytes);
	if (last)
		piece[bytes++] = '\n';
	struct chunk_input input = {
		.text = piece,
		.text_bytes = bytes,
		.meta = &w->meta,
		.record_count = last,
		.flags = (uint16_t)((at ? CHUNK_CONTINUES : 0) | (last ? 0 : CHUNK_OPEN_END)),
		.compress = compresses(shard),
		.json_bytes = last ? json_unplaced_scanned_bytes(
					     record->key.data, record->key.bytes, scan)
				   : 0,
	};
	r = chunk_encode(w->encoder, &input);
	return r < 0 ? r : shard_append_chunk(shard, w->encoder);
}

static int append_long(
	struct workspace *w, struct sfs_shard *shard, const struct long_record *record)
{
	_cleanup_free_ char *piece = malloc(CHUNK_TEXT_TARGET + 1);
	if (!piece)
		return -ENOMEM;
	struct json_scan scan = {0};
	int r = key_meta(&w->meta, record->key);
	for (uint64_t at = 0; r == 0; at += CHUNK_TEXT_TARGET) {
		r = append_piece(w, shard, record, at, piece, &scan);
		if (record->bytes - at < CHUNK_TEXT_TARGET)
			break;
	}
	return r;
}

/* What was appended becomes visible, or none of it. */
static int end_append(struct workspace *w, struct sfs_shard *shard, int r)
{
	if (r < 0) {
		shard_append_abort(shard);
		return r;
	}
	shard_append_commit(shard);
	if (w->due)
		waiters_take(shard, w->due);
	return 0;
}

int append_run(struct workspace *w, struct sfs_shard *shard, const struct long_record *long_record,
	struct batch *batch)
{
	int r = 0;
	if (!long_record)
		r = encode_batch(w, batch); /* the work is done before the lock is taken */
	if (r == 0)
		r = shard_append_begin(shard);
	if (r < 0)
		return r;
	if (long_record)
		r = append_long(w, shard, long_record);
	if (r == 0 && long_record && batch)
		r = encode_batch(w, batch);
	if (r == 0 && batch)
		r = shard_append_chunk(shard, w->encoder);
	return end_append(w, shard, r);
}

/* In blocks whose count fits into a byte, so that compilers count in as many lanes as they have. */
static uint32_t count_newlines(const char *text, size_t bytes)
{
	enum { BLOCK_BYTES = 128 };
	uint32_t count = 0;
	size_t i = 0;
	for (; bytes - i >= BLOCK_BYTES; i += BLOCK_BYTES) {
		uint8_t block = 0;
		for (size_t j = 0; j < BLOCK_BYTES; j++)
			block = (uint8_t)(block + (text[i + j] == '\n'));
		count += block;
	}
	for (; i < bytes; i++)
		count += text[i] == '\n';
	return count;
}

int append_text(struct workspace *w, struct sfs_shard *shard, struct key_text key, const char *text,
	size_t bytes)
{
	int r = key_meta(&w->meta, key);
	if (r < 0)
		return r;
	uint32_t records = count_newlines(text, bytes);
	struct chunk_input input = {
		.text = text,
		.text_bytes = bytes,
		.meta = &w->meta,
		.record_count = records,
		.compress = compresses(shard),
		.json_bytes = json_unplaced_text_bytes(key.data, key.bytes, text, bytes, records),
	};
	r = chunk_encode(w->encoder, &input);
	if (r == 0)
		r = shard_append_begin(shard);
	if (r < 0)
		return r;
	r = shard_append_chunk(shard, w->encoder);
	return end_append(w, shard, r);
}
