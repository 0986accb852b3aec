/* SPDX-License-Identifier: MIT */
/*
 * What follows a line that was refused for its size. Two things make that more than an error:
 *
 * - A line can come in many writes. When it is over the limit before its newline has come, all of
 *   it up to the newline is refused: the rest of it is no record of its own.
 * - The kernel hands a large write(2) over in pieces. If a later piece is refused, the program sees
 *   a short write, not the error, and writes the rest again. That must be refused again.
 *
 * The state after a refusal, by what the refused bytes were:
 *
 *     the line's end, and the program sees the error           REFUSAL_NONE
 *     the line's end, and the program sees a short write       REFUSAL_END
 *     a part of the line without its end                       REFUSAL_PART
 *
 * The bytes that come next:
 *
 *     state           they are                                 result    new state
 *     REFUSAL_NONE    any                                      taken     REFUSAL_NONE
 *     REFUSAL_END     the same again                           refused   REFUSAL_NONE
 *                     others: the program knows                taken     REFUSAL_NONE
 *     REFUSAL_PART    the same again                           refused   REFUSAL_PART
 *                     others, with a newline                   refused   REFUSAL_NONE
 *                     others, without one                      refused   REFUSAL_REST
 *     REFUSAL_REST    some with a newline                      refused   REFUSAL_NONE
 *                     some without one                         refused   REFUSAL_REST
 *
 * A zeroed struct is REFUSAL_NONE. One thread at a time.
 */
#ifndef WRITE_REFUSAL_H
#define WRITE_REFUSAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum refusal_state { REFUSAL_NONE, REFUSAL_END, REFUSAL_PART, REFUSAL_REST };

struct refusal {
	enum refusal_state state;
	int error; /* -errno that belongs to the line */
	/* REFUSAL_END, REFUSAL_PART: what was refused */
	size_t bytes;
	uint64_t hash;
};

/* Notes a refusal. `data` begins the line or goes on with it. Returns `error`. */
int refusal_begin(
	struct refusal *refusal, int error, const char *data, size_t bytes, bool is_short_write);
/* What becomes of the next bytes, at least one: 0 they are taken, else the error of the line. */
int refusal_check(struct refusal *refusal, const char *data, size_t bytes);
/* The line is over, whatever came of it. */
void refusal_end(struct refusal *refusal);

#endif
