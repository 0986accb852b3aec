/* SPDX-License-Identifier: MIT */
/*
 * From lines to chunks: what writers and uploads have in common. Callers hold home.lock shared
 * throughout one run, from the first line to the end of append_run().
 */
#ifndef STORE_RECORDS_H
#define STORE_RECORDS_H

#include "payload.h"
#include "workspace.h"

struct key_text {
	const char *data;
	size_t bytes; /* 0: no key */
};

/* Whether a record of this many bytes (without newline) is taken: 0, -EFBIG or -EMSGSIZE. */
int record_limit(const struct settings *settings, uint64_t bytes);
/* Whether its payload goes to the blobs. */
bool record_is_claimed(const struct settings *settings, uint64_t bytes);

/* Adds a line (without its newline) to a batch. 0 or -ENOMEM. */
int batch_add(struct batch *batch, struct key_text key, const char *line, size_t bytes);
/*
 * Stores the payload as a blob and adds its claim check to the batch. The blob is durable.
 * workspace_settle() is owed after the run.
 */
int batch_add_claim(struct workspace *w, struct sfs_stream *stream, struct batch *batch,
	struct key_text key, const struct payload *payload);
/* The blobs of this run are named by records now, or given up. */
void workspace_settle(struct workspace *w, struct sfs_stream *stream);

/* A record longer than a chunk: all of `payload` is its line, without newline. */
struct long_record {
	const struct payload *payload;
	uint64_t bytes; /* of the payload that count */
	struct key_text key;
};

/*
 * Appends to one shard, all or nothing: a long record (NULL: none), then a batch (NULL: none).
 */
int append_run(struct workspace *w, struct sfs_shard *shard, const struct long_record *long_record,
	struct batch *batch);
/* Appends whole lines as they are, of at most CHUNK_TEXT_MAX bytes, all under one key. */
int append_text(struct workspace *w, struct sfs_shard *shard, struct key_text key, const char *text,
	size_t bytes);

#endif
