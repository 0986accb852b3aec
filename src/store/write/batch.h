/* SPDX-License-Identifier: MIT */
/*
 * A batch: records on their way to one shard, in order. It grows record by record, then
 * batch_encode() closes it and makes a chunk of it.
 *
 * Invariants:
 *  1. `text` is `records` lines, each with its newline.
 *  2. `meta` has seen the same records in the same order.
 *  3. Nothing is added to a closed batch before batch_reset().
 *
 * One thread at a time.
 */
#ifndef WRITE_BATCH_H
#define WRITE_BATCH_H

#include "chunk.h"
#include "meta.h"

#include <bsd/sys/queue.h>

struct sfs_shard;

struct batch {
	struct sfs_shard *shard;
	struct buf text;
	struct meta_writer meta;
	bool has_meta; /* some record has a key or is a claim check */
	bool closed;
	uint32_t records;
	uint64_t json_bytes; /* of these, unplaced (json_record.h) */
	SLIST_ENTRY(batch) link;
};

struct key_text {
	const char *data;
	size_t bytes; /* 0: no key */
};

struct batch *batch_new(void); /* NULL: no memory */
void batch_free(struct batch *batch);
/* Empties it, for another shard. Keeps the memory. */
void batch_reset(struct batch *batch);

/* Adds a line, without its newline. 0 or -ENOMEM. */
int batch_add(struct batch *batch, struct key_text key, const char *line, size_t bytes);
/* Adds the line of a claim check. 0 or -ENOMEM. */
int batch_add_claim(struct batch *batch, struct key_text key, const struct claim *claim);

/* Closes a batch that has records and leaves its chunk in the encoder, which borrows its text. */
int batch_encode(struct batch *batch, struct encoder *encoder, bool compress);

#endif
