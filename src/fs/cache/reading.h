/* SPDX-License-Identifier: MIT */
/*
 * Where a handle reads in a file whose beginning was trimmed. Offsets stay what they were, but who
 * reads from the beginning is given what is there: a reading that begins below the horizon (the
 * first of a handle, or one at offset 0) begins at the horizon and goes on from there, although the
 * kernel counts from where it asked. It may go back into what it read last, as shells do that have
 * read more than a line. Who was in the middle when a trim passed him is told: -ESTALE.
 *
 * Who reads back from the end, as tail and less do, is given of the block that the horizon is in
 * what is there; below it tail finds the hole that lseek(2) tells of.
 *
 * Zero-initialised is a handle that has read nothing. Not thread-safe.
 */
#ifndef FS_READING_H
#define FS_READING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct reading {
	bool backwards; /* all of its reads: from the end, one block before the other */
	bool begun;	/* it has read */
	bool shifted;	/* what it reads is `shift` further on than the kernel counts */
	uint64_t from;	/* where the kernel counts the last read's beginning */
	uint64_t next;	/* and its end */
	uint64_t shift;
};

struct reading_file {
	uint64_t horizon;
	uint64_t size;
};

/*
 * Which offset a read at `offset` is to be served from, and how many of its bytes at most.
 *   -ESTALE   it fell behind the horizon
 *   -ENODATA  it is in the hole: reading_hole() brings what it reads
 */
int reading_map(struct reading *reading, uint64_t offset, const struct reading_file *file,
	size_t *bytes, uint64_t *ret_offset);
int reading_hole(void *buffer, size_t bytes, size_t *ret_bytes);
/* The read at `offset` brought so many bytes. */
void reading_advance(struct reading *reading, uint64_t offset, size_t bytes);

#endif
