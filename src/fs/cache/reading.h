/* SPDX-License-Identifier: MIT */
/*
 * A handle's position in a file whose beginning was trimmed.
 *
 * A trim changes no offsets: the text that is left begins at the trim horizon, and below it there
 * is none. But programs read a file from offset 0, and must get the text that is left. So a reading
 * that begins below the horizon is served from the horizon on. From then on it is shifted: it is
 * served `shift` bytes above the kernel's offset. The kernel does not know of the shift.
 *
 *             at or above the horizon
 *      NEW ----------------------------> EXACT <---+ at or above the horizon
 *       |                                | ^ |     |
 *       |                 below it,      | | +-----+
 *       | below the       served from    | |
 *       | horizon         the horizon    | | at or above the horizon,
 *       |                                v | not in touch with the last read
 *       +----------------------------> SHIFTED <---+ goes on from the last read,
 *                                            |     | or back into it
 *                                            +-----+
 *
 * What a read at an offset below the horizon gets; the first line that fits counts. `last` is the
 * last read, as the kernel counts.
 *
 *   the reading is shifted, and the read goes    the text, with the same shift as `last`;
 *   on from `last` or back into it               -ESTALE if a trim overtook it
 *   the first read                               the text from the horizon on
 *   one block back from `last`, which was        the part of the block that is left
 *   exact and began above the horizon
 *   a seek, and nothing is left of the file      nothing: the end of the file
 *   one block back, and so was every read        zeros: the hole that lseek(2) reports (tail, less)
 *   offset 0                                     the text from the horizon on: a rewind
 *   a seek, and the read reaches the end         the text from the horizon to the end
 *   any other                                    -ESTALE: a trim overtook the reader
 *
 * A shell goes back into the last read when it has read more than a line. A seek is a read that
 * does not go on from `last`.
 *
 * Not thread-safe. All zero is a handle that has read nothing.
 */
#ifndef FS_READING_H
#define FS_READING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum reading_state {
	READING_NEW, /* has read nothing */
	READING_EXACT,
	READING_SHIFTED,
};

struct reading {
	enum reading_state state;
	bool backwards;	       /* all reads: the first near the end, each other one block before */
	uint64_t from;	       /* the first offset of `last` */
	uint64_t next;	       /* the offset behind `last` */
	uint64_t shift;	       /* READING_SHIFTED: above 0; else 0 */
	uint64_t mapped_shift; /* of the read that reading_map() mapped last */
};

struct reading_file {
	uint64_t horizon;
	uint64_t size;
};

/*
 * Finds the offset from which to serve a read at `offset`. Lowers `bytes` if less may be served.
 *   -ESTALE   a trim overtook the reader
 *   -ENODATA  it is in the hole: reading_hole() serves it
 */
int reading_map(struct reading *reading, uint64_t offset, const struct reading_file *file,
	size_t *bytes, uint64_t *ret_offset);
int reading_hole(void *buffer, size_t bytes, size_t *ret_bytes);
/* Notes that the mapped read at `offset` returned `bytes`. Not called after a failed read. */
void reading_advance(struct reading *reading, uint64_t offset, size_t bytes);

#endif
