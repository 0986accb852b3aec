/* SPDX-License-Identifier: MIT */
/*
 * The watermark of a shard: how far it is known to be durable, kept outside the data. It is
 * written after the sync it tells of and may lag, never lead. Below it a bad chunk is damage;
 * above it, at the very end, a torn write.
 *
 * Two slots are written in turn, so that a torn slot leaves the other. A slot costs no sync of
 * its own: the next chunk's header repeats it, and it is synced when the shard goes idle.
 */
#ifndef STORE_WATERMARK_H
#define STORE_WATERMARK_H

#include "disk.h"
#include "format.h"
#include "position.h"

struct watermark {
	uint64_t counter; /* 0: never written */
	struct position synced;
	struct position horizon;
	uint64_t horizon_arrival_ms; /* of the last record before the horizon */
};

/* -ENOENT: no file. -EBADMSG: a file, but no good slot of this owner. */
int watermark_load(const struct disk *disk, int dir, const char *name, uint64_t owner,
	struct watermark *ret_watermark);
/* Every byte of the file is that of a good slot, or zero. -EBADMSG: not so. */
int watermark_verify(const struct disk *disk, int dir, const char *name, uint64_t owner);
/* Writes the slot that is next in turn; counts on. The file is made if need be. */
int watermark_store(const struct disk *disk, int fd, uint64_t owner, struct watermark *watermark);

#endif
