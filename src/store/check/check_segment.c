/* SPDX-License-Identifier: MIT */
#include "check_segment.h"

#include "check_chunk.h"
#include "cleanup.h"
#include "torn_tail.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- the end of the last segment ---- */

/* Whether there is a sound chunk in place of a torn one: that is data of another shard or place. */
static bool is_foreign(struct shard_walk *walk, uint64_t offset)
{
	uint8_t header[sizeof(struct chunk_header)];
	size_t got;
	struct chunk c;
	return disk_read(walk_disk(walk), walk->fd, offset, header, sizeof header, &got) == 0 &&
	       got == sizeof header && chunk_parse(header, &c) == 0 &&
	       (c.owner != walk->shard->tag || c.text_offset != walk->end.offset);
}

static void cut_tail(struct shard_walk *walk, uint64_t base, struct scan *scan, bool open_record)
{
	uint64_t from = scan->index.end.file_offset;
	uint64_t bytes = scan->file_bytes - from;
	if (is_foreign(walk, from)) {
		walk_finding(walk, false, from, "%" PRIu64 " bytes of chunks that belong elsewhere",
			bytes);
		return;
	}
	_cleanup_close_ int fd = -1;
	int r = -EROFS;
	if (walk_repairs(walk) && !walk->bad_mark)
		r = disk_open(walk_disk(walk), walk_streams(walk), walk->path + strlen("streams/"),
			O_RDWR | O_NONBLOCK, &fd);
	if (r == 0)
		r = torn_tail_cut(walk->shard, fd, base, scan);
	walk_finding(walk, r == 0, from, "%" PRIu64 " bytes of an unfinished write%s", bytes,
		open_record ? ": a record without its end" : "");
}

/* Drops the scan's last chunks if they are of a record that was torn off. True: some were. */
static bool drop_torn_record(struct shard_walk *walk, struct scan *scan)
{
	uint64_t durable = walk->mark.synced.offset > scan->synced_offset ? walk->mark.synced.offset
									  : scan->synced_offset;
	if (!walk->last || !scan->open_record || scan->index.end.at.offset <= durable)
		return false;
	size_t count = scan->index.count;
	torn_tail_take_open_record(scan);
	return scan->index.count < count;
}

static void check_end(struct shard_walk *walk, uint64_t base, struct scan *scan, bool torn_record)
{
	uint64_t end = scan->index.end.at.offset, from = scan->index.end.file_offset;
	if (walk->last && walk->mark.synced.offset > end) {
		uint64_t horizon = walk->mark.horizon.offset, lost = end > horizon ? end : horizon;
		if (walk->mark.synced.offset > lost) /* else all of it was trimmed */
			walk_finding(walk, false, from,
				"damaged; text %" PRIu64 " to %" PRIu64
				", which was durable, cannot be read",
				lost, walk->mark.synced.offset);
		walk->end.offset = walk->mark.synced.offset;
		walk->knows_sequence = false;
		return;
	}
	if (walk->last && (scan->tail_damaged || torn_record))
		cut_tail(walk, base, scan, torn_record);
	else if (scan->tail_damaged)
		walk_finding(walk, false, from,
			"%" PRIu64 " bytes that are no chunk of this segment",
			scan->file_bytes - from);
	if (walk->last && walk->open_record && scan->index.count)
		walk_finding(walk, false, from, "the end of the last record is missing");
	if (walk->has_mark && walk->last && walk->mark.synced.offset == end &&
		walk->knows_sequence && walk->mark.synced.sequence != walk->end.sequence)
		walk_finding(walk, false, from,
			"the next record is %" PRIu64 ", but the watermark says %" PRIu64,
			walk->end.sequence, walk->mark.synced.sequence);
	else if (walk->has_mark && walk->last && walk->mark.synced.offset == end &&
		 walk->knows_sequence && walk->mark.synced.json_offset != walk->end.json_offset)
		walk_finding(walk, false, from,
			"the next record as JSON is at %" PRIu64
			", but the watermark says %" PRIu64,
			walk->end.json_offset, walk->mark.synced.json_offset);
}

