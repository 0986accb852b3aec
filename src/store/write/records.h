/* SPDX-License-Identifier: MIT */
/*
 * Appending records to one shard: from batches, whole lines or a long record to chunks.
 *
 * Invariants:
 *  1. home.lock is held shared from the moment that the shard was chosen until the append is over,
 *     so the shard stays open and the routes stay what they were.
 *  2. What one call appends becomes visible together, or none of it does.
 *  3. Compression and hashing come before the shard's locks, except of a long record's pieces.
 */
#ifndef WRITE_RECORDS_H
#define WRITE_RECORDS_H

#include "payload.h"
#include "workspace.h"

/* A record longer than a chunk: the first `bytes` of the payload are its line, without newline. */
struct long_record {
	const struct payload *payload;
	uint64_t bytes;
	struct key_text key;
};

/*
 * Appends a long record (NULL: none), then a batch (NULL: none). Errors of shard_append_begin() and
 * of the disk, -ENOMEM.
 */
int records_append(struct workspace *workspace, struct sfs_shard *shard,
	const struct long_record *long_record, struct batch *batch);
/* Appends whole lines as they are, of at most CHUNK_TEXT_MAX bytes, all under one key. */
int records_append_text(struct workspace *workspace, struct sfs_shard *shard, struct key_text key,
	const char *text, size_t bytes);

#endif
