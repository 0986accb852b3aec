/* SPDX-License-Identifier: MIT */
/*
 * What a chunk knows of its records beside their text: keys, arrival times, claim checks. A
 * meta_writer collects it record by record and leaves out what is the same for all; a meta_view
 * reads it back.
 *
 * Invariants of a writer:
 *  1. Records come in their order in the chunk; arrival times never decrease.
 *  2. At most half of the slots are taken. Each key has one, and one entry in the table.
 *  3. No record comes between meta_writer_finish() and meta_writer_reset().
 * Of a view:
 *  4. Nothing behind the raw meta is read, whatever it holds. meta_view_init() checks the bounds of
 *     the sections, meta_view_next() those within one.
 *  5. What meta_record points to lies in the raw meta.
 */
#ifndef STORE_META_H
#define STORE_META_H

#include "buf.h"
#include "claim_check.h"
#include "vector.h"

#include <stdbool.h>

struct key_entry; /* of the table of keys */

struct meta_writer {
	struct buf keys;  /* {LEB128 length, bytes} of each key of the table */
	struct buf codes; /* of each record, as META_KEYS has them */
	struct buf times;
	struct buf claims;
	VECTOR(, struct key_entry) table; /* the keys, in the order of their first record */
	VECTOR(, uint32_t) slots;	  /* hash table: index into `table` + 1; 0: free */
	uint32_t records;
	uint32_t keyed_records;
	uint32_t claim_count;
	uint32_t claim_last; /* record behind the last claim */
	uint64_t run_ms;     /* arrival of the run that is being counted */
	uint32_t run_records;
	uint64_t first_ms, last_ms;
	bool many_times;
	bool finished;
	struct buf out;
};

void meta_writer_fini(struct meta_writer *w);
/* Starts a chunk. */
void meta_writer_reset(struct meta_writer *w);
/* The next record; key_bytes 0: no key; claim NULL: an ordinary one. 0 or -ENOMEM. */
int meta_writer_record(struct meta_writer *w, const char *key, size_t key_bytes,
	uint64_t arrival_ms, const struct claim *claim);
/* The finished sections: borrowed until the next reset. NULL: no memory. */
const struct buf *meta_writer_finish(struct meta_writer *w);

/* Reads the records of a chunk in order. */
struct meta_view {
	const uint8_t *codes, *codes_end; /* NULL: all alike */
	const uint8_t *times, *times_end;
	const uint8_t *claims, *claims_end;
	const uint8_t *single_key;
	size_t single_key_bytes;
	struct key_ref {
		const uint8_t *data;
		size_t bytes;
	} *table;
	uint64_t table_count, table_next;
	uint64_t run_left, run_ms;
	uint64_t claims_left, claim_wait;
};

/* `raw` is borrowed for the view's life. -EBADMSG, -ENOMEM. */
int meta_view_init(struct meta_view *v, const struct buf *raw, uint64_t arrival_ms);
void meta_view_fini(struct meta_view *v);

struct meta_record {
	const uint8_t *key; /* NULL: none */
	size_t key_bytes;
	uint64_t arrival_ms;
	bool has_claim;
	struct claim claim;
};
/* The next record; the caller knows how many there are. -EBADMSG. */
int meta_view_next(struct meta_view *v, struct meta_record *ret_record);

#endif
