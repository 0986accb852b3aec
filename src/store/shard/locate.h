/* SPDX-License-Identifier: MIT */
/* Places in a shard's text: which record begins there, and when it came. */
#ifndef STORE_LOCATE_H
#define STORE_LOCATE_H

#include "shard.h"

/*
 * The sequence number of the record that begins at a text offset; at the shard's end, that of the
 * next one. Decodes one chunk, and none if the record is the first of its own.
 *   -EINVAL   no record begins there, or it is past the end
 *   -ESTALE   below the trim horizon
 *   -EBADMSG  damaged
 */
int shard_sequence_at(struct sfs_shard *shard, uint64_t offset, uint64_t *ret_sequence);
/* When the record `sequence`, which begins at `offset` before the end, came. */
int shard_arrival_at(
	struct sfs_shard *shard, uint64_t offset, uint64_t sequence, uint64_t *ret_arrival_ms);

#endif
