/* SPDX-License-Identifier: MIT */
/* Partition keys: which bytes can be one. */
#include "lanes.h"
#include "utf8.h"

#include "streamfs/stream.h"

/* Eight ASCII characters, none of them NUL or newline. */
static bool lanes_valid(uint64_t word)
{
	uint64_t newline = word ^ LANES('\n');
	uint64_t bad = (word - LANES(1)) | (newline - LANES(1)) | word;
	return !(bad & LANES(0x80));
}

bool sfs_key_valid(const char *key, size_t bytes)
{
	if (!bytes || bytes > SFS_KEY_MAX_BYTES)
		return false;
	size_t characters = 0;
	for (size_t i = 0; i < bytes;) {
		/* The last word overlaps the one before. */
		size_t step = bytes - i < 8 ? bytes - i : 8;
		if (bytes >= 8 && lanes_valid(load_lanes(key + i + step - 8))) {
			characters += step;
			i += step;
			continue;
		}
		size_t n = utf8_bytes((const unsigned char *)key + i, bytes - i);
		if (!n || !key[i] || key[i] == '\n')
			return false;
		characters++;
		i += n;
	}
	return characters <= SFS_KEY_MAX;
}
