/* SPDX-License-Identifier: MIT */
#include "trim.h"

#include "buf.h"
#include "cleanup.h"
#include "clock.h"
#include "diag.h"
#include "emptied_shards.h"
#include "horizon.h"
#include "lock.h"
#include "shard_name.h"
#include "store.h"
#include "stream.h"
#include "syncer.h"
#include "tidier.h"
#include "trace.h"
#include "trimmed_segments.h"

/* ---- one shard ---- */

static void drop_trimmed_segments(struct sfs_shard *shard)
{
	SCOPED_RDLOCK(&shard->home->lock);
	if (shard->removed || shard->home->removed)
		return;
	SCOPED_LOCK(&shard->append_lock);
	(void)shard_drop_trimmed_locked(shard); /* recovery removes what is left */
}

/*
 * Copies what the horizon's page holds before the horizon, for sfs_shard_read_page(). Without
 * memory the page cannot be read later; nothing else is lost.
 */
static void copy_horizon_page(struct sfs_shard *shard, uint64_t horizon, struct buf *page)
{
	size_t bytes = horizon % SFS_PAGE_BYTES, got = 0;
	if (!bytes || buf_reserve(page, bytes) < 0)
		return;
	int r = sfs_shard_read_page(shard, horizon - bytes, page->data, bytes, &got);
	page->size = r == 0 && got == bytes ? bytes : 0;
}

static int move_horizon(struct sfs_shard *shard, const struct horizon *to)
{
	struct buf page = {0};
	struct sync_wait wait = SYNC_WAIT_INIT;
	copy_horizon_page(shard, to->at.offset, &page);
	syncer_request_horizon(shard, to, &page, sync_wait_done, &wait);
	int r = sync_wait(&wait);
	TRACE(trim, "stream %llu: shard %u: horizon %llu: %d",
		(unsigned long long)shard->stream->id, shard->number,
		(unsigned long long)to->at.offset, r);
	if (r < 0)
		return r;
	drop_trimmed_segments(shard);
	store_report_trim(shard->stream->store, shard);
	return 0;
}

/* ---- all shards ---- */

static int find_horizon(
	struct sfs_shard *shard, const struct trim_position *position, struct horizon *ret_horizon)
{
	switch (position->kind) {
	case TRIM_SEQUENCE:
		return horizon_at_sequence(shard, position->value, ret_horizon);
	case TRIM_TIME:
		return horizon_at_time(shard, position->value, ret_horizon);
	case TRIM_OFFSET:
		return horizon_at_offset(shard, position->value, ret_horizon);
	default:
		*ret_horizon = horizon_at_end(shard);
		return 0;
	}
}

/*
 * Finds the horizons of all shards before the first one moves. Those that cannot be found stay
 * zero; the result is the first error.
 */
static int find_horizons(const struct shard_list *shards, const struct trim_position *position,
	struct horizon *horizons, uint64_t *ret_next_sequence)
{
	int result = 0;
	*ret_next_sequence = 0;
	for (size_t i = 0; i < shards->count; i++) {
		struct sfs_shard *shard = shards->items[i];
		if (position->kind == TRIM_OFFSET && shard->number != position->shard)
			continue;
		int r = shard_open(shard);
		if (r == 0)
			r = find_horizon(shard, position, &horizons[i]);
		if (r < 0 && result == 0)
			result = r;
		SCOPED_LOCK(&shard->lock);
		if (shard->end.sequence > *ret_next_sequence)
			*ret_next_sequence = shard->end.sequence;
	}
	return result;
}

/* Moves the horizons that are ahead of the present ones, all of them. The first error. */
static int move_horizons(
	const struct shard_list *shards, const struct horizon *horizons, bool *ret_moved)
{
	int result = 0;
	for (size_t i = 0; i < shards->count; i++) {
		struct sfs_shard *shard = shards->items[i];
		if (horizons[i].at.offset <= horizon_now(shard).at.offset)
			continue;
		int r = move_horizon(shard, &horizons[i]);
		*ret_moved = true;
		if (r < 0 && result == 0)
			result = r;
	}
	return result;
}

