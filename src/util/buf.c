/* SPDX-License-Identifier: MIT */
#include "buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buf_fini(struct buf *b)
{
	free(b->data);
	*b = (struct buf){0};
}

int buf_reserve(struct buf *b, size_t more)
{
	if (more <= b->capacity - b->size)
		return 0;
	if (more > SIZE_MAX / 2 - b->size)
		return -ENOMEM;
	size_t want = b->size + more;
	size_t capacity = b->capacity ? b->capacity : 256;
	while (capacity < want)
		capacity += capacity / 2;
	uint8_t *data = realloc(b->data, capacity);
	if (!data)
		return -ENOMEM;
	b->data = data;
	b->capacity = capacity;
	return 0;
}

int buf_append(struct buf *b, const void *data, size_t size)
{
	if (!size)
		return 0;
	int r = buf_reserve(b, size);
	if (r < 0)
		return r;
	memcpy(b->data + b->size, data, size);
	b->size += size;
	return 0;
}

int buf_printf(struct buf *b, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (n < 0)
		return -EINVAL;
	int r = buf_reserve(b, (size_t)n + 1);
	if (r < 0)
		return r;
	va_start(args, format);
	vsnprintf((char *)b->data + b->size, (size_t)n + 1, format, args);
	va_end(args);
	b->size += (size_t)n;
	return 0;
}

int buf_varint(struct buf *b, uint64_t n)
{
	int r = buf_reserve(b, 10);
	if (r < 0)
		return r;
	while (n >= 0x80) {
		b->data[b->size++] = (uint8_t)(n | 0x80);
		n >>= 7;
	}
	b->data[b->size++] = (uint8_t)n;
	return 0;
}

void buf_reset(struct buf *b, size_t keep)
{
	b->size = 0;
	if (b->capacity > keep)
		buf_fini(b);
}

int varint_get(const uint8_t **cursor, const uint8_t *end, uint64_t *ret_n)
{
	uint64_t n = 0;
	const uint8_t *p = *cursor;
	for (unsigned shift = 0; shift < 64 && p < end; shift += 7) {
		uint64_t bits = *p & 0x7f;
		if (shift == 63 && bits > 1)
			return -EBADMSG;
		n |= bits << shift;
		if (!(*p++ & 0x80)) {
			*cursor = p;
			*ret_n = n;
			return 0;
		}
	}
	return -EBADMSG;
}
