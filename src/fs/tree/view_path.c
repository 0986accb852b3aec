/* SPDX-License-Identifier: MIT */
#include "view_path.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "keyname.h"
#include "streamfs/shard.h"
#include "when.h"

struct view_path *view_path_new(enum view_path_kind kind, enum sfs_view_start start, bool json)
{
	struct view_path *path = calloc(1, sizeof(*path));
	if (!path)
		return NULL;
	path->kind = kind;
	path->start = start;
	path->json = json;
	pthread_mutex_init(&path->lock, NULL);
	return path;
}

void view_path_free(struct view_path *path)
{
	if (!path)
		return;
	sfs_view_close(path->view);
	pthread_mutex_destroy(&path->lock);
	free(path->name);
	free(path->key);
	free(path);
}

bool view_path_is_dir(const struct view_path *path)
{
	return path->kind == VIEW_PATH_TOP || path->kind == VIEW_PATH_SINCE ||
	       path->kind == VIEW_PATH_KEYS;
}

bool view_path_is_live(const struct view_path *path)
{
	return path->start == SFS_FROM_NOW;
}

bool view_path_has_size(const struct view_path *path)
{
	return path->kind == VIEW_PATH_SHARD && !view_path_is_live(path);
}

bool view_path_is_writable(const struct view_path *path)
{
	return path->kind == VIEW_PATH_KEY && path->start == SFS_FROM_HORIZON && !path->json;
}

/* A path below `dir`: it keeps the start and the format. */
static struct view_path *below(const struct view_path *dir, enum view_path_kind kind)
{
	struct view_path *path =
		view_path_new(kind, dir ? dir->start : SFS_FROM_HORIZON, dir && dir->json);
	if (path && dir)
		memcpy(path->when, dir->when, sizeof(path->when));
	return path;
}

static int done(struct view_path *path, struct view_path **ret_path)
{
	if (!path)
		return -ENOMEM;
	*ret_path = path;
	return 0;
}

/* A file is made: from when on it shows is settled now. */
static int file_below(
	const struct view_path *dir, enum view_path_kind kind, struct view_path **ret_path)
{
	uint64_t since_ms = 0;
	if (dir && dir->start == SFS_FROM_TIME) {
		int r = when_parse(dir->when, strlen(dir->when), clock_wall_ms(), &since_ms);
		if (r < 0)
			return -ENOENT;
	}
	struct view_path *path = below(dir, kind);
	if (path)
		path->since_ms = since_ms;
	return done(path, ret_path);
}

static int resolve_when(const char *name, struct view_path **ret_path)
{
	uint64_t ms;
	size_t bytes = strlen(name);
	if (bytes > VIEW_PATH_WHEN_MAX || when_parse(name, bytes, clock_wall_ms(), &ms) < 0)
		return -ENOENT;
	struct view_path *path = view_path_new(VIEW_PATH_TOP, SFS_FROM_TIME, false);
	if (path)
		memcpy(path->when, name, bytes + 1);
	return done(path, ret_path);
}

static int resolve_key(const struct view_path *dir, const char *name, struct view_path **ret_path)
{
	char key[SFS_KEY_MAX_BYTES];
	size_t bytes;
	struct view_path *path;
	if (keyname_decode(name, key, &bytes) < 0)
		return -ENOENT;
	int r = file_below(dir, VIEW_PATH_KEY, &path);
	if (r < 0)
		return r;
	path->name = strdup(name);
	path->key = malloc(bytes);
	if (!path->name || !path->key) {
		view_path_free(path);
		return -ENOMEM;
	}
	memcpy(path->key, key, bytes);
	path->key_bytes = bytes;
	*ret_path = path;
	return 0;
}

static int resolve_in_top(
	const struct view_path *dir, const char *name, struct view_path **ret_path)
{
	uint32_t number;
	if (strcmp(name, "all") == 0)
		return file_below(dir, VIEW_PATH_ALL, ret_path);
	if (strcmp(name, "keys") == 0)
		return done(below(dir, VIEW_PATH_KEYS), ret_path);
	if (strcmp(name, "json") == 0 && !(dir && dir->json)) {
		struct view_path *path = below(dir, VIEW_PATH_TOP);
		if (path)
			path->json = true;
		return done(path, ret_path);
	}
	if (!dir && strcmp(name, "since") == 0)
		return done(view_path_new(VIEW_PATH_SINCE, SFS_FROM_TIME, false), ret_path);
	if (!dir && strcmp(name, "live") == 0)
		return done(view_path_new(VIEW_PATH_TOP, SFS_FROM_NOW, false), ret_path);
	if (!dir || sfs_shard_parse_name(name, &number) < 0)
		return -ENOENT;
	int r = file_below(dir, VIEW_PATH_SHARD, ret_path);
	if (r == 0)
		(*ret_path)->shard = number;
	return r;
}

int view_path_resolve(const struct view_path *dir, const char *name, struct view_path **ret_path)
{
	if (dir && dir->kind == VIEW_PATH_SINCE)
		return resolve_when(name, ret_path);
	if (dir && dir->kind == VIEW_PATH_KEYS)
		return resolve_key(dir, name, ret_path);
	return resolve_in_top(dir, name, ret_path);
}

const char *const *view_path_names(const struct view_path *dir)
{
	static const char *const in_top[] = {"all", "keys", "json", NULL};
	static const char *const in_json[] = {"all", "keys", NULL};
	static const char *const none[] = {NULL};
	if (dir->kind != VIEW_PATH_TOP)
		return none;
	return dir->json ? in_json : in_top;
}

static uint64_t mix(uint64_t hash, const void *data, size_t bytes)
{
	const unsigned char *p = data;
	for (size_t i = 0; i < bytes; i++)
		hash = (hash ^ p[i]) * UINT64_C(0x100000001b3); /* FNV-1a */
	return (hash ^ bytes) * UINT64_C(0x100000001b3);
}

uint64_t view_path_hash(const struct view_path *path, uint64_t stream_id)
{
	const uint32_t parts[] = {
		(uint32_t)path->kind, (uint32_t)path->start, path->json, path->shard};
	uint64_t hash = mix(UINT64_C(0xcbf29ce484222325), &stream_id, sizeof(stream_id));
	hash = mix(hash, parts, sizeof(parts));
	hash = mix(hash, path->when, strlen(path->when));
	return mix(hash, path->key ? path->key : "", path->key_bytes);
}

bool view_path_equal(const struct view_path *a, const struct view_path *b)
{
	return a->kind == b->kind && a->start == b->start && a->json == b->json &&
	       a->shard == b->shard && strcmp(a->when, b->when) == 0 &&
	       a->key_bytes == b->key_bytes &&
	       (!a->key_bytes || memcmp(a->key, b->key, a->key_bytes) == 0);
}

int view_path_open_view(
	const struct view_path *path, struct sfs_stream *stream, struct sfs_view **ret_view)
{
	struct sfs_view_spec spec = {
		.start = path->start,
		.json = path->json,
		.since_ms = path->since_ms,
		.filter = SFS_OF_ALL,
	};
	int r = 0;
	if (path->kind == VIEW_PATH_SHARD) {
		spec.filter = SFS_OF_SHARD;
		r = sfs_stream_shard(stream, path->shard, &spec.shard);
	} else if (path->kind == VIEW_PATH_KEY) {
		spec.filter = SFS_OF_KEY;
		spec.key = path->key;
		spec.key_bytes = path->key_bytes;
	}
	if (r < 0)
		return r;
	r = sfs_view_open(stream, &spec, ret_view);
	sfs_shard_unref(spec.shard);
	return r;
}
