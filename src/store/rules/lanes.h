/* SPDX-License-Identifier: MIT */
/* Eight bytes at a time: each is a lane of a word, the first one lowest. */
#ifndef RULES_LANES_H
#define RULES_LANES_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

/* A word with this byte in every lane. */
#define LANES(byte) (0x0101010101010101u * (uint64_t)(byte))

static inline uint64_t load_lanes(const char *at)
{
	uint64_t word;
	memcpy(&word, at, sizeof word);
	return le64toh(word);
}

#endif
