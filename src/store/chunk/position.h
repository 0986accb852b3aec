/* SPDX-License-Identifier: MIT */
/*
 * A position in a shard: a place at which a record begins or will begin. The three numbers always
 * move together: each counts from the beginning of the shard, whatever was trimmed since.
 */
#ifndef CHUNK_POSITION_H
#define CHUNK_POSITION_H

#include <stdbool.h>
#include <stdint.h>

struct position {
	uint64_t offset;      /* bytes of text before it */
	uint64_t sequence;    /* records before it: the number of the record that begins there */
	uint64_t json_offset; /* bytes of the records' JSON lines before it */
};

static inline bool position_equal(struct position a, struct position b)
{
	return a.offset == b.offset && a.sequence == b.sequence && a.json_offset == b.json_offset;
}

#endif
