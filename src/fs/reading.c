/* SPDX-License-Identifier: MIT */
#include "reading.h"

#include <errno.h>

/* The last read was a shifted one, and this goes on from it or back into it. */
static bool is_in_shifted(const struct reading *reading, uint64_t offset)
{
	return reading->shifted && offset > 0 && offset >= reading->from && offset <= reading->next;
}

/* The block before the one that was read last, with the horizon in it. */
static bool steps_back_over(
	const struct reading *reading, uint64_t offset, size_t bytes, uint64_t horizon)
{
	return !reading->shifted && reading->from > horizon && offset < reading->from &&
	       reading->from - offset == bytes;
}

static int shift_to(struct reading *reading, uint64_t offset, uint64_t horizon)
{
	reading->shifted = offset < horizon;
	reading->shift = reading->shifted ? horizon - offset : 0;
	return 0;
}

static int shift_for(struct reading *reading, uint64_t offset, size_t *bytes, uint64_t horizon)
{
	if (is_in_shifted(reading, offset))
		return offset + reading->shift < horizon ? -ESTALE : 0;
	if (offset < horizon && steps_back_over(reading, offset, *bytes, horizon))
		*bytes = (size_t)(reading->from - horizon);
	else if (offset < horizon && offset > 0 && reading->begun)
		return -ESTALE;
	return shift_to(reading, offset, horizon);
}

int reading_map(struct reading *reading, uint64_t offset, uint64_t horizon, size_t *bytes,
	uint64_t *ret_offset)
{
	int r = shift_for(reading, offset, bytes, horizon);
	if (r < 0)
		return r;
	*ret_offset = offset + reading->shift;
	return 0;
}

void reading_advance(struct reading *reading, uint64_t offset, size_t bytes)
{
	reading->begun = true;
	reading->from = offset;
	reading->next = offset + bytes;
}
