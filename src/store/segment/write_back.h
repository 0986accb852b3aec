/* SPDX-License-Identifier: MIT */
/* Writing again what may not have reached the disk. */
#ifndef SEGMENT_WRITE_BACK_H
#define SEGMENT_WRITE_BACK_H

#include "index.h"

/*
 * Writes the chunks of a segment that end above `from_offset` once more, in place,
 * each checked before. For text that a process before this one wrote and did not sync: where its
 * sync failed, the kernel holds it in clean pages, and the next sync would succeed without a write.
 */
int segment_write_back(const struct disk *disk, int fd, uint64_t owner, const struct index *index,
	uint64_t from_offset);

#endif