/* -EINVAL: the position names a shard, an offset or a sequence number that does not exist. */
static int check_position(const struct trim_position *position, int found, uint64_t next_sequence,
	struct sfs_diag *diag)
{
	unsigned long long value = position->value;
	if (found == -EINVAL) {
		diag_set(diag, SHARD_NAME_FORMAT ":%llu: no record begins there", position->shard,
			value);
		return -EINVAL;
	}
	if (found == 0 && position->kind == TRIM_SEQUENCE && position->value > next_sequence) {
		diag_set(diag, "%llu: the next record has sequence number %llu", value,
			(unsigned long long)next_sequence);
		return -EINVAL;
	}
	return 0;
}

static bool has_shard(const struct shard_list *shards, uint32_t number)
{
	for (size_t i = 0; i < shards->count; i++)
		if (shards->items[i]->number == number)
			return true;
	return false;
}

static int trim_shards(struct sfs_stream *stream, const struct shard_list *shards,
	const struct trim_position *position, struct sfs_diag *diag, bool *ret_moved)
{
	uint64_t next_sequence;
	if (position->kind == TRIM_OFFSET && !has_shard(shards, position->shard)) {
		diag_set(diag, "there is no " SHARD_NAME_FORMAT, position->shard);
		return -EINVAL;
	}
	_cleanup_free_ struct horizon *horizons = calloc(shards->count + 1, sizeof *horizons);
	if (!horizons)
		return -ENOMEM;
	int found = find_horizons(shards, position, horizons, &next_sequence);
	int r = check_position(position, found, next_sequence, diag);
	if (r < 0)
		return r;
	r = move_horizons(shards, horizons, ret_moved);
	int dropped = emptied_shards_drop(stream);
	return found < 0 ? found : r < 0 ? r : dropped;
}

static int trim_locked(struct sfs_stream *stream, const struct trim_position *position,
	struct sfs_diag *diag, bool *ret_moved)
{
	struct shard_list shards = {0};
	ASSERT_LOCKED(&stream->change_lock);
	int r = shard_table_copy(stream, &shards);
	if (r == 0)
		r = trim_shards(stream, &shards, position, diag, ret_moved);
	vector_fini(&shards);
	return r;
}

int trim_stream(
	struct sfs_stream *stream, const struct trim_position *position, struct sfs_diag *diag)
{
	if (stream->store->env.read_only)
		return -EROFS;
	bool moved = false;
	pthread_mutex_lock(&stream->change_lock);
	int r = trim_locked(stream, position, diag, &moved);
	pthread_mutex_unlock(&stream->change_lock);
	if (moved) {
		view_waiters_wake_all(stream);
		tidier_sweep_trimmed(stream);
	}
	return r;
}

int sfs_stream_trim(
	struct sfs_stream *stream, const char *position, size_t bytes, struct sfs_diag *diag)
{
	struct trim_position parsed;
	int r = trim_position_parse(position, bytes, clock_wall_ms(), diag, &parsed);
	return r < 0 ? r : trim_stream(stream, &parsed, diag);
}

int sfs_stream_horizons(struct sfs_stream *stream, char **ret_text, size_t *ret_bytes)
{
	struct shard_list shards = {0};
	_cleanup_(buf_fini) struct buf text = {0};
	int r = shard_table_copy(stream, &shards);
	for (size_t i = 0; r == 0 && i < shards.count; i++) {
		struct sfs_shard *shard = shards.items[i];
		r = shard_open(shard);
		if (r == 0)
			r = buf_printf(&text, SHARD_NAME_FORMAT ":%llu\n", shard->number,
				(unsigned long long)horizon_now(shard).at.offset);
	}
	vector_fini(&shards);
	if (r == 0)
		r = buf_append(&text, "", 1); /* never NULL */
	if (r < 0)
		return r;
	*ret_bytes = text.size - 1;
	*ret_text = (char *)text.data;
	text = (struct buf){0};
	return 0;
}
