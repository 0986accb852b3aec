/* SPDX-License-Identifier: MIT */
/* Writes again what may not have reached the disk. */
#ifndef SEGMENT_WRITE_BACK_H
#define SEGMENT_WRITE_BACK_H

#include "index.h"

/*
 * Writes the chunks of a segment that end above `from_offset` again, in place; each is checked
 * first. For text that an earlier process wrote and did not sync: where that process saw a sync
 * fail, the kernel holds the text in clean pages, and the next sync would succeed without a write.
 * -EBADMSG: a chunk is not what the index has. Not durable: the caller syncs.
 */
int segment_write_back(const struct disk *disk, int fd, uint64_t owner, const struct index *index,
	uint64_t from_offset);

#endif
