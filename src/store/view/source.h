/* SPDX-License-Identifier: MIT */
/*
 * A source is one shard's part of a fan-in: a cursor, and the arrival of its next record, which
 * orders the sources. Two collections of sources stand here as well: the heap, by that order, and
 * the loaded ones, by their last use. A source belongs to one thread at a time.
 *
 * Life: made, started (its first record is known), done (its shard is closed and was read to the
 * end). A shard that cannot be opened leaves its source unstarted, with an error in place of a
 * record.
 */
#ifndef STORE_SOURCE_H
#define STORE_SOURCE_H

#include "cursor.h"
#include "vector.h"

#include "streamfs/view.h"

struct source {
	struct sfs_shard *shard;
	struct cursor cursor;
	bool from_first;       /* the shard came after the view was opened: all of it counts */
	bool started;	       /* the cursor is at the source's first record, or behind it */
	bool closed;	       /* the shard will have no more records than it has */
	bool done;	       /* ... and all of them were read */
	bool queued;	       /* in the fan-in's heap, or its current source */
	bool kept;	       /* while a new table is made: it is in that one, too */
	int error;	       /* why the shard could not be opened */
	uint64_t head_ms;      /* arrival of the next record; 0 where an error is next */
	uint64_t checked_turn; /* the fan-in's turn in which the horizon was last looked at */
	bool is_loaded;	       /* on the list of loaded sources: */
	size_t loaded_bytes;   /* what its cursor is counted with */
	TAILQ_ENTRY(source) loaded_link;
};

VECTOR(source_vector, struct source *);

/* A source whose cursor takes what `spec` selects; its key is borrowed. NULL: no memory. */
struct source *source_new(struct sfs_shard *shard, const struct sfs_view_spec *spec);
void source_free(struct source *s); /* not a loaded one */

/* Opens the shard and finds the source's first record. -ENODATA: it is not there yet. */
int source_start(struct source *s, const struct sfs_view_spec *spec);
/*
 * Looks for the next record, and starts the source for that if need be. 0: there is one, or an
 * error in its place, and `head_ms` orders it. -ENODATA: nothing is next.
 */
int source_peek(struct source *s, const struct sfs_view_spec *spec);
/* Whether source_peek() might find something. Reads nothing. */
bool source_might_have(const struct source *s, const struct sfs_view_spec *spec);
/* Whether the shard was removed with records that the source had not read. */
bool source_lost_records(const struct source *s);

/* The source whose next record arrived first is heap->items[0]; ties go by shard number. */
void source_heap_push(struct source_vector *heap, struct source *s); /* there is room for it */
struct source *source_heap_pop(struct source_vector *heap);

/* The sources whose cursors hold a chunk and a file, the one that was used last first. */
struct loaded_sources {
	TAILQ_HEAD(loaded_list, source) list;
	size_t count, bytes;
};
void loaded_init(struct loaded_sources *loaded);
/*
 * The source's cursor was used. Those that were not used for longest are parked while there are
 * too many, or they hold too much; `current`, which may be NULL, and `s` are not.
 */
void loaded_use(struct loaded_sources *loaded, struct source *s, const struct source *current);
/* Parks the cursor of a source, if it is a loaded one. */
void loaded_park(struct loaded_sources *loaded, struct source *s);

#endif
