/* SPDX-License-Identifier: MIT */
/*
 * The watermark of a shard: how far it is known to be durable, kept outside the data. Below it a
 * bad chunk is damage; above it, at the very end, a torn write.
 *
 * Invariants:
 *   1. It may lag, never lead: it is written after the sync that it records.
 *   2. The horizon is never above the synced text.
 *   3. Two slots are written in turn, so a torn slot leaves the other. The good slot with the
 *      higher counter counts.
 *
 * A slot costs no sync of its own: the header of the next chunk repeats it, and it is synced when
 * the shard becomes idle. One thread at a time uses a shard's watermark.
 */
#ifndef STORE_WATERMARK_H
#define STORE_WATERMARK_H

#include "disk.h"
#include "format.h"
#include "position.h"

#define WATERMARK_FILE "synced" /* of a shard, in its directory */

struct watermark {
	uint64_t counter; /* 0: never written */
	struct position synced;
	struct position horizon;
	uint64_t horizon_arrival_ms; /* of the last record before the horizon */
};

/* -ENOENT: there is no file, or an empty one. -EBADMSG: it has no good slot of this owner. */
int watermark_load(const struct disk *disk, int dir, const char *name, uint64_t owner,
	struct watermark *ret_watermark);
/* Checks that each byte of the file is part of a good slot, or zero. -EBADMSG. */
int watermark_verify(const struct disk *disk, int dir, const char *name, uint64_t owner);
/* Writes the slot whose turn it is and raises the counter; not durable. */
int watermark_store(const struct disk *disk, int fd, uint64_t owner, struct watermark *watermark);

#endif
