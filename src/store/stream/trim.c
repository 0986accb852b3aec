/* SPDX-License-Identifier: MIT */
#include "trim.h"

#include "buf.h"
#include "cleanup.h"
#include "diag.h"
#include "clock.h"
#include "horizon.h"
#include "number.h"
#include "shard_name.h"
#include "since.h"
#include "store.h"
#include "stream.h"
#include "syncer.h"
#include "tidier.h"
#include "trimmed_segments.h"
#include "when.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

/* ---- moving a shard's horizon ---- */

static void drop_trimmed(struct sfs_shard *shard)
{
	pthread_rwlock_rdlock(&shard->stream->home.lock);
	if (!shard->removed && !shard->stream->home.removed) {
		SCOPED_LOCK(&shard->append_lock);
		(void)shard_drop_trimmed_locked(shard);
	}
	pthread_rwlock_unlock(&shard->stream->home.lock);
}

static void tell_trimmed(struct sfs_shard *shard)
{
	struct sfs_store *store = shard->stream->store;
	SCOPED_LOCK(&store->trim_watch_lock);
	if (store->trimmed)
		store->trimmed(store->trimmed_context, shard);
}

/* Keeps what is in the page of a horizon that is to come. Without it, it cannot be read, no more.
 */
static void read_horizon_page(struct sfs_shard *shard, uint64_t horizon, struct buf *page)
{
	size_t bytes = horizon % SFS_PAGE_BYTES, got = 0;
	if (!bytes || buf_reserve(page, bytes) < 0)
		return;
	int r = sfs_shard_read_page(shard, horizon - bytes, page->data, bytes, &got);
	page->size = r == 0 && got == bytes ? bytes : 0;
}

static int trim_shard(struct sfs_shard *shard, const struct horizon *to)
{
	struct buf page = {0};
	struct sync_wait wait = SYNC_WAIT_INIT;
	read_horizon_page(shard, to->offset, &page);
	syncer_request_horizon(shard, to, &page, sync_wait_done, &wait);
	int r = sync_wait(&wait);
	if (r < 0)
		return r;
	drop_trimmed(shard);
	tell_trimmed(shard);
	return 0;
}

void sfs_store_watch_trims(struct sfs_store *store,
	void (*trimmed)(void *context, struct sfs_shard *shard), void *context)
{
	SCOPED_LOCK(&store->trim_watch_lock);
	store->trimmed = trimmed;
	store->trimmed_context = context;
}

/* ---- trimming a stream ---- */

/* The shards of the table; they live as long as the stream. The caller frees the array. */
static int copy_shards(struct sfs_stream *stream, struct sfs_shard ***ret_shards, size_t *ret_count)
{
	pthread_rwlock_rdlock(&stream->home.lock);
	size_t count = stream->shard_count;
	struct sfs_shard **shards = malloc((count ? count : 1) * sizeof *shards);
	if (shards && count)
		memcpy(shards, stream->shards, count * sizeof *shards);
	int r = !shards ? -ENOMEM : stream->home.removed ? -ENOENT : 0;
	pthread_rwlock_unlock(&stream->home.lock);
	if (r < 0) {
		free(shards);
		return r;
	}
	*ret_shards = shards;
	*ret_count = count;
	return 0;
}

enum target_kind { TRIM_ALL, TRIM_SEQUENCE, TRIM_TIME, TRIM_OFFSET };

struct target {
	enum target_kind kind;
	uint32_t shard; /* TRIM_OFFSET */
	uint64_t value; /* sequence number, ms, or offset */
};

static int find_horizon(
	struct sfs_shard *shard, const struct target *target, struct horizon *ret_horizon)
{
	switch (target->kind) {
	case TRIM_SEQUENCE:
		return horizon_at_sequence(shard, target->value, ret_horizon);
	case TRIM_TIME:
		return horizon_at_time(shard, target->value, ret_horizon);
	case TRIM_OFFSET:
		return horizon_at_offset(shard, target->value, ret_horizon);
	default:
		*ret_horizon = horizon_at_end(shard);
		return 0;
	}
}

/*
 * All places are found before the first is taken. The first error; what of the other shards can be
 * found is.
 */
static int find_horizons(struct sfs_shard **shards, size_t count, const struct target *target,
	struct horizon *horizons, uint64_t *ret_next_sequence)
{
	int result = 0;
	*ret_next_sequence = 0;
	for (size_t i = 0; i < count; i++) {
		if (target->kind == TRIM_OFFSET && shards[i]->number != target->shard)
			continue;
		int r = shard_open(shards[i]);
		if (r == 0)
			r = find_horizon(shards[i], target, &horizons[i]);
		if (r < 0 && result == 0)
			result = r;
		SCOPED_LOCK(&shards[i]->lock);
		if (shards[i]->next_sequence > *ret_next_sequence)
			*ret_next_sequence = shards[i]->next_sequence;
	}
	return result;
}

