/* SPDX-License-Identifier: MIT */
/*
 * The fan-in: the records of many shards as one sequence. They are all shards of a stream, or those
 * that a key's records go to; shards that come later join. Records come by arrival, but each
 * shard's in its own order, and all records of a closed shard before those of its children.
 *
 * Records are taken from one source, the current one, for as long as they are next, so that large
 * chunks are handed out whole. One thread at a time.
 *
 * Invariants, whenever no call is under way:
 *  1. `sources` has one source a shard, by rising number: the stream's shards of the time when its
 *     shape was `shape`.
 *  2. A source is queued exactly if it is in the heap or current. What is in the heap has a next
 *     record, or an error, at its `head_ms`.
 *  3. The heap has room for all sources: a push cannot fail.
 *  4. A source is queued only when the sources of all its shard's parents are done.
 *  5. A record that was begun is finished before another source is current. If it cannot be
 *     finished, a newline ends it.
 *  6. What is rendered ahead in `out` is handed out before anything else, or dropped because a
 *     trim took its records.
 */
#ifndef STORE_FAN_IN_H
#define STORE_FAN_IN_H

#include "render.h"
#include "source.h"

/* Where a record that was rendered begins. */
struct render_mark {
	size_t at;	      /* in the JSON */
	uint64_t text_offset; /* in the shard's text, at the latest */
};

/* Lines of JSON, or a newline, that wait to be handed out. */
struct rendered {
	struct buf bytes;
	size_t at;	       /* what is before it was handed out */
	struct source *source; /* of the records; NULL: it is a newline */
	VECTOR(, struct render_mark) marks;
};

struct fan_in {
	struct sfs_stream *stream;
	const struct sfs_view_spec *spec; /* borrowed, with its key */
	unsigned shape;
	bool listed;  /* the sources were listed once: shards that come now are new */
	bool removed; /* the stream was */
	bool lost;    /* a shard was removed with records that were not read */
	struct source_vector sources;
	struct source_vector heap;
	struct source *current; /* NULL: none */
	struct loaded_sources loaded;
	uint64_t turn; /* counts fan_in_read() */
	struct renderer renderer;
	struct rendered out;
	bool mid_record; /* the last byte that was handed out was no newline */
};

/* 0, or -errno, and then there is nothing to release. */
int fan_in_init(struct fan_in *f, struct sfs_stream *stream, const struct sfs_view_spec *spec);
void fan_in_fini(struct fan_in *f);
/* As sfs_view_read() and sfs_view_skip(). */
int fan_in_read(struct fan_in *f, void *buffer, size_t bytes, size_t *ret_bytes);
int fan_in_skip(struct fan_in *f);
/* Whether fan_in_read() might return something else than 0 bytes. */
bool fan_in_might_have(struct fan_in *f);
/* The only shard that may get more records for this view; NULL: any shard may. */
struct sfs_shard *fan_in_growing(struct fan_in *f);

#endif
