/* SPDX-License-Identifier: MIT */
/*
 * The check of one chunk: that it follows on the one before, that its bytes are those that were
 * written, and that its text, its meta and the blobs that it names agree.
 */
#ifndef STORE_CHECK_CHUNK_H
#define STORE_CHECK_CHUNK_H

#include "shard_walk.h"

/*
 * Checks one chunk of the segment at hand, as the walk of the segment's headers found it, and goes
 * behind it. Of the faults of a chunk it reports the first.
 */
int check_chunk(struct shard_walk *walk, const struct index_item *item, uint64_t text_bytes);

#endif