/* Moves those that have to go on. The first error; of the others, those that can go on do. */
static int trim_shards(
	struct sfs_shard **shards, size_t count, const struct horizon *horizons, bool *ret_moved)
{
	int result = 0;
	for (size_t i = 0; i < count; i++) {
		if (horizons[i].offset <= horizon_now(shards[i]).offset)
			continue;
		int r = trim_shard(shards[i], &horizons[i]);
		*ret_moved = true;
		if (r < 0 && result == 0)
			result = r;
	}
	return result;
}

static bool has_shard(struct sfs_shard *const *shards, size_t count, uint32_t number)
{
	for (size_t i = 0; i < count; i++)
		if (shards[i]->number == number)
			return true;
	return false;
}

static bool is_emptied(struct sfs_shard *shard)
{
	SCOPED_LOCK(&shard->lock);
	return shard->closed && shard->opened && shard->size == shard->horizon_offset;
}

/* Takes closed shards of which nothing is left out of a copy of the table. */
static size_t pick_emptied(
	struct sfs_stream *stream, struct sfs_shard **keep, struct sfs_shard **emptied)
{
	size_t kept = 0, count = 0;
	for (size_t i = 0; i < stream->shard_count; i++) {
		struct sfs_shard *shard = stream->shards[i];
		if (is_emptied(shard))
			emptied[count++] = shard;
		else
			keep[kept++] = shard;
	}
	return count;
}

static void retire(struct sfs_stream *stream, struct sfs_shard *const *shards, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		stream->retired[stream->retired_count++] = shards[i];
		SCOPED_LOCK(&shards[i]->lock);
		shards[i]->removed = true;
		pthread_cond_broadcast(&shards[i]->grown);
	}
}

/* The table without the emptied shards stands in stream.json first. home.lock is held
 * exclusively. */
static int shrink_table(struct sfs_stream *stream, struct sfs_shard **emptied, size_t *ret_count)
{
	struct sfs_shard **before = stream->shards;
	size_t count_before = stream->shard_count;
	struct sfs_shard **keep = calloc(count_before, sizeof *keep);
	if (!keep)
		return -ENOMEM;
	size_t count = pick_emptied(stream, keep, emptied);
	size_t retired = stream->retired_count + count;
	struct sfs_shard **list = realloc(stream->retired, (retired + 1) * sizeof *list);
	int r = list ? 0 : -ENOMEM;
	if (list)
		stream->retired = list;
	if (r == 0 && count) {
		stream->shards = keep;
		stream->shard_count = count_before - count;
		r = stream_save(stream);
	}
	if (r < 0 || !count) {
		stream->shards = before;
		stream->shard_count = count_before;
		free(keep);
		*ret_count = 0;
		return r;
	}
	free(before);
	retire(stream, emptied, count);
	*ret_count = count;
	return 0;
}

/* What fails here leaves a directory that no table names, and no reader minds. */
static void remove_shard_directory(struct sfs_stream *stream, struct sfs_shard *shard)
{
	struct sfs_store *store = stream->store;
	char from[SHARD_PATH_MAX], aside[SHARD_PATH_MAX], to[2 * SHARD_PATH_MAX];
	pthread_rwlock_rdlock(&stream->home.lock);
	shard_path(shard, from, "");
	snprintf(aside, sizeof aside, ".%s.%llu-%u%s", stream->home.name,
		(unsigned long long)stream->id, shard->number, DISK_TMP_SUFFIX);
	snprintf(to, sizeof to, "%s/" SHARD_NAME_FORMAT, aside, shard->number);
	int r = stream->home.removed ? -ENOENT
				     : disk_mkdir(&store->env.disk, store->env.streams_dir, aside);
	if (r == 0 || r == -EEXIST)
		r = disk_rename(
			&store->env.disk, store->env.streams_dir, from, store->env.streams_dir, to);
	pthread_rwlock_unlock(&stream->home.lock);
	if (r == 0)
		(void)store_remove_stream(store, aside);
}

static bool has_emptied(struct sfs_stream *stream)
{
	bool any = false;
	pthread_rwlock_rdlock(&stream->home.lock);
	for (size_t i = 0; !any && i < stream->shard_count; i++)
		any = is_emptied(stream->shards[i]);
	pthread_rwlock_unlock(&stream->home.lock);
	return any;
}

