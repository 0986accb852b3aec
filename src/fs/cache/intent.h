/* SPDX-License-Identifier: MIT */
/*
 * What each thread last wanted of a file: to read it, to write it, to have it for itself. LOOKUP
 * must choose the node before OPEN tells how it is opened, so a wrong guess is answered ESTALE at
 * OPEN, noted here, and made good by the lookup that the kernel then repeats in the same thread.
 *
 * Bounded; the least recently noted goes first. Thread-safe.
 */
#ifndef FS_INTENT_H
#define FS_INTENT_H

#include <stdint.h>
#include <sys/types.h>

enum intent { INTENT_UNKNOWN, INTENT_READ, INTENT_WRITE, INTENT_CREATE };

struct intent_table;

struct intent_table *intent_table_new(void); /* NULL: out of memory */
void intent_table_free(struct intent_table *table);

/* INTENT_UNKNOWN forgets. Returns what was noted before; without memory notes nothing. */
enum intent intent_note(struct intent_table *table, pid_t tid, uint64_t file, enum intent intent);
enum intent intent_get(struct intent_table *table, pid_t tid, uint64_t file);

#endif
