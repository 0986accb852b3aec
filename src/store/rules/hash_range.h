/* SPDX-License-Identifier: MIT */
/*
 * Which shard a partition key belongs to: its MD5 as a big-endian 128-bit number falls into the
 * hash range of exactly one open shard (the rule of Amazon Kinesis Data Streams).
 */
#ifndef RULES_HASH_RANGE_H
#define RULES_HASH_RANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hash_key {
	uint64_t high, low;
};

enum { HASH_KEY_HEX = 32 };

struct hash_key hash_key_of(const void *key, size_t bytes);
static inline bool hash_key_le(struct hash_key a, struct hash_key b)
{
	return a.high != b.high ? a.high < b.high : a.low <= b.low;
}
/* The first hash of range `index` of `count` even ranges: floor(index * 2^128 / count). */
struct hash_key hash_range_first(uint32_t index, uint32_t count);
/* The last one, inclusive. */
struct hash_key hash_range_last(uint32_t index, uint32_t count);
/* `firsts` are the first hashes of the ranges in rising order, firsts[0] is zero. Returns the range that has `hash`. */
size_t hash_range_find(const struct hash_key *firsts, size_t count, struct hash_key hash);

void hash_key_to_hex(struct hash_key hash, char hex[HASH_KEY_HEX + 1]);
/* -EINVAL: not 32 lower-case hex digits. */
int hash_key_from_hex(const char *hex, struct hash_key *ret_hash);

#endif
