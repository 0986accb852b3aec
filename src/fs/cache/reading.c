/* SPDX-License-Identifier: MIT */
#include "reading.h"

#include <errno.h>
#include <string.h>

/* Zeros of a larger hole are not worth the steps back through it. */
static const uint64_t hole_max_bytes = UINT64_C(1) << 30;

/* What a program asks for. */
struct request {
	uint64_t offset;
	size_t bytes;
	const struct reading_file *file;
};

/* What a request gets; the table in reading.h. */
enum source {
	FROM_OFFSET,	    /* what stands there */
	FROM_LAST,	    /* as far on as the last read */
	FROM_HORIZON,	    /* the text from the horizon on */
	FROM_HORIZON_BLOCK, /* the same, as far as the last read's beginning */
	FROM_HORIZON_END,   /* the same, as far as the end of the file */
	FROM_HOLE,
	FROM_NOWHERE,
};

static bool goes_on(const struct reading *reading, const struct request *request)
{
	return request->offset == reading->next;
}

/* On from the last read, or back into it. A read at offset 0 is a rewind instead. */
static bool touches_last(const struct reading *reading, const struct request *request)
{
	return request->offset > 0 && request->offset >= reading->from &&
	       request->offset <= reading->next;
}

/* The block before the last read. */
static bool steps_back(const struct reading *reading, const struct request *request)
{
	return reading->state != READING_NEW && request->offset < reading->from &&
	       reading->from - request->offset == request->bytes;
}

static bool is_near_end(const struct request *request)
{
	uint64_t size = request->file->size;
	return request->offset > 0 && request->offset < size &&
	       request->bytes <= size - request->offset;
}

static bool is_backwards(const struct reading *reading, const struct request *request)
{
	if (reading->state == READING_NEW)
		return is_near_end(request);
	return reading->backwards && steps_back(reading, request);
}

static bool reaches_end(const struct request *request)
{
	return request->bytes >= request->file->size - request->offset;
}

/* Below the horizon, and neither the first read nor in touch with a shifted one. */
static enum source source_below(const struct reading *reading, const struct request *request)
{
	const struct reading_file *file = request->file;
	bool is_back = steps_back(reading, request);
	bool is_seek = !goes_on(reading, request);
	if (is_back && reading->state == READING_EXACT && reading->from > file->horizon)
		return FROM_HORIZON_BLOCK;
	if (is_seek && file->horizon == file->size)
		return FROM_HORIZON_END;
	if (is_back && reading->backwards && file->horizon <= hole_max_bytes)
		return FROM_HOLE;
	if (request->offset == 0)
		return FROM_HORIZON;
	if (is_seek && reaches_end(request))
		return FROM_HORIZON_END;
	return FROM_NOWHERE;
}

static enum source source_of(const struct reading *reading, const struct request *request)
{
	uint64_t horizon = request->file->horizon;
	if (reading->state == READING_SHIFTED && touches_last(reading, request))
		return request->offset + reading->shift < horizon ? FROM_NOWHERE : FROM_LAST;
	if (request->offset >= horizon)
		return FROM_OFFSET;
	return reading->state == READING_NEW ? FROM_HORIZON : source_below(reading, request);
}

static int map_to(struct reading *reading, uint64_t offset, uint64_t to, uint64_t *ret_offset)
{
	reading->mapped_shift = to - offset;
	*ret_offset = to;
	return 0;
}

int reading_map(struct reading *reading, uint64_t offset, const struct reading_file *file,
	size_t *bytes, uint64_t *ret_offset)
{
	const struct request request = {offset, *bytes, file};
	reading->backwards = is_backwards(reading, &request);
	switch (source_of(reading, &request)) {
	case FROM_OFFSET:
		return map_to(reading, offset, offset, ret_offset);
	case FROM_LAST:
		return map_to(reading, offset, offset + reading->shift, ret_offset);
	case FROM_HORIZON:
		return map_to(reading, offset, file->horizon, ret_offset);
	case FROM_HORIZON_BLOCK:
		*bytes = (size_t)(reading->from - file->horizon);
		return map_to(reading, offset, file->horizon, ret_offset);
	case FROM_HORIZON_END:
		*bytes = (size_t)(file->size - file->horizon);
		return map_to(reading, offset, file->horizon, ret_offset);
	case FROM_HOLE:
		reading->mapped_shift = reading->shift;
		return -ENODATA;
	default:
		return -ESTALE;
	}
}

int reading_hole(void *buffer, size_t bytes, size_t *ret_bytes)
{
	memset(buffer, 0, bytes);
	*ret_bytes = bytes;
	return 0;
}

void reading_advance(struct reading *reading, uint64_t offset, size_t bytes)
{
	reading->shift = reading->mapped_shift;
	reading->state = reading->shift ? READING_SHIFTED : READING_EXACT;
	reading->from = offset;
	reading->next = offset + bytes;
}
