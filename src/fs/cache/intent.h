/* SPDX-License-Identifier: MIT */
/*
 * What each thread last wanted of a file: to read it, to write it, to have it for itself.
 *
 * LOOKUP must choose a node before OPEN shows how the file is opened. A wrong guess is answered
 * with ESTALE at OPEN and noted here. The kernel then looks the name up again in the same thread,
 * and this time the right node is chosen.
 *
 * Holds a bounded number of notes; the least recent one goes first. Thread-safe.
 */
#ifndef FS_INTENT_H
#define FS_INTENT_H

#include <stdint.h>
#include <sys/types.h>

enum intent { INTENT_UNKNOWN, INTENT_READ, INTENT_WRITE, INTENT_CREATE };

struct intent_table;

struct intent_table *intent_table_new(void); /* NULL: out of memory */
void intent_table_free(struct intent_table *table);

/* INTENT_UNKNOWN forgets. Returns the intent noted before. Without memory it notes nothing. */
enum intent intent_note(struct intent_table *table, pid_t tid, uint64_t file, enum intent intent);
enum intent intent_get(struct intent_table *table, pid_t tid, uint64_t file);

#endif