/* Closed shards go with their last record. The caller holds change_lock. */
static int drop_emptied(struct sfs_stream *stream)
{
	if (!has_emptied(stream))
		return 0;
	stream_lock_alone(stream);
	size_t count = 0;
	_cleanup_free_ struct sfs_shard **emptied =
		calloc(stream->shard_count + 1, sizeof *emptied);
	int r = !emptied	       ? -ENOMEM
		: stream->home.removed ? -ENOENT
				       : shrink_table(stream, emptied, &count);
	pthread_rwlock_unlock(&stream->home.lock);
	for (size_t i = 0; i < count; i++)
		remove_shard_directory(stream, emptied[i]);
	return r;
}

static int trim_held(struct sfs_stream *stream, const struct target *target, struct sfs_diag *diag,
	bool *ret_moved)
{
	_cleanup_free_ struct sfs_shard **shards = NULL;
	size_t count;
	int r = copy_shards(stream, &shards, &count);
	if (r < 0)
		return r;
	if (target->kind == TRIM_OFFSET && !has_shard(shards, count, target->shard)) {
		diag_set(diag, "there is no " SHARD_NAME_FORMAT, target->shard);
		return -EINVAL;
	}
	_cleanup_free_ struct horizon *horizons = calloc(count, sizeof *horizons);
	if (!horizons)
		return -ENOMEM;
	uint64_t next_sequence;
	int found = find_horizons(shards, count, target, horizons, &next_sequence);
	if (found == -EINVAL)
		diag_set(diag, SHARD_NAME_FORMAT ":%llu: no record begins there", target->shard,
			(unsigned long long)target->value);
	if (found == 0 && target->kind == TRIM_SEQUENCE && target->value > next_sequence) {
		diag_set(diag, "%llu: the next record has sequence number %llu",
			(unsigned long long)target->value, (unsigned long long)next_sequence);
		found = -EINVAL;
	}
	if (found == -EINVAL)
		return found;
	bool moved = false;
	r = trim_shards(shards, count, horizons, &moved);
	int dropped = drop_emptied(stream);
	*ret_moved = moved;
	return found < 0 ? found : r < 0 ? r : dropped;
}

static int trim_to(struct sfs_stream *stream, const struct target *target, struct sfs_diag *diag)
{
	if (stream->store->env.read_only)
		return -EROFS;
	bool moved = false;
	pthread_mutex_lock(&stream->change_lock);
	int r = trim_held(stream, target, diag, &moved);
	pthread_mutex_unlock(&stream->change_lock);
	if (moved) {
		stream_wake(stream);
		tidier_sweep_trimmed(stream);
	}
	return r;
}

static bool parse_number(const char *text, uint64_t *ret_number)
{
	return number_parse(text, UINT64_MAX, ret_number) == 0;
}

/* "shard-0000:4711", with the shard's name as it is shown. */
static bool parse_place(const char *text, struct target *ret_target)
{
	const char *colon = strchr(text, ':');
	char name[SFS_SHARD_NAME_MAX];
	if (!colon || colon - text >= SFS_SHARD_NAME_MAX)
		return false;
	snprintf(name, sizeof name, "%.*s", (int)(colon - text), text);
	return sfs_shard_parse_name(name, &ret_target->shard) == 0 &&
	       parse_number(colon + 1, &ret_target->value);
}

static bool parse_target(const char *text, struct target *ret_target)
{
	struct target target = {.kind = TRIM_ALL};
	bool ok = true;
	if (strcmp(text, "all") == 0)
		target.kind = TRIM_ALL;
	else if (parse_number(text, &target.value))
		target.kind = TRIM_SEQUENCE;
	else if (parse_place(text, &target))
		target.kind = TRIM_OFFSET;
	else if (when_parse(text, strlen(text), clock_wall_ms(), &target.value) == 0)
		target.kind = TRIM_TIME;
	else
		ok = false;
	*ret_target = target;
	return ok;
}

int sfs_stream_trim(
	struct sfs_stream *stream, const char *position, size_t bytes, struct sfs_diag *diag)
{
	char text[64];
	struct target target;
	while (bytes && isspace((unsigned char)position[bytes - 1]))
		bytes--;
	while (bytes && isspace((unsigned char)*position)) {
		position++;
		bytes--;
	}
	bool fits = bytes < sizeof text && !memchr(position, 0, bytes);
	if (fits) {
		memcpy(text, position, bytes);
		text[bytes] = 0;
	}
	if (!fits || !parse_target(text, &target)) {
		diag_set(
			diag, "wants all, a sequence number, a time, an age, or shard-NNNN:OFFSET");
		return -EINVAL;
	}
	return trim_to(stream, &target, diag);
}

