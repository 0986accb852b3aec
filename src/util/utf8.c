/* SPDX-License-Identifier: MIT */
#include "utf8.h"

#include <string.h>

size_t utf8_bytes(const unsigned char *s, size_t left)
{
	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xC2 || s[0] > 0xF4)
		return 0;
	size_t bytes = s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : 4;
	if (left < bytes)
		return 0;
	for (size_t i = 1; i < bytes; i++)
		if ((s[i] & 0xC0) != 0x80)
			return 0;
	bool overlong = (s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xF0 && s[1] < 0x90);
	bool surrogate = s[0] == 0xED && s[1] > 0x9F;
	bool beyond = s[0] == 0xF4 && s[1] > 0x8F;
	return overlong || surrogate || beyond ? 0 : bytes;
}

size_t utf8_encode(uint32_t code, char out[4])
{
	if (code < 0x80) {
		out[0] = (char)code;
		return 1;
	}
	size_t bytes = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
	for (size_t i = bytes - 1; i > 0; i--, code >>= 6)
		out[i] = (char)(0x80 | (code & 0x3F));
	out[0] = (char)((0xF00u >> bytes) | code);
	return bytes;
}

/* Checks UTF-8 a byte at a time: RFC 3629, section 4. */
static bool utf8_start(struct utf8_run *run, uint8_t c)
{
	run->low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
	run->high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
	if (c < 0xc2 || c > 0xf4)
		return c < 0x80;
	run->open = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
	return true;
}

static bool utf8_next(struct utf8_run *run, uint8_t c)
{
	if (c < run->low || c > run->high)
		return false;
	run->low = 0x80;
	run->high = 0xbf;
	run->open--;
	return true;
}

static bool is_continued(uint8_t c)
{
	return (c & 0xc0) == 0x80;
}

/* Bytes at `p` that are surely whole characters: the usual ones, to be quick. 0: look closer. */
static size_t utf8_usual(const uint8_t *p, size_t n)
{
	uint64_t word;
	if (n < sizeof word)
		return 0;
	memcpy(&word, p, sizeof word);
	if (!(word & UINT64_C(0x8080808080808080)))
		return sizeof word;
	if (p[0] >= 0xe1 && p[0] <= 0xef && p[0] != 0xed && is_continued(p[1]) &&
		is_continued(p[2]))
		return 3;
	return p[0] >= 0xc2 && p[0] <= 0xdf && is_continued(p[1]) ? 2 : 0;
}

bool utf8_run_add(struct utf8_run *run, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n;) {
		size_t usual = run->open ? 0 : utf8_usual(p + i, n - i);
		if (!usual && !(run->open ? utf8_next(run, p[i]) : utf8_start(run, p[i])))
			return false;
		i += usual ? usual : 1;
	}
	return true;
}
