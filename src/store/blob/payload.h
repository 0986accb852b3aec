/* SPDX-License-Identifier: MIT */
/*
 * A payload in the making, of any size in bounded memory. Up to PAYLOAD_MEMORY_MAX bytes it is in
 * memory. A larger one is in a file without a name in the stream's blob directory: O_TMPFILE, or a
 * file that is unlinked at once where the disk lacks that.
 *
 * Invariants:
 *  1. All of it is in memory (fd is -1), or all of it is in the file. It goes from memory to a file,
 *     and back only when it is emptied.
 *  2. A failed call leaves the size as it was.
 *  3. With a budget, each open file has one of the budget's file slots.
 *
 * One thread at a time.
 */
#ifndef STORE_PAYLOAD_H
#define STORE_PAYLOAD_H

#include "buf.h"
#include "disk.h"

#include <stdatomic.h>
#include <stdbool.h>

enum {
	PAYLOAD_MEMORY_MAX = 1 << 20,
	PAYLOAD_MEMORY_TIGHT = 64 << 10, /* ... while many have much in memory */
	PAYLOAD_BUDGET_BYTES = 128 << 20,
};

/*
 * What the payloads of a store take together. When they have PAYLOAD_BUDGET_BYTES in memory, one
 * that grows goes to a file at PAYLOAD_MEMORY_TIGHT bytes; at half as much again, at any size. Any
 * thread may use it.
 */
struct payload_budget {
	atomic_size_t bytes, peak;
	atomic_uint files;
	unsigned max_files;
};
void payload_budget_init(struct payload_budget *budget, unsigned max_files);

struct payload {
	struct payload_budget *budget; /* NULL: none */
	size_t counted_bytes;	       /* of its memory */
	bool has_file_slot, keeps_file_slot;
	struct buf memory; /* all of it while fd < 0 */
	int fd;		   /* -1, or the file that has all of it */
	uint64_t size_bytes;
};

void payload_init(struct payload *payload, struct payload_budget *budget);
/* Keeps a file slot for it until payload_fini(), so that it can always go to a file. -ENFILE. */
int payload_reserve_file(struct payload *payload);
void payload_fini(struct payload *payload);
/* Empty again; keeps a little memory. */
void payload_reset(struct payload *payload);

/* Whether `size_bytes` of it stay in memory; if not, a write up to there needs a `spill_dir`. */
bool payload_fits(const struct payload *payload, uint64_t size_bytes);
/*
 * As pwrite(2) and ftruncate(2); `spill_dir` is where a file would go, -1: it stays in memory up to
 * PAYLOAD_MEMORY_MAX. A failed write leaves the payload with the size it had. -ENFILE: it would
 * need a file, and there are too many.
 */
int payload_write(struct payload *payload, const struct disk *disk, int spill_dir, uint64_t offset,
	const void *data, size_t bytes);
int payload_truncate(
	struct payload *payload, const struct disk *disk, int spill_dir, uint64_t size_bytes);
static inline int payload_append(struct payload *payload, const struct disk *disk, int spill_dir,
	const void *data, size_t bytes)
{
	return payload_write(payload, disk, spill_dir, payload->size_bytes, data, bytes);
}
/* Fewer bytes only at the end. */
int payload_read(const struct payload *payload, const struct disk *disk, uint64_t offset,
	void *buffer, size_t bytes, size_t *ret_bytes);

/*
 * Its first `bytes` (at most all) as memory: the buffer itself, or read into `scratch`, which is
 * the caller's. Borrowed until either changes.
 */
int payload_text(const struct payload *payload, const struct disk *disk, size_t bytes,
	struct buf *scratch, const char **ret_data);

/* SHA-256 of all of it, and where its first newline is (size_bytes: none). */
int payload_digest(const struct payload *payload, const struct disk *disk, uint8_t digest[32]);
int payload_find_newline(
	const struct payload *payload, const struct disk *disk, uint64_t *ret_offset);

#endif
