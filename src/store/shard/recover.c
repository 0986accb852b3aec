/* SPDX-License-Identifier: MIT */
/*
 * Recovery of a shard: what its directory holds, where its text begins and where it ends.
 *
 * The happy path: the chunks of the last segment follow on each other to the end of its file. That
 * segment becomes the active one, and its end is the end of the shard. No other segment is read.
 *
 * What may be found, and what becomes of it:
 *
 *   a file *.tmp                 removed: it was half made
 *   no good watermark            the segments alone decide; what is before the first is trimmed
 *   no directory                 -EBADMSG
 *   no segment                   the end is the watermark; a gap from the horizon to there
 *   the last segment
 *     ends whole                 it becomes the active one, or a sealed one of a closed shard
 *     ends in a torn write       the tail is kept aside in a file *.torn, then cut; as whole
 *     has lost durable text      a gap up to the watermark; the file stays as it is, and the next
 *                                append begins a new segment
 *     has nothing (left)         removed; the segment before it is the last one
 *     was trimmed                the same
 *     is another shard's         -EBADMSG
 *   bad bytes, good chunks behind them
 *                                a gap that answers -EBADMSG; nothing is cut
 *   text above the watermark     written again in place, for the next sync
 *   segments below the horizon   removed: a trim was cut short
 *   an error of the disk         the shard does not open
 *
 * A write is torn, and text lost, by one measure: whether it ends above or below what is known to
 * be durable, by the watermark or by the header of a chunk. A record of several chunks is torn as a
 * whole.
 *
 * Invariants of recovery:
 *   1. Nothing below the watermark is ever cut.
 *   2. What is cut was kept aside first, durably.
 *   3. After an error of the disk, or in another shard's segment, nothing was cut.
 *   4. A read-only store is not changed.
 *   5. What was not synced is written again before it may count as durable; or the shard has
 *      failed.
 * And of a shard that was recovered, as check_recovered() asserts:
 *   6. The horizon and the synced offset are at most the end.
 *   7. The bases rise, all below the end.
 *   8. An active segment is the one of the last base, and ends where the shard ends.
 */
#include "recover.h"

#include "active_files.h"
#include "cleanup.h"
#include "last_segment.h"
#include "sealed_segment.h"
#include "segment_list.h"
#include "shard.h"
#include "shard_name.h"
#include "syncer.h"
#include "trace.h"
#include "trimmed_segments.h"
#include "unsynced_text.h"

#include <assert.h>
#include <errno.h>

static int load_watermark(struct sfs_shard *shard)
{
	char path[SHARD_PATH_MAX];
	shard_path(shard, path, WATERMARK_FILE);
	struct shard_env *env = shard->env;
	struct watermark *w = &shard->sync.watermark;
	*w = (struct watermark){0};
	int r = watermark_load(&env->disk, env->streams_dir, path, shard->tag, w);
	shard->sync.watermark_bad = r == -EBADMSG || r == -ELOOP;
	if (shard->sync.watermark_bad)
		env_report(env, SFS_ERROR, "%s: no good slot; going by the segments alone", path);
	TRACE(recover, "%s: synced to %llu, horizon %llu: error %d", path,
		(unsigned long long)w->synced.offset, (unsigned long long)w->horizon.offset, r);
	/* -ENOTDIR: there is no directory either, as segment_list_load() will find. */
	return shard->sync.watermark_bad || r == -ENOENT || r == -ENOTDIR ? 0 : r;
}

/* The last segment leaves the shard: nothing of it counts. */
static int drop_last(struct sfs_shard *shard)
{
	struct shard_env *env = shard->env;
	uint64_t base = shard->bases[--shard->base_count];
	TRACE(recover, "%s shard %u: segment %llu is dropped", shard->home->name, shard->number,
		(unsigned long long)base);
	if (env->read_only)
		return 0;
	char path[SHARD_PATH_MAX];
	shard_segment_path(shard, path, base, INDEX_SUFFIX);
	(void)disk_unlink(&env->disk, env->streams_dir, path);
	shard_segment_path(shard, path, base, SEGMENT_SUFFIX);
	return disk_unlink(&env->disk, env->streams_dir, path);
}

/* Recovers the segment that is the last one so far. False: nothing of it counts. */
static int recover_last(struct sfs_shard *shard, bool *ret_counts)
{
	_cleanup_(last_segment_fini) struct last_segment last;
	int r = last_segment_open(shard, shard->bases[shard->base_count - 1], &last);
	if (r == 0)
		r = last_segment_settle(shard, &last);
	if (r < 0)
		return r;
	*ret_counts = last.scan.index.count > 0;
	return *ret_counts ? last_segment_adopt(shard, &last) : 0;
}

/* Not one segment counts. Text that was durable and not trimmed is damage: a gap of its own. */
static int take_end_of_watermark(struct sfs_shard *shard)
{
	const struct watermark *w = &shard->sync.watermark;
	free(shard->bases);
	shard->bases = NULL;
	shard->end = w->synced;
	shard->sync.synced_offset = w->synced.offset;
	shard->last_arrival_ms = w->horizon_arrival_ms;
	if (w->synced.offset == w->horizon.offset)
		return 0;
	env_report(shard->env, SFS_ERROR,
		"%s/" SHARD_NAME_FORMAT ": its segments are gone; text %llu to %llu cannot be read",
		shard->home->name, shard->number, (unsigned long long)w->horizon.offset,
		(unsigned long long)w->synced.offset);
	metric_add(&shard->env->metrics.quarantined_chunks, 1);
	shard->gap_bytes = w->synced.offset - w->horizon.offset;
	shard->bases = malloc(sizeof *shard->bases);
	if (!shard->bases)
		return -ENOMEM;
	shard->bases[0] = w->horizon.offset;
	shard->base_count = 1;
	return 0;
}

