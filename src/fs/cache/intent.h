/* SPDX-License-Identifier: MIT */
/*
 * For what each thread last opened a file: to read, to write, or to create.
 *
 * LOOKUP must choose a node before OPEN shows how the file is opened. After a wrong guess OPEN
 * replies ESTALE and notes the intent here. The kernel then looks the name up again in the same
 * thread, and LOOKUP chooses the right node.
 *
 * Holds a bounded number of notes; the least recent one is dropped first. Thread-safe.
 */
#ifndef FS_INTENT_H
#define FS_INTENT_H

#include <stdint.h>
#include <sys/types.h>

enum intent { INTENT_UNKNOWN, INTENT_READ, INTENT_WRITE, INTENT_CREATE };

struct intent_table;

struct intent_table *intent_table_new(void); /* NULL: out of memory */
void intent_table_free(struct intent_table *table);

/* Returns the intent noted before. INTENT_UNKNOWN drops the note. Without memory notes nothing. */
enum intent intent_note(struct intent_table *table, pid_t tid, uint64_t file, enum intent intent);
enum intent intent_get(struct intent_table *table, pid_t tid, uint64_t file);

#endif
