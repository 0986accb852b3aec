/* SPDX-License-Identifier: MIT */
#include "records.h"

#include "append.h"
#include "cleanup.h"
#include "lock.h"
#include "trace.h"

#include <inttypes.h>

static bool compresses(const struct sfs_shard *shard)
{
	return shard->home->settings.compression == COMPRESSION_LZ4;
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

/* A long record on its way, piece by piece. */
struct long_append {
	struct workspace *workspace;
	struct sfs_shard *shard;
	const struct long_record *record;
	char *piece; /* CHUNK_TEXT_TARGET bytes, and a newline */
	struct json_scan scan;
};

static int read_piece(const struct long_append *append, uint64_t at, size_t bytes)
{
	const struct disk *disk = &append->shard->env->disk;
	size_t got = 0;
	int r = payload_read(append->record->payload, disk, at, append->piece, bytes, &got);
	if (r < 0)
		return r;
	return got == bytes ? 0 : -EIO;
}

/* Appends the piece that begins at `at`. The last piece brings the newline. */
static int append_piece(struct long_append *append, uint64_t at, bool *ret_last)
{
	const struct long_record *record = append->record;
	bool last = record->bytes - at < CHUNK_TEXT_TARGET;
	size_t bytes = last ? (size_t)(record->bytes - at) : CHUNK_TEXT_TARGET;
	int r = read_piece(append, at, bytes);
	if (r < 0)
		return r;
	json_scan(&append->scan, append->piece, bytes);
	if (last)
		append->piece[bytes++] = '\n';
	struct chunk_input input = {
		.text = append->piece,
		.text_bytes = bytes,
		.meta = &append->workspace->meta,
		.record_count = last,
		.flags = (uint16_t)((at ? CHUNK_CONTINUES : 0) | (last ? 0 : CHUNK_OPEN_END)),
		.compress = compresses(append->shard),
	};
	if (last)
		input.json_bytes = json_unplaced_scanned_bytes(
			record->key.data, record->key.bytes, &append->scan);
	r = chunk_encode(append->workspace->encoder, &input);
	if (r == 0)
		r = shard_append_chunk(append->shard, append->workspace->encoder);
	*ret_last = last;
	return r;
}

static int append_long(
	struct workspace *workspace, struct sfs_shard *shard, const struct long_record *record)
{
	_cleanup_free_ char *piece = malloc(CHUNK_TEXT_TARGET + 1);
	if (!piece)
		return -ENOMEM;
	struct long_append append = {
		.workspace = workspace, .shard = shard, .record = record, .piece = piece};
	int r = key_meta(&workspace->meta, record->key);
	bool last = false;
	for (uint64_t at = 0; r == 0 && !last; at += CHUNK_TEXT_TARGET)
		r = append_piece(&append, at, &last);
	return r;
}

/* Makes what was appended visible, or takes it back after an error. */
static int end_append(struct workspace *workspace, struct sfs_shard *shard, int r)
{
	if (r < 0) {
		TRACE(append, "%s shard %u: taken back: error %d", shard->home->name, shard->number,
			-r);
		shard_append_abort(shard);
		return r;
	}
	shard_append_commit(shard);
	if (workspace->due)
		view_waiters_take(shard, workspace->due);
	return 0;
}

static int append_batch(struct workspace *workspace, struct sfs_shard *shard, struct batch *batch)
{
	TRACE(append, "%s shard %u: batch of %u records, %zu bytes", shard->home->name,
		shard->number, batch->records, batch->text.size);
	int r = batch_encode(batch, workspace->encoder, compresses(shard));
	if (r == 0)
		r = shard_append_begin(shard);
	if (r < 0)
		return r;
	return end_append(workspace, shard, shard_append_chunk(shard, workspace->encoder));
}

static int append_long_first(struct workspace *workspace, struct sfs_shard *shard,
	const struct long_record *record, struct batch *batch)
{
	TRACE(append, "%s shard %u: long record of %" PRIu64 " bytes, then %u records",
		shard->home->name, shard->number, record->bytes, batch ? batch->records : 0);
	int r = shard_append_begin(shard);
	if (r < 0)
		return r;
	r = append_long(workspace, shard, record);
	if (r == 0 && batch)
		r = batch_encode(batch, workspace->encoder, compresses(shard));
	if (r == 0 && batch)
		r = shard_append_chunk(shard, workspace->encoder);
	return end_append(workspace, shard, r);
}

int records_append(struct workspace *workspace, struct sfs_shard *shard,
	const struct long_record *long_record, struct batch *batch)
{
	ASSERT_RDLOCKED(&shard->home->lock);
	assert(long_record || batch);
	return long_record ? append_long_first(workspace, shard, long_record, batch)
			   : append_batch(workspace, shard, batch);
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

int records_append_text(struct workspace *workspace, struct sfs_shard *shard, struct key_text key,
	const char *text, size_t bytes)
{
	ASSERT_RDLOCKED(&shard->home->lock);
	assert(bytes && text[bytes - 1] == '\n');
	int r = key_meta(&workspace->meta, key);
	if (r < 0)
		return r;
	uint32_t records = count_newlines(text, bytes);
	TRACE(append, "%s shard %u: text of %u records, %zu bytes", shard->home->name,
		shard->number, records, bytes);
	struct chunk_input input = {
		.text = text,
		.text_bytes = bytes,
		.meta = &workspace->meta,
		.record_count = records,
		.compress = compresses(shard),
		.json_bytes = json_unplaced_text_bytes(key.data, key.bytes, text, bytes, records),
	};
	r = chunk_encode(workspace->encoder, &input);
	if (r == 0)
		r = shard_append_begin(shard);
	if (r < 0)
		return r;
	return end_append(workspace, shard, shard_append_chunk(shard, workspace->encoder));
}
