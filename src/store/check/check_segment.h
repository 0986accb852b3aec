/* SPDX-License-Identifier: MIT */
/*
 * The check of a shard's segments, one after the other, and of their indexes.
 *
 * Only the end of the last segment can be torn. What is behind its last good chunk and above the
 * watermark is set aside and cut, as recovery would; anything else that is bad stays as it is.
 */
#ifndef STORE_CHECK_SEGMENT_H
#define STORE_CHECK_SEGMENT_H

#include "shard_walk.h"

VECTOR(segment_bases, uint64_t); /* text offsets at which segments begin, rising */

/* Afterwards walk->end is the end of the shard's text, as far as the segments show it. */
int check_segments(struct shard_walk *walk, const struct segment_bases *bases);

#endif
