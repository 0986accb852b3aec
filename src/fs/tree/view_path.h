/* SPDX-License-Identifier: MIT */
/*
 * Where a view is below its stream. The path has a start (since/WHEN, live, or neither), then json
 * or not, then keys/KEY, a shard, or all:
 *
 *   json/  since/WHEN/  since/WHEN/json/  live/  live/json/      tops: hold what can follow
 *   since/                                                       holds a WHEN
 *   keys/ in the stream and in each top                          holds a KEY
 *   all, shard-0000 in each top, all in the stream; keys/KEY     files
 *
 * A view_path is one of these. Immutable once made, but for its view.
 */
#ifndef FS_VIEW_PATH_H
#define FS_VIEW_PATH_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "streamfs/view.h"

enum view_path_kind {
	VIEW_PATH_TOP,
	VIEW_PATH_SINCE, /* since/ itself */
	VIEW_PATH_KEYS,
	VIEW_PATH_SHARD,
	VIEW_PATH_KEY,
	VIEW_PATH_ALL,
};

enum { VIEW_PATH_WHEN_MAX = 63 };

struct view_path {
	enum view_path_kind kind;
	enum sfs_view_start start;
	bool json;
	/* As it was written; an age is worked out anew at each lookup. */
	char when[VIEW_PATH_WHEN_MAX + 1];
	uint64_t since_ms; /* files: what `when` was at the lookup */
	uint32_t shard;	   /* VIEW_PATH_SHARD: its number */
	char *name;	   /* VIEW_PATH_KEY: the key's name as it was written */
	char *key;
	size_t key_bytes;

	pthread_mutex_t lock;
	struct sfs_view *view; /* lock; of paths with a size: all handles read by it */
};

struct view_path *view_path_new(
	enum view_path_kind kind, enum sfs_view_start start, bool json); /* NULL: no memory */
void view_path_free(struct view_path *path);				 /* NULL is fine */

/*
 * What `name` is in `dir` (NULL: in the stream's own directory). -ENOENT: nothing. A path that
 * needs a view does not have one yet.
 */
int view_path_resolve(const struct view_path *dir, const char *name, struct view_path **ret_path);
/* The fixed names that a directory lists; NULL ends them. A stream lists no views. */
const char *const *view_path_names(const struct view_path *dir);

bool view_path_is_dir(const struct view_path *path);
/* Its file has an exact size, can be sought in, and grows. */
bool view_path_has_size(const struct view_path *path);
bool view_path_is_live(const struct view_path *path);
/* keys/KEY in the stream itself takes records. */
bool view_path_is_writable(const struct view_path *path);

/* Whether two paths name the same view of a stream; since_ms does not count. */
bool view_path_equal(const struct view_path *a, const struct view_path *b);
/* For inode numbers: the same for equal paths. */
uint64_t view_path_hash(const struct view_path *path, uint64_t stream_id);

/* The view at this path of the stream. */
int view_path_open_view(
	const struct view_path *path, struct sfs_stream *stream, struct sfs_view **ret_view);

#endif