int sfs_stream_horizons(struct sfs_stream *stream, char **ret_text, size_t *ret_bytes)
{
	_cleanup_free_ struct sfs_shard **shards = NULL;
	_cleanup_(buf_fini) struct buf text = {0};
	size_t count;
	int r = copy_shards(stream, &shards, &count);
	for (size_t i = 0; r == 0 && i < count; i++) {
		r = shard_open(shards[i]);
		if (r < 0)
			break;
		r = buf_printf(&text, SHARD_NAME_FORMAT ":%llu\n", shards[i]->number,
			(unsigned long long)horizon_now(shards[i]).offset);
	}
	if (r == 0)
		r = buf_append(&text, "", 1); /* never NULL */
	if (r < 0)
		return r;
	*ret_bytes = text.size - 1;
	*ret_text = (char *)text.data;
	text = (struct buf){0};
	return 0;
}

/* ---- retention ---- */

/* Text that arrived at or after a time, in all shards that can be read. */
static int bytes_since(struct sfs_shard **shards, size_t count, uint64_t ms, uint64_t *ret_bytes)
{
	uint64_t bytes = 0;
	for (size_t i = 0; i < count; i++) {
		uint64_t offset;
		int r = shard_open(shards[i]);
		if (r == 0)
			r = shard_since(shards[i], ms, &offset);
		if (r == -ENOMEM)
			return r;
		if (r < 0)
			continue;
		uint64_t size = sfs_shard_size(shards[i]);
		bytes += size > offset ? size - offset : 0;
	}
	*ret_bytes = bytes;
	return 0;
}

/*
 * A time since which at least `limit` bytes came, and not many more: what is older can go. Each
 * step may decode a chunk of each shard, so a little more than the limit is good enough.
 */
static int time_of_bytes(
	struct sfs_shard **shards, size_t count, uint64_t limit, uint64_t now_ms, uint64_t *ret_ms)
{
	enum { SLACK = 128 };
	uint64_t low = 0, high = now_ms + 1;
	while (high - low > 1) {
		uint64_t middle = low + (high - low) / 2, bytes;
		int r = bytes_since(shards, count, middle, &bytes);
		if (r < 0)
			return r;
		if (bytes < limit) {
			high = middle;
			continue;
		}
		low = middle;
		if (bytes - limit <= limit / SLACK)
			break;
	}
	*ret_ms = low;
	return 0;
}

/* Sums of the ends and of the horizons of those that can be opened. */
static void sum_shards(
	struct sfs_shard **shards, size_t count, uint64_t *ret_ends, uint64_t *ret_horizons)
{
	*ret_ends = *ret_horizons = 0;
	for (size_t i = 0; i < count; i++) {
		if (shard_open(shards[i]) < 0)
			continue;
		SCOPED_LOCK(&shards[i]->lock);
		*ret_ends += shards[i]->size;
		*ret_horizons += shards[i]->horizon_offset;
	}
}

static int trim_before(struct sfs_stream *stream, uint64_t ms)
{
	const struct target target = {.kind = TRIM_TIME, .value = ms};
	return ms ? trim_to(stream, &target, NULL) : 0;
}

/* Does nothing for a stream in which nothing came or went since it last did all. */
static int retain_bytes(struct sfs_stream *stream, uint64_t limit)
{
	_cleanup_free_ struct sfs_shard **shards = NULL;
	size_t count;
	uint64_t ends, horizons, ms;
	int r = copy_shards(stream, &shards, &count);
	if (r < 0)
		return r;
	sum_shards(shards, count, &ends, &horizons);
	bool same = ends == stream->retained.end_bytes && limit == stream->retained.limit &&
		    horizons == stream->retained.horizon_bytes;
	if (same || ends - horizons <= limit)
		return 0;
	r = time_of_bytes(shards, count, limit, clock_wall_ms(), &ms);
	if (r == 0)
		r = trim_before(stream, ms);
	if (r < 0)
		return r;
	uint64_t ends_now;
	sum_shards(shards, count, &ends_now, &horizons);
	stream->retained.end_bytes = ends; /* what came since is for the next time */
	stream->retained.horizon_bytes = horizons;
	stream->retained.limit = limit;
	return 0;
}

int stream_retain(struct sfs_stream *stream)
{
	static const uint64_t hour_ms = 3600 * 1000;
	SCOPED_LOCK(&stream->retain_lock);
	pthread_rwlock_rdlock(&stream->home.lock);
	uint64_t hours = stream->home.settings.retention_hours,
		 limit = stream->home.settings.retention_bytes;
	pthread_rwlock_unlock(&stream->home.lock);
	uint64_t now_ms = clock_wall_ms();
	int r = 0;
	if (hours && hours < now_ms / hour_ms)
		r = trim_before(stream, now_ms - hours * hour_ms);
	int by_bytes = limit ? retain_bytes(stream, limit) : 0;
	return r < 0 ? r : by_bytes;
}
