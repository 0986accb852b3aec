/* SPDX-License-Identifier: MIT */
/* Characters of UTF-8 (RFC 3629: no surrogates, nothing over-long). */
#ifndef UTIL_UTF8_H
#define UTIL_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of the character at `s`, of which `left` bytes, at least one, are there. 0: it is none. */
size_t utf8_bytes(const unsigned char *s, size_t left);
/* Writes a character, which is no surrogate; returns its bytes. */
size_t utf8_encode(uint32_t code, char out[4]);

/* A text in pieces, split anywhere, also within a character. Zero-initialised: no piece yet. */
struct utf8_run {
	uint8_t open;	   /* bytes that the last character still lacks */
	uint8_t low, high; /* the inclusive range of the next of these bytes */
};

/* The next piece. False: the text is not UTF-8, whatever follows; the run is then void. */
bool utf8_run_add(struct utf8_run *run, const uint8_t *p, size_t n);
/* Whether the pieces so far end with a whole character. */
static inline bool utf8_run_ends_whole(const struct utf8_run *run)
{
	return !run->open;
}

#endif
