/* SPDX-License-Identifier: MIT */
/* A growable run of bytes. Zero-initialised is empty and valid; buf_fini() frees. */
#ifndef UTIL_BUF_H
#define UTIL_BUF_H

#include <stddef.h>
#include <stdint.h>

struct buf {
	uint8_t *data;
	size_t size;	 /* bytes used */
	size_t capacity; /* bytes allocated */
};

void buf_fini(struct buf *b);
/* Room for `more` bytes behind the used ones. 0 or -ENOMEM. */
int buf_reserve(struct buf *b, size_t more);
int buf_append(struct buf *b, const void *data, size_t size);
int buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* An unsigned integer in LEB128, at most 10 bytes. */
int buf_varint(struct buf *b, uint64_t n);
/* Forgets the content; gives memory over `keep` bytes back. */
void buf_reset(struct buf *b, size_t keep);

/*
 * Reads a LEB128 integer at *cursor, which it moves. -EBADMSG past `end` or over 64 bits.
 */
int varint_get(const uint8_t **cursor, const uint8_t *end, uint64_t *ret_n);

#endif
