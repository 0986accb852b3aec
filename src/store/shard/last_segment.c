/* SPDX-License-Identifier: MIT */
#include "last_segment.h"

#include "active_files.h"
#include "shard.h"
#include "shard_name.h"
#include "torn_tail.h"
#include "trace.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* How far the shard is known to be durable: by its watermark, or by a header of the segment. */
static uint64_t known_durable(const struct sfs_shard *shard, const struct scan *scan)
{
	uint64_t marked = shard->sync.watermark.synced.offset;
	return marked > scan->synced_offset ? marked : scan->synced_offset;
}

/*
 * The segment has bytes and not one chunk of this shard. It was begun and never finished, and then
 * it is torn; unless it begins with a chunk of another shard, or the watermark is not this shard's
 * either.
 */
static int is_foreign(struct sfs_shard *shard, const struct last_segment *last, bool *ret_foreign)
{
	const struct scan *scan = &last->scan;
	bool durable = shard->sync.watermark.synced.offset > scan->index.end.at.offset;
	*ret_foreign = false;
	if (scan->index.count || !scan->file_bytes || durable)
		return 0;
	struct chunk_header header;
	struct chunk chunk;
	size_t got;
	int r = disk_read(&shard->env->disk, last->fd, 0, &header, sizeof header, &got);
	if (r < 0)
		return r;
	bool other = got == sizeof header && chunk_parse(&header, &chunk) == 0 &&
		     chunk.owner != shard->tag;
	*ret_foreign = shard->sync.watermark_bad || other;
	return 0;
}

/*
 * A trim removes segments from the first on. Where it was cut short, the directory may have kept
 * the removal of later ones and not that of this one. That the later ones are missing is no damage.
 */
static bool is_trimmed(const struct sfs_shard *shard, const struct last_segment *last)
{
	const struct watermark *w = &shard->sync.watermark;
	const struct scan *scan = &last->scan;
	uint64_t end = scan->index.end.at.offset;
	bool all_below = end <= w->horizon.offset && last->base < w->horizon.offset;
	bool later_missing = end < w->synced.offset;
	bool nothing_left = w->synced.offset == w->horizon.offset;
	return all_below && later_missing && (!scan->tail_damaged || nothing_left);
}

/* A record without its end is torn as a whole, unless it is known to be durable. */
static void judge_open_record(const struct sfs_shard *shard, struct scan *scan)
{
	if (!scan->open_record || scan->index.end.at.offset <= known_durable(shard, scan))
		return;
	TRACE(recover, "%s shard %u: the last record has no end", shard->home->name, shard->number);
	torn_tail_take_open_record(scan);
	scan->tail_damaged = true;
}

/* There is none until the first sync. Later it is missing because it was lost. */
static void report_missing_watermark(struct sfs_shard *shard, const struct scan *scan)
{
	if (shard->sync.watermark.counter || shard->sync.watermark_bad || !scan->index.count)
		return;
	bool lost = scan->synced_offset > 0;
	char path[SHARD_PATH_MAX];
	shard_path(shard, path, WATERMARK_FILE);
	env_report(shard->env, lost ? SFS_ERROR : SFS_INFO,
		lost ? "%s: missing; going by the segments alone"
		     : "%s: missing: lost, or the shard was never synced; going by the segments "
		       "alone",
		path);
}

static int judge(struct sfs_shard *shard, struct last_segment *last)
{
	bool foreign;
	int r = is_foreign(shard, last, &foreign);
	if (r < 0)
		return r;
	if (foreign) {
		last->end = END_FOREIGN;
		return 0;
	}
	if (is_trimmed(shard, last)) {
		last->end = END_TRIMMED;
		return 0;
	}
	report_missing_watermark(shard, &last->scan);
	judge_open_record(shard, &last->scan);
	if (shard->sync.watermark.synced.offset > last->scan.index.end.at.offset)
		last->end = END_LOST;
	else
		last->end = last->scan.tail_damaged ? END_TORN : END_WHOLE;
	return 0;
}

int last_segment_open(struct sfs_shard *shard, uint64_t base, struct last_segment *ret_last)
{
	static const char *const names[] = {"whole", "torn", "lost", "trimmed", "foreign"};
	struct shard_env *env = shard->env;
	struct last_segment *last = ret_last;
	*last = (struct last_segment){.base = base, .fd = -1};
	char path[SHARD_PATH_MAX];
	shard_segment_path(shard, path, base, SEGMENT_SUFFIX);
	int r = disk_open(
		&env->disk, env->streams_dir, path, env->read_only ? O_RDONLY : O_RDWR, &last->fd);
	if (r == 0)
		r = segment_scan(&env->disk, last->fd, shard->tag, base,
			shard->sync.watermark.synced.offset, &last->scan);
	if (r == 0)
		r = judge(shard, last);
	if (r < 0)
		return r;
	TRACE(recover, "%s shard %u: segment %llu: %zu chunks, end at %llu is %s",
		shard->home->name, shard->number, (unsigned long long)base, last->scan.index.count,
		(unsigned long long)last->scan.index.end.at.offset, names[last->end]);
	return 0;
}

