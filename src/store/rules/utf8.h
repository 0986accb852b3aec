/* SPDX-License-Identifier: MIT */
/* Characters of UTF-8 (RFC 3629: no surrogates, nothing over-long). */
#ifndef RULES_UTF8_H
#define RULES_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of the character at `s`, of which `left` bytes, at least one, are there. 0: it is none. */
size_t utf8_bytes(const unsigned char *s, size_t left);
/* Writes a character, which is no surrogate; returns its bytes. */
size_t utf8_encode(uint32_t code, char out[4]);

#endif
