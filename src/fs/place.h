/* SPDX-License-Identifier: MIT */
/*
 * The views' part of the tree. A path goes on from a stream: a start (since/WHEN, live, or
 * neither), then json or not, then keys/KEY, a shard, or all:
 *
 *   json/  since/WHEN/  since/WHEN/json/  live/  live/json/      tops: hold what can follow
 *   since/                                                       holds a WHEN
 *   keys/ in the stream and in each top                          holds a KEY
 *   all, shard-0000 in each top, all in the stream; keys/KEY     files
 *
 * A place is one of these. Immutable once made, but for its view.
 */
#ifndef FS_PLACE_H
#define FS_PLACE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "streamfs/view.h"

enum place_kind {
	PLACE_TOP,
	PLACE_SINCE, /* since/ itself */
	PLACE_KEYS,
	PLACE_SHARD,
	PLACE_KEY,
	PLACE_ALL,
};

enum { PLACE_WHEN_MAX = 63 };

struct place {
	enum place_kind kind;
	enum sfs_view_start start;
	bool json;
	char when[PLACE_WHEN_MAX + 1]; /* as it was written; an age is worked out at each lookup */
	uint64_t since_ms;	       /* files: what it was when this one was looked up */
	uint32_t shard;		       /* PLACE_SHARD: its number */
	char *name;		       /* PLACE_KEY: the key's name as it was written */
	char *key;
	size_t key_bytes;

	pthread_mutex_t lock;
	struct sfs_view *view; /* PLACE_SHARD but live ones: under lock; all handles read by it */
};

struct place *place_new(
	enum place_kind kind, enum sfs_view_start start, bool json); /* NULL: no memory */
void place_free(struct place *place);				     /* NULL is fine */

/*
 * What `name` is in a place (NULL: in the stream's own directory). -ENOENT: nothing. A place that
 * needs a view does not have one yet.
 */
int place_resolve(const struct place *dir, const char *name, struct place **ret_place);
/* The fixed names that a place lists; NULL ends them. A stream lists no views. */
const char *const *place_names(const struct place *dir);

bool place_is_dir(const struct place *place);
/* Its file has an exact size, can be sought in, and grows. */
bool place_has_size(const struct place *place);
bool place_is_live(const struct place *place);
/* keys/KEY in the stream itself takes records. */
bool place_is_writable(const struct place *place);

/* The same view of a stream; since_ms does not count. For inode numbers: alike for the same path.
 */
uint64_t place_hash(const struct place *place, uint64_t stream_id);
bool place_equal(const struct place *a, const struct place *b);

/* A view of this place of the stream. */
int place_open_view(
	const struct place *place, struct sfs_stream *stream, struct sfs_view **ret_view);

#endif
