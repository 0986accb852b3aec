/* SPDX-License-Identifier: MIT */
#include "reading.h"

#include <errno.h>
#include <string.h>

/* A gap that is larger is not worth the steps back through it. */
static const uint64_t hole_max_bytes = UINT64_C(1) << 30;

/* The last read was a shifted one, and this goes on from it or back into it. */
static bool is_in_shifted(const struct reading *reading, uint64_t offset)
{
	return reading->shifted && offset > 0 && offset >= reading->from && offset <= reading->next;
}

/* The block before the one that was read last. */
static bool steps_back(const struct reading *reading, uint64_t offset, size_t bytes)
{
	return reading->begun && offset < reading->from && reading->from - offset == bytes;
}

static int shift_to(struct reading *reading, uint64_t offset, uint64_t horizon)
{
	reading->shifted = offset < horizon;
	reading->shift = reading->shifted ? horizon - offset : 0;
	return 0;
}

/* Goes on at the horizon, and not beyond `end`, which the caller takes for offset + bytes. */
static int shift_until(struct reading *reading, uint64_t offset, size_t *bytes,
	const struct reading_file *file, uint64_t end)
{
	*bytes = (size_t)(end - file->horizon);
	return shift_to(reading, offset, file->horizon);
}

/* Not the first read of the handle, and below the horizon. */
static int shift_below(
	struct reading *reading, uint64_t offset, size_t *bytes, const struct reading_file *file)
{
	bool is_back = steps_back(reading, offset, *bytes);
	if (is_back && !reading->shifted && reading->from > file->horizon)
		return shift_until(reading, offset, bytes, file, reading->from);
	if (offset != reading->next && file->horizon == file->size)
		return shift_until(reading, offset, bytes, file, file->size);
	if (is_back && reading->backwards && file->horizon <= hole_max_bytes)
		return -ENODATA;
	if (offset == 0)
		return shift_to(reading, offset, file->horizon);
	if (offset != reading->next && *bytes >= file->size - offset)
		return shift_until(reading, offset, bytes, file, file->size);
	return -ESTALE;
}

static int shift_for(
	struct reading *reading, uint64_t offset, size_t *bytes, const struct reading_file *file)
{
	if (is_in_shifted(reading, offset))
		return offset + reading->shift < file->horizon ? -ESTALE : 0;
	if (reading->begun && offset < file->horizon)
		return shift_below(reading, offset, bytes, file);
	return shift_to(reading, offset, file->horizon);
}

static void note_direction(
	struct reading *reading, uint64_t offset, size_t bytes, const struct reading_file *file)
{
	if (reading->begun)
		reading->backwards = reading->backwards && steps_back(reading, offset, bytes);
	else
		reading->backwards =
			offset > 0 && offset < file->size && bytes <= file->size - offset;
}

int reading_map(struct reading *reading, uint64_t offset, const struct reading_file *file,
	size_t *bytes, uint64_t *ret_offset)
{
	note_direction(reading, offset, *bytes, file);
	int r = shift_for(reading, offset, bytes, file);
	if (r < 0)
		return r;
	*ret_offset = offset + reading->shift;
	return 0;
}

int reading_hole(void *buffer, size_t bytes, size_t *ret_bytes)
{
	memset(buffer, 0, bytes);
	*ret_bytes = bytes;
	return 0;
}

void reading_advance(struct reading *reading, uint64_t offset, size_t bytes)
{
	reading->begun = true;
	reading->from = offset;
	reading->next = offset + bytes;
}
