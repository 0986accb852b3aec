/* SPDX-License-Identifier: MIT */
/*
 * A payload in the making, of any size in bounded memory: bytes up to PAYLOAD_MEMORY_MAX are held
 * in memory, more goes to a file without a name (O_TMPFILE; where the disk lacks that, a file that
 * is unlinked at once) in the stream's blob directory. One thread at a time.
 */
#ifndef STORE_PAYLOAD_H
#define STORE_PAYLOAD_H

#include "buf.h"
#include "disk.h"

#include <stdbool.h>

enum { PAYLOAD_MEMORY_MAX = 1 << 20 };

struct payload {
	struct buf memory;   /* all of it while fd < 0 */
	int fd;		     /* -1, or the file that has all of it */
	uint64_t size_bytes;
};

void payload_init(struct payload *payload);
void payload_fini(struct payload *payload);
/* Empty again; keeps a little memory. */
void payload_reset(struct payload *payload);

/* As pwrite(2) and ftruncate(2); `spill_dir` is where a file would go. A failed write leaves the
 * payload with the size it had. */
int payload_write(struct payload *payload, const struct disk *disk, int spill_dir,
	uint64_t offset, const void *data, size_t bytes);
int payload_truncate(struct payload *payload, const struct disk *disk, int spill_dir,
	uint64_t size_bytes);
static inline int payload_append(struct payload *payload, const struct disk *disk, int spill_dir,
	const void *data, size_t bytes)
{
	return payload_write(payload, disk, spill_dir, payload->size_bytes, data, bytes);
}
/* Fewer bytes only at the end. */
int payload_read(const struct payload *payload, const struct disk *disk, uint64_t offset,
	void *buffer, size_t bytes, size_t *ret_bytes);

/*
 * The whole of it as memory, to look for a key: the buffer itself or a read-only mapping of the
 * file. Give it back with payload_unmap() before the payload changes. Empty: NULL, 0.
 */
int payload_map(const struct payload *payload, const char **ret_data);
void payload_unmap(const struct payload *payload, const char *data);

/* SHA-256 of all of it, and where its first newline is (size_bytes: none). */
int payload_digest(const struct payload *payload, const struct disk *disk, uint8_t digest[32]);
int payload_find_newline(
	const struct payload *payload, const struct disk *disk, uint64_t *ret_offset);

#endif
