/* SPDX-License-Identifier: MIT */
/* What a writer consists of: for writer.c, and for delivery.c, which appends its lines. */
#ifndef WRITE_WRITER_H
#define WRITE_WRITER_H

#include "payload.h"
#include "refusal.h"
#include "shard_set.h"
#include "stream.h"

#include "streamfs/writer.h"

/* What a record's shard follows from. */
enum target {
	TARGET_SHARD, /* there is one shard */
	TARGET_KEY,   /* the one key of the writer */
	TARGET_PUT,   /* the key that the stream's rule finds in the record */
};

struct sfs_writer {
	struct sfs_stream *stream; /* counted */
	enum target target;
	struct sfs_shard *shard; /* TARGET_SHARD */
	char *key;		 /* TARGET_KEY */
	size_t key_bytes;
	struct payload pending;	   /* the line under way: what has come of it */
	struct refusal refusal;	   /* ... or that it was refused */
	size_t last_taken_bytes;   /* by the last write that was taken */
	struct waiter_list due;	   /* waiters that the append under way wakes */
	struct shard_set appended; /* shards that this writer appended to */
};

#endif
