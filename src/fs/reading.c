/* SPDX-License-Identifier: MIT */
#include "reading.h"

#include <errno.h>

int reading_map(
	struct reading *reading, uint64_t offset, uint64_t horizon, uint64_t *ret_offset)
{
	if (reading->shifted && offset == reading->next) {
		if (offset + reading->shift < horizon)
			return -ESTALE;
		*ret_offset = offset + reading->shift;
		return 0;
	}
	if (offset < horizon && reading->begun && offset > 0)
		return -ESTALE;
	reading->shifted = offset < horizon;
	reading->shift = reading->shifted ? horizon - offset : 0;
	*ret_offset = offset + reading->shift;
	return 0;
}

void reading_advance(struct reading *reading, uint64_t offset, size_t bytes)
{
	reading->begun = true;
	reading->next = offset + bytes;
}
