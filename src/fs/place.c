/* SPDX-License-Identifier: MIT */
#include "place.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "keyname.h"
#include "names.h"
#include "when.h"

struct place *place_new(enum place_kind kind, enum sfs_view_start start, bool json)
{
	struct place *place = calloc(1, sizeof(*place));
	if (!place)
		return NULL;
	place->kind = kind;
	place->start = start;
	place->json = json;
	pthread_mutex_init(&place->lock, NULL);
	return place;
}

void place_free(struct place *place)
{
	if (!place)
		return;
	sfs_view_close(place->view);
	pthread_mutex_destroy(&place->lock);
	free(place->name);
	free(place->key);
	free(place);
}

bool place_is_dir(const struct place *place)
{
	return place->kind == PLACE_TOP || place->kind == PLACE_SINCE || place->kind == PLACE_KEYS;
}

bool place_is_live(const struct place *place)
{
	return place->start == SFS_FROM_NOW;
}

bool place_has_size(const struct place *place)
{
	return place->kind == PLACE_SHARD && !place_is_live(place);
}

bool place_is_writable(const struct place *place)
{
	return place->kind == PLACE_KEY && place->start == SFS_FROM_HORIZON && !place->json;
}

/* A place below `dir`: it keeps the start and the format. */
static struct place *below(const struct place *dir, enum place_kind kind)
{
	struct place *place =
		place_new(kind, dir ? dir->start : SFS_FROM_HORIZON, dir && dir->json);
	if (place && dir)
		memcpy(place->when, dir->when, sizeof(place->when));
	return place;
}

static int done(struct place *place, struct place **ret_place)
{
	if (!place)
		return -ENOMEM;
	*ret_place = place;
	return 0;
}

/* A file is made: from when on it shows is settled now. */
static int file_below(const struct place *dir, enum place_kind kind, struct place **ret_place)
{
	uint64_t since_ms = 0;
	if (dir && dir->start == SFS_FROM_TIME) {
		int r = when_parse(dir->when, strlen(dir->when), clock_wall_ms(), &since_ms);
		if (r < 0)
			return -ENOENT;
	}
	struct place *place = below(dir, kind);
	if (place)
		place->since_ms = since_ms;
	return done(place, ret_place);
}

static int resolve_when(const char *name, struct place **ret_place)
{
	uint64_t ms;
	size_t bytes = strlen(name);
	if (bytes > PLACE_WHEN_MAX || when_parse(name, bytes, clock_wall_ms(), &ms) < 0)
		return -ENOENT;
	struct place *place = place_new(PLACE_TOP, SFS_FROM_TIME, false);
	if (place)
		memcpy(place->when, name, bytes + 1);
	return done(place, ret_place);
}

static int resolve_key(const struct place *dir, const char *name, struct place **ret_place)
{
	char key[SFS_KEY_MAX_BYTES];
	size_t bytes;
	struct place *place;
	if (keyname_decode(name, key, &bytes) < 0)
		return -ENOENT;
	int r = file_below(dir, PLACE_KEY, &place);
	if (r < 0)
		return r;
	place->name = strdup(name);
	place->key = malloc(bytes);
	if (!place->name || !place->key) {
		place_free(place);
		return -ENOMEM;
	}
	memcpy(place->key, key, bytes);
	place->key_bytes = bytes;
	*ret_place = place;
	return 0;
}

static int resolve_in_top(const struct place *dir, const char *name, struct place **ret_place)
{
	uint32_t number;
	if (strcmp(name, "all") == 0)
		return file_below(dir, PLACE_ALL, ret_place);
	if (strcmp(name, "keys") == 0)
		return done(below(dir, PLACE_KEYS), ret_place);
	if (strcmp(name, "json") == 0 && !(dir && dir->json)) {
		struct place *place = below(dir, PLACE_TOP);
		if (place)
			place->json = true;
		return done(place, ret_place);
	}
	if (!dir && strcmp(name, "since") == 0)
		return done(place_new(PLACE_SINCE, SFS_FROM_TIME, false), ret_place);
	if (!dir && strcmp(name, "live") == 0)
		return done(place_new(PLACE_TOP, SFS_FROM_NOW, false), ret_place);
	if (!dir || !names_parse_shard(name, &number))
		return -ENOENT;
	int r = file_below(dir, PLACE_SHARD, ret_place);
	if (r == 0)
		(*ret_place)->shard = number;
	return r;
}

int place_resolve(const struct place *dir, const char *name, struct place **ret_place)
{
	if (dir && dir->kind == PLACE_SINCE)
		return resolve_when(name, ret_place);
	if (dir && dir->kind == PLACE_KEYS)
		return resolve_key(dir, name, ret_place);
	return resolve_in_top(dir, name, ret_place);
}

const char *const *place_names(const struct place *dir)
{
	static const char *const in_top[] = {"all", "keys", "json", NULL};
	static const char *const in_json[] = {"all", "keys", NULL};
	static const char *const none[] = {NULL};
	if (dir->kind != PLACE_TOP)
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

uint64_t place_hash(const struct place *place, uint64_t stream_id)
{
	const uint32_t parts[] = {
		(uint32_t)place->kind, (uint32_t)place->start, place->json, place->shard};
	uint64_t hash = mix(UINT64_C(0xcbf29ce484222325), &stream_id, sizeof(stream_id));
	hash = mix(hash, parts, sizeof(parts));
	hash = mix(hash, place->when, strlen(place->when));
	return mix(hash, place->key ? place->key : "", place->key_bytes);
}

bool place_equal(const struct place *a, const struct place *b)
{
	return a->kind == b->kind && a->start == b->start && a->json == b->json &&
	       a->shard == b->shard && strcmp(a->when, b->when) == 0 &&
	       a->key_bytes == b->key_bytes &&
	       (!a->key_bytes || memcmp(a->key, b->key, a->key_bytes) == 0);
}

int place_open_view(
	const struct place *place, struct sfs_stream *stream, struct sfs_view **ret_view)
{
	struct sfs_view_spec spec = {
		.start = place->start,
		.json = place->json,
		.since_ms = place->since_ms,
		.filter = SFS_OF_ALL,
	};
	int r = 0;
	if (place->kind == PLACE_SHARD) {
		spec.filter = SFS_OF_SHARD;
		r = sfs_stream_shard(stream, place->shard, &spec.shard);
	} else if (place->kind == PLACE_KEY) {
		spec.filter = SFS_OF_KEY;
		spec.key = place->key;
		spec.key_bytes = place->key_bytes;
	}
	if (r < 0)
		return r;
	r = sfs_view_open(stream, &spec, ret_view);
	sfs_shard_unref(spec.shard);
	return r;
}