/* ---- the index ---- */

static bool same_index(const struct index *a, const struct index *b)
{
	if (a->count != b->count || !position_equal(a->end.at, b->end.at) ||
		a->end.arrival_ms != b->end.arrival_ms)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		const struct index_item *x = &a->items[i], *y = &b->items[i];
		if (!position_equal(x->start, y->start) || x->file_offset != y->file_offset ||
			x->arrival_ms != y->arrival_ms || x->stored_bytes != y->stored_bytes ||
			x->flags != y->flags)
			return false;
	}
	return true;
}

/* Makes the index again. That of the last segment, which grows, is removed instead. */
static int repair_index(struct shard_walk *walk, const char *path, const struct index *index)
{
	if (!walk_repairs(walk))
		return -EROFS;
	if (walk->last)
		return disk_unlink(walk_disk(walk), walk_streams(walk), path);
	return index_save(walk_disk(walk), walk_streams(walk), path, walk->shard->tag, index);
}

/* For a sound segment only: beside a damaged one the index may hold what the segment has lost. */
static int check_index(struct shard_walk *walk, uint64_t base, const struct scan *scan)
{
	char path[SHARD_PATH_MAX];
	shard_segment_path(walk->shard, path, base, INDEX_SUFFIX);
	struct index index = {0};
	int r = index_load(walk_disk(walk), walk_streams(walk), path, walk->shard->tag, walk->fd,
		scan->file_bytes, base, &index);
	if (r == -ENOENT || r == -ENOMEM)
		return r == -ENOENT ? 0 : r;
	bool same = r == 0 && same_index(&index, &scan->index);
	index_fini(&index);
	if (same)
		return 0;
	bool repaired = repair_index(walk, path, &scan->index) == 0;
	walk_file_finding(walk, repaired, path, "not the index of its segment");
	return 0;
}

/* ---- a segment ---- */

/* Reports bytes between two chunks, or before the first, that are no chunk. */
static void check_junk(struct shard_walk *walk, const struct index *index, size_t i)
{
	uint64_t expected = 0;
	if (i && index->items[i - 1].flags & INDEX_DAMAGED)
		return; /* reported with the gap */
	if (i)
		expected = index->items[i - 1].file_offset + index->items[i - 1].stored_bytes;
	if (index->items[i].file_offset != expected)
		walk_finding(walk, false, expected, "%" PRIu64 " bytes that are no chunk",
			index->items[i].file_offset - expected);
}

static int check_items(struct shard_walk *walk, const struct index *index)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < index->count; i++) {
		const struct index_item *item = &index->items[i];
		uint64_t end = index_item_end(index, i);
		if (item->flags & INDEX_DAMAGED) {
			walk_finding(walk, false, item->file_offset,
				"damaged; text %" PRIu64 " to %" PRIu64 " cannot be read",
				item->start.offset, end);
			walk_lose_sequence(walk);
			continue;
		}
		check_junk(walk, index, i);
		r = check_chunk(walk, item, end - item->start.offset);
	}
	return r;
}

/* Checks that the text of this segment begins where that of the one before ended. */
static void check_begin(struct shard_walk *walk, uint64_t base)
{
	if (walk->knows_end && base == walk->end.offset)
		return;
	/* A gap between segments below the horizon is what trims left. */
	if (walk->knows_end && base > walk->end.offset && base > walk->mark.horizon.offset)
		walk_finding(walk, false, 0, "text %" PRIu64 " to %" PRIu64 " before it is missing",
			walk->end.offset, base);
	else if (walk->knows_end && base < walk->end.offset)
		walk_finding(walk, false, 0,
			"begins at text %" PRIu64 ", but the one before ends at %" PRIu64, base,
			walk->end.offset);
	else if (!walk->knows_end && base > walk->mark.horizon.offset && !walk->bad_mark)
		walk_finding(walk, false, 0, "text %" PRIu64 " to %" PRIu64 " before it is missing",
			walk->mark.horizon.offset, base);
	walk->knows_sequence = base == 0;
	walk->end.sequence = walk->end.json_offset = 0;
	walk->open_record = walk->record.known = false;
}