void last_segment_fini(struct last_segment *last)
{
	if (last->fd >= 0)
		close(last->fd);
	last->fd = -1;
	index_fini(&last->scan.index);
}

/* What was durable and is missing becomes a gap up to the watermark. */
static int note_lost_end(struct sfs_shard *shard, struct scan *scan)
{
	const struct index_end *end = &scan->index.end;
	struct position lost_end = shard->sync.watermark.synced;
	assert(lost_end.offset > end->at.offset);
	if (lost_end.sequence < end->at.sequence)
		lost_end.sequence = end->at.sequence;
	if (lost_end.json_offset < end->at.json_offset)
		lost_end.json_offset = end->at.json_offset;
	scan->gap_count++;
	scan->gap_bytes += lost_end.offset - end->at.offset;
	return index_add_gap(&scan->index, end->file_offset, lost_end);
}

static void report_gaps(struct sfs_shard *shard, uint64_t base, const struct scan *scan)
{
	const struct index *index = &scan->index;
	for (size_t i = 0; i < index->count; i++)
		if (index->items[i].flags & INDEX_DAMAGED)
			env_report(shard->env, SFS_ERROR,
				"%s/" SHARD_NAME_FORMAT
				"/%020llu.lz4: offset %llu: damaged; text %llu to "
				"%llu cannot be read",
				shard->home->name, shard->number, (unsigned long long)base,
				(unsigned long long)index->items[i].file_offset,
				(unsigned long long)index->items[i].start.offset,
				(unsigned long long)index_item_end(index, i));
	if (scan->gap_count)
		metric_add(&shard->env->metrics.quarantined_chunks, scan->gap_count);
}

int last_segment_settle(struct sfs_shard *shard, struct last_segment *last)
{
	char path[SHARD_PATH_MAX];
	int r = 0;
	switch (last->end) {
	case END_FOREIGN:
		shard_segment_path(shard, path, last->base, SEGMENT_SUFFIX);
		env_report(
			shard->env, SFS_ERROR, "%s: not of this shard; nothing is changed", path);
		return -EBADMSG;
	case END_TRIMMED:
		shard->stored_bytes -= last->scan.file_bytes;
		index_cut(&last->scan.index, 0, &(struct index_end){0});
		return 0;
	case END_LOST:
		r = note_lost_end(shard, &last->scan);
		break;
	case END_TORN:
		r = torn_tail_cut(shard, last->fd, last->base, &last->scan);
		break;
	case END_WHOLE:
		break;
	}
	report_gaps(shard, last->base, &last->scan);
	return r;
}

static void take_end(struct sfs_shard *shard, const struct scan *scan)
{
	const struct index_end *end = &scan->index.end;
	uint64_t durable = known_durable(shard, scan);
	shard->end = end->at;
	shard->last_arrival_ms = end->arrival_ms;
	shard->sync.synced_offset = durable < end->at.offset ? durable : end->at.offset;
	shard->gap_bytes = scan->gap_bytes;
}

/* The last segment of a closed shard needs no descriptor of its own. */
static void keep_sealed(struct sfs_shard *shard, struct segment *segment)
{
	struct shard_env *env = shard->env;
	char path[SHARD_PATH_MAX];
	struct stat st;
	shard_segment_path(shard, path, segment->base_offset, INDEX_SUFFIX);
	lru_put(env->segments, shard->tag, segment->base_offset, segment, 1);
	if (fstatat(env->streams_dir, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		env->sealed(shard, segment->base_offset);
}

int last_segment_adopt(struct sfs_shard *shard, struct last_segment *last)
{
	assert(last->scan.index.count);
	take_end(shard, &last->scan);
	if (last->end == END_LOST)
		return 0; /* reads open it as any other sealed segment */
	struct segment *segment = segment_new(last->base, last->fd, &last->scan.index);
	if (!segment)
		return -ENOMEM;
	last->fd = -1;
	last->scan.index = (struct index){0};
	if (!shard->closed || !shard->env->sealed) {
		shard->active = segment;
		active_files_add_locked(shard);
		return 0;
	}
	keep_sealed(shard, segment);
	segment_unref(segment);
	return 0;
}
