/* SPDX-License-Identifier: MIT */
#include "batch.h"

#include "claim_check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct batch *batch_new(void)
{
	return calloc(1, sizeof(struct batch));
}

void batch_free(struct batch *batch)
{
	buf_fini(&batch->text);
	meta_writer_fini(&batch->meta);
	free(batch);
}

void batch_reset(struct batch *batch)
{
	batch->shard = NULL;
	batch->text.size = 0;
	meta_writer_reset(&batch->meta);
	batch->has_meta = batch->closed = false;
	batch->records = 0;
	batch->json_bytes = 0;
}

/* `claim`: NULL for an ordinary record. */
static int add_record(struct batch *batch, struct key_text key, const char *line, size_t bytes,
	const struct claim *claim)
{
	assert(!batch->closed);
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
	return add_record(batch, key, line, bytes, NULL);
}

int batch_add_claim(struct batch *batch, struct key_text key, const struct claim *claim)
{
	char line[CLAIM_CHECK_SIZE];
	size_t bytes = claim_check_write(claim, line);
	return add_record(batch, key, line, bytes, claim);
}

int batch_encode(struct batch *batch, struct encoder *encoder, bool compress)
{
	assert(batch->records && !batch->closed);
	batch->closed = true;
	const struct buf *meta = batch->has_meta ? meta_writer_finish(&batch->meta) : NULL;
	if (batch->has_meta && !meta)
		return -ENOMEM;
	const struct chunk_input input = {
		.text = batch->text.data,
		.text_bytes = batch->text.size,
		.meta = meta,
		.record_count = batch->records,
		.compress = compress,
		.json_bytes = batch->json_bytes,
	};
	return chunk_encode(encoder, &input);
}
