/* SPDX-License-Identifier: MIT */
/* Places in a shard's text: which record begins there, and when it arrived. */
#ifndef STORE_LOCATE_H
#define STORE_LOCATE_H

#include "shard.h"

/*
 * The sequence number of the record that begins at a text offset. At the shard's end it is that of
 * the next record. Decodes one chunk, or none if the record is the first of its chunk.
 *   -EINVAL   no record begins there, or it is past the end
 *   -ESTALE   below the trim horizon
 *   -EBADMSG  damaged
 */
int shard_sequence_at(struct sfs_shard *shard, uint64_t offset, uint64_t *ret_sequence);
/* The arrival time of the record `sequence`. It begins at `offset`, which is before the end. */
int shard_arrival_at(
	struct sfs_shard *shard, uint64_t offset, uint64_t sequence, uint64_t *ret_arrival_ms);

#endif
