/* SPDX-License-Identifier: MIT */
#include "hash_range.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <md5.h>
#include <string.h>

struct hash_key hash_key_of(const void *key, size_t bytes)
{
	MD5_CTX md5;
	uint8_t digest[MD5_DIGEST_LENGTH];
	struct hash_key hash;

	MD5Init(&md5);
	MD5Update(&md5, key, bytes);
	MD5Final(digest, &md5);
	memcpy(&hash.high, digest, sizeof hash.high);
	memcpy(&hash.low, digest + sizeof hash.high, sizeof hash.low);
	return (struct hash_key){.high = be64toh(hash.high), .low = be64toh(hash.low)};
}

/* One more 32-bit digit of remainder * 2^32 / count, by long division. */
static uint64_t divide_digit(uint64_t *remainder, uint32_t count)
{
	uint64_t dividend = *remainder << 32;
	*remainder = dividend % count;
	return dividend / count;
}

struct hash_key hash_range_first(uint32_t index, uint32_t count)
{
	assert(index < count);
	uint64_t remainder = index, digits[4];
	for (int i = 0; i < 4; i++)
		digits[i] = divide_digit(&remainder, count);
	return (struct hash_key){
		.high = digits[0] << 32 | digits[1],
		.low = digits[2] << 32 | digits[3],
	};
}

struct hash_key hash_range_last(uint32_t index, uint32_t count)
{
	assert(index < count);
	if (index == count - 1)
		return (struct hash_key){.high = UINT64_MAX, .low = UINT64_MAX};
	struct hash_key next = hash_range_first(index + 1, count);
	return (struct hash_key){.high = next.high - !next.low, .low = next.low - 1};
}

size_t hash_range_find(const struct hash_key *firsts, size_t count, struct hash_key hash)
{
	assert(count > 0 && !firsts[0].high && !firsts[0].low);
	size_t low = 0,
	       high = count; /* firsts[low] <= hash, and hash < firsts[high] if there is one */
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		if (hash_key_le(firsts[middle], hash))
			low = middle;
		else
			high = middle;
	}
	return low;
}

void hash_key_to_hex(struct hash_key hash, char hex[HASH_KEY_HEX + 1])
{
	for (int i = 0; i < HASH_KEY_HEX; i++) {
		uint64_t half = i < HASH_KEY_HEX / 2 ? hash.high : hash.low;
		hex[i] = "0123456789abcdef"[half >> (60 - i % 16 * 4) & 15];
	}
	hex[HASH_KEY_HEX] = '\0';
}

int hash_key_from_hex(const char *hex, struct hash_key *ret_hash)
{
	uint64_t halves[2] = {0, 0};
	for (int i = 0; i < HASH_KEY_HEX; i++) {
		unsigned int digit;
		if (hex[i] >= '0' && hex[i] <= '9')
			digit = (unsigned int)(hex[i] - '0');
		else if (hex[i] >= 'a' && hex[i] <= 'f')
			digit = (unsigned int)(hex[i] - 'a' + 10);
		else
			return -EINVAL;
		halves[i / 16] = halves[i / 16] << 4 | digit;
	}
	if (hex[HASH_KEY_HEX])
		return -EINVAL;
	*ret_hash = (struct hash_key){.high = halves[0], .low = halves[1]};
	return 0;
}