static int check_scan(struct shard_walk *walk, uint64_t base, struct scan *scan)
{
	uint64_t before = walk->findings;
	bool torn_record = drop_torn_record(walk, scan);
	if (!walk->knows_first && scan->index.count) {
		walk->knows_first = true;
		walk->first.sequence = scan->index.items[0].start.sequence;
		walk->first.json_offset = scan->index.items[0].start.json_offset;
	}
	int r = check_items(walk, &scan->index);
	if (r < 0)
		return r;
	walk->knows_end = true;
	walk->end.offset = scan->index.end.at.offset;
	check_end(walk, base, scan, torn_record);
	checker_progress(walk->checker, scan->file_bytes - scan->index.end.file_offset);
	return walk->findings == before && scan->index.count ? check_index(walk, base, scan) : 0;
}

static int open_segment(struct shard_walk *walk, uint64_t base, int *ret_fd)
{
	char path[SHARD_PATH_MAX];
	shard_segment_path(walk->shard, path, base, SEGMENT_SUFFIX);
	snprintf(walk->path, sizeof walk->path, "streams/%s", path);
	_cleanup_close_ int fd = -1;
	int r = disk_open(walk_disk(walk), walk_streams(walk), path, O_RDONLY | O_NONBLOCK, &fd);
	struct stat st;
	if (r == 0 && fstat(fd, &st) < 0)
		r = -errno;
	if (r == 0 && !S_ISREG(st.st_mode))
		r = -EBADMSG;
	if (r < 0)
		return r;
	*ret_fd = fd;
	fd = -1;
	return 0;
}

/* A segment that cannot be read at all. The next one misses the text that should be in it. */
static int skip_segment(struct shard_walk *walk, uint64_t base, int error)
{
	walk->findings++;
	walk->knows_end = true;
	walk->end.offset = base;
	walk_lose_sequence(walk);
	if (error == -EPROTONOSUPPORT) {
		checker_finding(walk->checker, false,
			"%s: holds a chunk of a format that this program does not know",
			walk->path);
		return 0;
	}
	return checker_trouble(walk->checker, walk->path, error);
}

static int check_segment(struct shard_walk *walk, uint64_t base, bool last)
{
	if (walk->fd >= 0)
		close(walk->fd);
	walk->fd = -1;
	walk->last = last;
	walk->checker->summary.segments++;
	int r = open_segment(walk, base, &walk->fd);
	struct scan scan;
	/* As recovery reads it: of the last one, what is not durable counts only if it is sound. */
	if (r == 0)
		r = segment_scan(walk_disk(walk), walk->fd, walk->shard->tag, base,
			last ? walk->mark.synced.offset : UINT64_MAX, &scan);
	if (r < 0)
		return skip_segment(walk, base, r);
	check_begin(walk, base);
	r = check_scan(walk, base, &scan);
	index_fini(&scan.index);
	return r;
}

/* Whether a segment was begun and has no good chunk, and nothing durable in it either. */
static bool is_blank(struct shard_walk *walk, uint64_t base)
{
	_cleanup_close_ int fd = -1;
	struct scan scan;
	if (walk->mark.synced.offset > base || open_segment(walk, base, &fd) < 0 ||
		segment_scan(walk_disk(walk), fd, walk->shard->tag, base, walk->mark.synced.offset,
			&scan) < 0)
		return false;
	bool blank = !scan.index.count;
	index_fini(&scan.index);
	return blank;
}

int check_segments(struct shard_walk *walk, const struct segment_bases *bases)
{
	size_t last = bases->count;
	while (last > 1 && is_blank(walk, bases->items[last - 1]))
		last--;
	if (bases->count)
		walk->first.offset = bases->items[0];
	int r = 0;
	for (size_t i = 0; r == 0 && i < bases->count; i++)
		r = check_segment(walk, bases->items[i], i + 1 >= last);
	return r;
}
