/* SPDX-License-Identifier: MIT */
#include "digest.h"

#include "bytes.h"

#include <errno.h>
#include <string.h>

void digest_to_hex(const uint8_t digest[DIGEST_BYTES], char hex[DIGEST_HEX_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	for (int i = 0; i < DIGEST_BYTES; i++) {
		hex[2 * i] = digits[digest[i] >> 4];
		hex[2 * i + 1] = digits[digest[i] & 15];
	}
	hex[DIGEST_HEX_SIZE - 1] = 0;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int digest_from_hex(const char *hex, uint8_t digest[DIGEST_BYTES])
{
	uint8_t out[DIGEST_BYTES];
	if (strlen(hex) != DIGEST_HEX_SIZE - 1)
		return -EINVAL;
	for (int i = 0; i < DIGEST_BYTES; i++) {
		int high = hex_value(hex[2 * i]), low = hex_value(hex[2 * i + 1]);
		if (high < 0 || low < 0)
			return -EINVAL;
		out[i] = (uint8_t)(high << 4 | low);
	}
	memcpy(digest, out, sizeof out);
	return 0;
}

uint64_t digest_owner(const uint8_t digest[DIGEST_BYTES])
{
	struct le64 first;
	memcpy(&first, digest, sizeof first);
	return le64_get(first);
}
