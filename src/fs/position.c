/* SPDX-License-Identifier: MIT */
#include "position.h"

#include <errno.h>

int position_map(
	struct position *position, uint64_t offset, uint64_t horizon, uint64_t *ret_offset)
{
	if (position->shifted && offset == position->next) {
		if (offset + position->shift < horizon)
			return -ESTALE;
		*ret_offset = offset + position->shift;
		return 0;
	}
	if (offset < horizon && position->begun && offset > 0)
		return -ESTALE;
	position->shifted = offset < horizon;
	position->shift = position->shifted ? horizon - offset : 0;
	*ret_offset = offset + position->shift;
	return 0;
}

void position_advance(struct position *position, uint64_t offset, size_t bytes)
{
	position->begun = true;
	position->next = offset + bytes;
}
