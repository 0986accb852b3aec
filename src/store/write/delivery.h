/* SPDX-License-Identifier: MIT */
/*
 * The delivery of one write: its complete lines, and the line under way that the first of them
 * ends, on their way to the shards. There are two routes:
 *
 * - As text, where one shard and one key are known beforehand and no line can be over a limit: all
 *   lines are one chunk, as they are.
 * - Line by line, where the key is in the record or a line may be long: each goes into the batch of
 *   its shard. A line over CHUNK_TEXT_TARGET, which only the line under way can be, is appended
 *   piece by piece. A claimed line goes to the blobs, and its claim check into the batch.
 *
 * The caller holds home.lock shared.
 */
#ifndef WRITE_DELIVERY_H
#define WRITE_DELIVERY_H

#include "writer.h"

struct delivered {
	size_t bytes; /* of `data` that were appended: whole lines */
	int refusal;  /* 0, or -EFBIG or -EMSGSIZE: the line behind these bytes is refused */
};

/*
 * Appends the lines of `data`, which ends in a newline, up to one that is refused. On failure
 * nothing of `data` is appended, except that with several shards the lines for some of them can be;
 * the line under way is as it was, or gone if it was appended.
 */
int delivery_append_locked(
	struct sfs_writer *writer, const char *data, size_t bytes, struct delivered *ret_delivered);

#endif
