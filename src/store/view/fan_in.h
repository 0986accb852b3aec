/* SPDX-License-Identifier: MIT */
/*
 * The records of many shards as one sequence: of all shards of a stream, or of those that the
 * records of a key went to. By arrival; in a shard's order; and all records of a closed shard
 * before the first of those that it is a parent of. Shards that come later join.
 *
 * It takes, as long as it can, from the shard at hand, so that text goes over a chunk at a time
 * where chunks are large. Cursors that are not at hand are parked beyond a bound of memory and
 * files. One thread at a time.
 */
#ifndef STORE_FAN_IN_H
#define STORE_FAN_IN_H

#include "cursor.h"
#include "render.h"

#include "streamfs/view.h"

struct source;

struct fan_in {
	struct sfs_stream *stream;
	const struct sfs_view_spec *spec; /* borrowed, with its key */
	unsigned shape;			  /* of the stream, when the sources were made */
	bool listed;			  /* the first time is over: shards that come now are new */
	struct source **sources;	  /* by rising number */
	size_t count;
	struct source **heap; /* those with a next record, the earliest first */
	size_t heap_count;
	struct source *current; /* not in the heap; NULL: none */
	TAILQ_HEAD(loaded_list, source)
	loaded; /* cursors that hold memory, the one used last first */
	size_t loaded_count, loaded_bytes;
	uint64_t turn;
	bool removed; /* the stream is */
	bool lost;    /* a shard went with records that were not read */
	struct renderer renderer;
	struct buf out; /* JSON, or a newline, that is not handed out yet */
	size_t out_at;
	struct source *out_source; /* of the JSON in `out`; NULL: not of one */
	struct buf marks;	   /* struct mark[]: where in `out` its records begin */
	bool mid_record;	   /* the last byte handed out was no newline */
};

int fan_in_init(struct fan_in *f, struct sfs_stream *stream, const struct sfs_view_spec *spec);
void fan_in_fini(struct fan_in *f);
/* As sfs_view_read() and sfs_view_skip(). */
int fan_in_read(struct fan_in *f, void *buffer, size_t bytes, size_t *ret_bytes);
int fan_in_skip(struct fan_in *f);
/* Whether fan_in_read() might bring something else than 0 bytes. */
bool fan_in_might_have(struct fan_in *f);
/* The only shard that may get more for this view; NULL: any. */
struct sfs_shard *fan_in_growing(struct fan_in *f);

#endif