/* The end of the shard is that of the last segment of which anything counts. */
static int find_end(struct sfs_shard *shard)
{
	while (shard->base_count) {
		bool counts;
		int r = recover_last(shard, &counts);
		if (r < 0 || counts)
			return r;
		r = drop_last(shard);
		if (r < 0)
			return r;
	}
	return take_end_of_watermark(shard);
}

/* The first segment, counted. */
static int first_segment(struct sfs_shard *shard, struct segment **ret_segment)
{
	if (shard->active && shard->active->base_offset == shard->bases[0]) {
		*ret_segment = segment_ref(shard->active);
		return 0;
	}
	return shard_sealed_segment(shard, shard->bases[0], ret_segment);
}

static void guess_horizon_at(struct sfs_shard *shard, const struct index_item *first)
{
	struct watermark *w = &shard->sync.watermark;
	w->horizon = first->start;
	w->horizon_arrival_ms = first->arrival_ms;
	shard->horizon = w->horizon;
	env_report(shard->env, SFS_INFO,
		"%s/" SHARD_NAME_FORMAT ": begins at text %llu; what was before counts as trimmed",
		shard->home->name, shard->number, (unsigned long long)w->horizon.offset);
}

/* The watermark's. Without a watermark, what is before the first segment counts as trimmed. */
static int find_horizon(struct sfs_shard *shard)
{
	shard->horizon = shard->sync.watermark.horizon;
	if (shard->sync.watermark.counter || !shard->base_count || !shard->bases[0])
		return 0;
	struct segment *segment;
	int r = first_segment(shard, &segment);
	if (r < 0)
		return r == -EBADMSG ? 0 : r;
	const struct index_item *first = segment->index.count ? &segment->index.items[0] : NULL;
	if (first && !(first->flags & (INDEX_DAMAGED | INDEX_CONTINUES)))
		guess_horizon_at(shard, first);
	segment_unref(segment);
	return 0;
}

/*
 * Times must not step back. Where all of the last segment is damaged, the last arrival is that of a
 * segment before it.
 */
static int find_last_arrival(struct sfs_shard *shard)
{
	for (size_t i = shard->base_count; i > 1 && !shard->last_arrival_ms; i--) {
		struct segment *segment;
		int r = shard_sealed_segment(shard, shard->bases[i - 2], &segment);
		if (r == -EBADMSG)
			continue;
		if (r < 0)
			return r;
		shard->last_arrival_ms = segment->index.end.arrival_ms;
		segment_unref(segment);
	}
	if (shard->last_arrival_ms < shard->sync.watermark.horizon_arrival_ms)
		shard->last_arrival_ms = shard->sync.watermark.horizon_arrival_ms;
	return 0;
}

/* Completes a trim that was cut short. Where it fails, the shard opens all the same. */
static void finish_trim(struct sfs_shard *shard)
{
	if (!shard->env->read_only)
		(void)shard_drop_trimmed_locked(shard);
}

static void plan_sync(struct sfs_shard *shard)
{
	SCOPED_LOCK(&shard->lock);
	if (shard->end.offset > shard->sync.synced_offset && !shard->env->read_only)
		syncer_dirty_locked(shard, shard->home->settings.flush_interval_ms);
}

/* Goes back to a shard that is not open. */
static void forget(struct sfs_shard *shard)
{
	for (size_t i = 0; i < shard->sync.unsynced_count; i++)
		segment_unref(shard->sync.unsynced[i]);
	free(shard->sync.unsynced);
	shard->sync.unsynced = NULL;
	shard->sync.unsynced_count = 0;
	active_files_remove(shard);
	segment_unref(shard->active);
	shard->active = NULL;
	free(shard->bases);
	shard->bases = NULL;
	shard->base_count = 0;
	shard->gap_bytes = 0;
	shard->sync.synced_offset = 0;
	shard->last_arrival_ms = 0;
	shard->end = shard->horizon = (struct position){0};
}

/* Invariants 6 to 8. */
static void check_recovered(struct sfs_shard *shard)
{
	SCOPED_LOCK(&shard->lock);
	assert(shard->horizon.offset <= shard->end.offset);
	assert(shard->sync.synced_offset <= shard->end.offset);
	for (size_t i = 0; i < shard->base_count; i++)
		assert(shard->bases[i] <
			(i + 1 < shard->base_count ? shard->bases[i + 1] : shard->end.offset));
	const struct segment *active = shard->active;
	if (!active)
		return;
	assert(shard->base_count && active->base_offset == shard->bases[shard->base_count - 1]);
	assert(position_equal(active->index.end.at, shard->end));
}

int shard_recover(struct sfs_shard *shard)
{
	int r = load_watermark(shard);
	if (r == 0)
		r = segment_list_load(shard);
	if (r == 0)
		r = find_end(shard);
	if (r == 0)
		r = find_horizon(shard);
	if (r == 0)
		r = find_last_arrival(shard);
	if (r == 0)
		r = unsynced_text_write_back(shard);
	if (r < 0) {
		TRACE(recover, "%s shard %u: not opened: error %d", shard->home->name,
			shard->number, r);
		forget(shard);
		return r;
	}
	finish_trim(shard);
	check_recovered(shard);
	plan_sync(shard);
	TRACE(recover, "%s shard %u: recovered: text %llu to %llu, synced to %llu",
		shard->home->name, shard->number, (unsigned long long)shard->horizon.offset,
		(unsigned long long)shard->end.offset,
		(unsigned long long)shard->sync.synced_offset);
	return 0;
}
