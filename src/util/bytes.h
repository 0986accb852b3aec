/* SPDX-License-Identifier: MIT */
/* Little-endian integers as they lie on disk: wrapper types without alignment, get and put. */
#ifndef UTIL_BYTES_H
#define UTIL_BYTES_H

#include <stdint.h>
#include <string.h>

struct le16 {
	uint8_t b[2];
};
struct le32 {
	uint8_t b[4];
};
struct le64 {
	uint8_t b[8];
};

static inline uint16_t le16_get(struct le16 v)
{
	return (uint16_t)(v.b[0] | v.b[1] << 8);
}

static inline uint32_t le32_get(struct le32 v)
{
	return (uint32_t)v.b[0] | (uint32_t)v.b[1] << 8 | (uint32_t)v.b[2] << 16 |
	       (uint32_t)v.b[3] << 24;
}

static inline uint64_t le64_get(struct le64 v)
{
	uint64_t n = 0;
	for (int i = 7; i >= 0; i--)
		n = n << 8 | v.b[i];
	return n;
}

static inline struct le16 le16(uint16_t n)
{
	return (struct le16){{(uint8_t)n, (uint8_t)(n >> 8)}};
}

static inline struct le32 le32(uint32_t n)
{
	return (struct le32){
		{(uint8_t)n, (uint8_t)(n >> 8), (uint8_t)(n >> 16), (uint8_t)(n >> 24)}};
}

static inline struct le64 le64(uint64_t n)
{
	struct le64 v;
	for (int i = 0; i < 8; i++)
		v.b[i] = (uint8_t)(n >> 8 * i);
	return v;
}

#endif
