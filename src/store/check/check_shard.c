/* SPDX-License-Identifier: MIT */
/*
 * The check of one shard: its watermark, its segments one after the other, their indexes.
 *
 * Only the end of the last segment can be torn. What is behind its last good chunk and above the
 * watermark is set aside and cut, as recovery would; anything else that is bad stays as it is.
 */
#include "checker.h"

#include "cleanup.h"
#include "shard.h"
#include "shard_name.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#define WATERMARK_FILE "synced"
#define TORN_SUFFIX ".torn"

enum { BASE_DIGITS = 20 };

static const struct disk *disk_of(const struct shard_check *s)
{
	return &s->stream->check->store->env.disk;
}

static int streams_of(const struct shard_check *s)
{
	return s->stream->check->store->env.streams_dir;
}

static bool repairs(const struct shard_check *s)
{
	return s->stream->check->options->repair;
}

/* A finding about a file or the directory of the shard. */
static void file_finding(struct shard_check *s, bool repaired, const char *path, const char *format,
	...) __attribute__((format(printf, 4, 5)));
static void file_finding(
	struct shard_check *s, bool repaired, const char *path, const char *format, ...)
{
	char text[512];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	s->findings++;
	check_finding(s->stream->check, repaired, "streams/%s: %s", path, text);
}

/* ---- the watermark ---- */

/* A new file in the place of the old one, so that there is one whatever happens. */
static int write_watermark(struct shard_check *s, const char *path, struct watermark w)
{
	char temporary[SHARD_PATH_MAX + sizeof DISK_TMP_SUFFIX], directory[SHARD_PATH_MAX];
	snprintf(temporary, sizeof temporary, "%s" DISK_TMP_SUFFIX, path);
	shard_path(s->shard, directory, "");
	_cleanup_close_ int fd = -1, dir = -1;
	int r = disk_open(disk_of(s), streams_of(s), directory, O_RDONLY | O_DIRECTORY, &dir);
	if (r == 0)
		r = disk_open(disk_of(s), streams_of(s), temporary,
			O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK, &fd);
	if (r == 0)
		r = watermark_store(disk_of(s), fd, s->shard->tag, &w);
	if (r == 0)
		r = disk_sync(disk_of(s), fd);
	if (r == 0)
		r = disk_rename(disk_of(s), streams_of(s), temporary, streams_of(s), path);
	return r < 0 ? r : disk_sync_dir(disk_of(s), dir);
}

static int load_watermark(struct shard_check *s)
{
	char path[SHARD_PATH_MAX];
	shard_path(s->shard, path, WATERMARK_FILE);
	int r = watermark_load(disk_of(s), streams_of(s), path, s->shard->tag, &s->mark);
	s->has_mark = r == 0;
	s->bad_mark = r < 0 && r != -ENOENT;
	if (r == -ENOMEM)
		return r;
	if (r == 0 &&
		watermark_verify(disk_of(s), streams_of(s), path, s->shard->tag) == -EBADMSG) {
		bool repaired = repairs(s) && write_watermark(s, path, s->mark) == 0;
		file_finding(s, repaired, path, "one of its slots is damaged");
	}
	return 0;
}

/*
 * Without a good slot: made anew if the segments are whole, so that they alone tell where the text
 * begins and ends. `first` is the first segment's text offset and sequence number.
 */
static void settle_watermark(struct shard_check *s, const struct watermark *first)
{
	if (!s->bad_mark)
		return;
	char path[SHARD_PATH_MAX];
	shard_path(s->shard, path, WATERMARK_FILE);
	bool whole = !s->findings && s->knows_first && s->knows_sequence;
	struct watermark w = *first;
	w.synced.offset = s->end_offset;
	w.synced.sequence = s->end_sequence;
	w.synced.json_offset = s->end_json_offset;
	bool repaired = repairs(s) && whole && syncfs(s->stream->check->store->dir) == 0 &&
			write_watermark(s, path, w) == 0;
	file_finding(
		s, repaired, path, "no good slot in it: how far the shard was durable is lost");
}

/* ---- the end of the last segment ---- */

/* A sound chunk where a torn one was looked for is somebody's data. */
static bool is_foreign(struct shard_check *s, uint64_t offset)
{
	uint8_t header[sizeof(struct chunk_header)];
	size_t got;
	struct chunk c;
	return disk_read(disk_of(s), s->fd, offset, header, sizeof header, &got) == 0 &&
	       got == sizeof header && chunk_parse(header, &c) == 0 &&
	       (c.owner != s->shard->tag || c.text_offset != s->end_offset);
}

static void cut_tail(struct shard_check *s, uint64_t base, struct scan *scan, bool open_record)
{
	uint64_t from = scan->index.end.file_offset;
	uint64_t bytes = scan->file_bytes - from;
	if (is_foreign(s, from)) {
		shard_finding(
			s, false, from, "%" PRIu64 " bytes of chunks that belong elsewhere", bytes);
		return;
	}
	_cleanup_close_ int fd = -1;
	int r = -EROFS;
	if (repairs(s) && !s->bad_mark)
		r = disk_open(disk_of(s), streams_of(s), s->path + strlen("streams/"),
			O_RDWR | O_NONBLOCK, &fd);
	if (r == 0)
		r = shard_cut_tail(s->shard, fd, base, scan);
	shard_finding(s, r == 0, from, "%" PRIu64 " bytes of an unfinished write%s", bytes,
		open_record ? ": a record without its end" : "");
}

/* Says whether the scan's last chunks are those of a record that was torn off; drops them. */
static bool drop_torn_record(struct shard_check *s, struct scan *scan)
{
	uint64_t durable = s->mark.synced.offset > scan->synced_offset ? s->mark.synced.offset
								       : scan->synced_offset;
	if (!s->last || !scan->open_record || scan->index.end.at.offset <= durable)
		return false;
	size_t count = scan->index.count;
	scan_drop_open_record(scan);
	return scan->index.count < count;
}

static void check_end(struct shard_check *s, uint64_t base, struct scan *scan, bool torn_record)
{
	uint64_t end = scan->index.end.at.offset, from = scan->index.end.file_offset;
	if (s->last && s->mark.synced.offset > end) {
		uint64_t horizon = s->mark.horizon.offset, lost = end > horizon ? end : horizon;
		if (s->mark.synced.offset > lost) /* else it was trimmed, as was all after it */
			shard_finding(s, false, from,
				"damaged; text %" PRIu64 " to %" PRIu64
				", which was durable, cannot be read",
				lost, s->mark.synced.offset);
		s->end_offset = s->mark.synced.offset;
		s->knows_sequence = false;
		return;
	}
	if (s->last && (scan->tail_damaged || torn_record))
		cut_tail(s, base, scan, torn_record);
	else if (scan->tail_damaged)
		shard_finding(s, false, from, "%" PRIu64 " bytes that are no chunk of this segment",
			scan->file_bytes - from);
	if (s->last && s->open_record && scan->index.count)
		shard_finding(s, false, from, "the end of the last record is missing");
	if (s->has_mark && s->last && s->mark.synced.offset == end && s->knows_sequence &&
		s->mark.synced.sequence != s->end_sequence)
		shard_finding(s, false, from,
			"the next record is %" PRIu64 ", but the watermark says %" PRIu64,
			s->end_sequence, s->mark.synced.sequence);
	else if (s->has_mark && s->last && s->mark.synced.offset == end && s->knows_sequence &&
		 s->mark.synced.json_offset != s->end_json_offset)
		shard_finding(s, false, from,
			"the next record as JSON is at %" PRIu64
			", but the watermark says %" PRIu64,
			s->end_json_offset, s->mark.synced.json_offset);
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
			x->arrival_ms != y->arrival_ms ||
			x->stored_bytes != y->stored_bytes || x->flags != y->flags)
			return false;
	}
	return true;
}

/* Made anew; the one of the last segment, which grows, goes instead. */
static int repair_index(struct shard_check *s, const char *path, const struct index *index)
{
	if (!repairs(s))
		return -EROFS;
	if (s->last)
		return disk_unlink(disk_of(s), streams_of(s), path);
	return index_save(disk_of(s), streams_of(s), path, s->shard->tag, index);
}

/* Beside a sound segment only: else it may know what the segment does not tell any more. */
static int check_index(struct shard_check *s, uint64_t base, const struct scan *scan)
{
	char path[SHARD_PATH_MAX];
	shard_segment_path(s->shard, path, base, INDEX_SUFFIX);
	struct index index = {0};
	int r = index_load(disk_of(s), streams_of(s), path, s->shard->tag, s->fd, scan->file_bytes,
		base, &index);
	if (r == -ENOENT || r == -ENOMEM)
		return r == -ENOENT ? 0 : r;
	bool same = r == 0 && same_index(&index, &scan->index);
	index_fini(&index);
	if (same)
		return 0;
	bool repaired = repair_index(s, path, &scan->index) == 0;
	file_finding(s, repaired, path, "not the index of its segment");
	return 0;
}

/* ---- a segment ---- */

/* Bytes between two chunks, or before the first, that are none. */
static void check_junk(struct shard_check *s, const struct index *index, size_t i)
{
	uint64_t expected = 0;
	if (i && index->items[i - 1].flags & INDEX_DAMAGED)
		return; /* the gap told of it */
	if (i)
		expected = index->items[i - 1].file_offset + index->items[i - 1].stored_bytes;
	if (index->items[i].file_offset != expected)
		shard_finding(s, false, expected, "%" PRIu64 " bytes that are no chunk",
			index->items[i].file_offset - expected);
}

static int check_items(struct shard_check *s, const struct index *index)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < index->count; i++) {
		const struct index_item *item = &index->items[i];
		uint64_t end = index_item_end(index, i);
		if (item->flags & INDEX_DAMAGED) {
			shard_finding(s, false, item->file_offset,
				"damaged; text %" PRIu64 " to %" PRIu64 " cannot be read",
				item->start.offset, end);
			s->knows_sequence = s->knows_record = false;
			continue;
		}
		check_junk(s, index, i);
		r = check_chunk(s, item, end - item->start.offset);
	}
	return r;
}

/* The text of this segment begins where that of the one before ended. */
static void check_begin(struct shard_check *s, uint64_t base)
{
	if (s->knows_end && base == s->end_offset)
		return;
	/* What trimming left of a segment or two is no loss. */
	if (s->knows_end && base > s->end_offset && base > s->mark.horizon.offset)
		shard_finding(s, false, 0, "text %" PRIu64 " to %" PRIu64 " before it is missing",
			s->end_offset, base);
	else if (s->knows_end && base < s->end_offset)
		shard_finding(s, false, 0,
			"begins at text %" PRIu64 ", but the one before ends at %" PRIu64, base,
			s->end_offset);
	else if (!s->knows_end && base > s->mark.horizon.offset && !s->bad_mark)
		shard_finding(s, false, 0, "text %" PRIu64 " to %" PRIu64 " before it is missing",
			s->mark.horizon.offset, base);
	s->knows_sequence = base == 0;
	s->end_sequence = 0;
	s->end_json_offset = 0;
	s->open_record = s->knows_record = false;
}

static int check_scan(struct shard_check *s, uint64_t base, struct scan *scan)
{
	uint64_t before = s->findings;
	bool torn_record = drop_torn_record(s, scan);
	if (!s->knows_first && scan->index.count) {
		s->knows_first = true;
		s->first_sequence = scan->index.items[0].start.sequence;
		s->first_json_offset = scan->index.items[0].start.json_offset;
	}
	int r = check_items(s, &scan->index);
	if (r < 0)
		return r;
	s->knows_end = true;
	s->end_offset = scan->index.end.at.offset;
	check_end(s, base, scan, torn_record);
	check_progress(s->stream->check, scan->file_bytes - scan->index.end.file_offset);
	return s->findings == before && scan->index.count ? check_index(s, base, scan) : 0;
}

static int open_segment(struct shard_check *s, uint64_t base, int *ret_fd)
{
	char path[SHARD_PATH_MAX];
	shard_segment_path(s->shard, path, base, SEGMENT_SUFFIX);
	snprintf(s->path, sizeof s->path, "streams/%s", path);
	_cleanup_close_ int fd = -1;
	int r = disk_open(disk_of(s), streams_of(s), path, O_RDONLY | O_NONBLOCK, &fd);
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

/* What cannot be read at all; the text that should be in it is missed by the next one. */
static int skip_segment(struct shard_check *s, uint64_t base, int error)
{
	s->findings++;
	s->knows_end = true;
	s->end_offset = base;
	s->knows_sequence = s->knows_record = false;
	if (error == -EPROTONOSUPPORT) {
		check_finding(s->stream->check, false,
			"%s: holds a chunk of a format that this program does not know", s->path);
		return 0;
	}
	return check_trouble(s->stream->check, s->path, error);
}

static int check_segment(struct shard_check *s, uint64_t base, bool last)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	s->last = last;
	s->stream->check->summary.segments++;
	int r = open_segment(s, base, &s->fd);
	struct scan scan;
	/* As recovery reads it: of the last one, what is not durable counts only if it is sound. */
	if (r == 0)
		r = segment_scan(disk_of(s), s->fd, s->shard->tag, base,
			last ? s->mark.synced.offset : UINT64_MAX, &scan);
	if (r < 0)
		return skip_segment(s, base, r);
	check_begin(s, base);
	r = check_scan(s, base, &scan);
	index_fini(&scan.index);
	return r;
}

/* A segment that was begun and in which no chunk is good, with nothing durable in it either. */
static bool is_blank(struct shard_check *s, uint64_t base)
{
	_cleanup_close_ int fd = -1;
	struct scan scan;
	if (s->mark.synced.offset > base || open_segment(s, base, &fd) < 0 ||
		segment_scan(disk_of(s), fd, s->shard->tag, base, s->mark.synced.offset, &scan) <
			0)
		return false;
	bool blank = !scan.index.count;
	index_fini(&scan.index);
	return blank;
}

static int check_segments(struct shard_check *s, const uint64_t *bases, size_t count)
{
	size_t last = count;
	while (last > 1 && is_blank(s, bases[last - 1]))
		last--;
	struct watermark first = {.horizon.offset = count ? bases[0] : 0};
	int r = 0;
	for (size_t i = 0; r == 0 && i < count; i++)
		r = check_segment(s, bases[i], i + 1 >= last);
	if (r < 0)
		return r;
	const struct watermark *w = &s->mark;
	if (!count && w->synced.offset > w->horizon.offset) {
		char path[SHARD_PATH_MAX];
		shard_path(s->shard, path, "");
		file_finding(s, false, path,
			"its segments are gone; text %" PRIu64 " to %" PRIu64 " cannot be read",
			w->horizon.offset, w->synced.offset);
	}
	first.horizon.sequence = s->first_sequence;
	first.horizon.json_offset = s->first_json_offset;
	settle_watermark(s, &first);
	return 0;
}

/* ---- the directory ---- */

static int compare_bases(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

/* An index without its segment tells nothing. */
static void check_stray_index(struct shard_check *s, const char *name)
{
	char segment[NAME_MAX + 1], path[SHARD_PATH_MAX];
	struct stat st;
	snprintf(segment, sizeof segment, "%.*s" SEGMENT_SUFFIX, BASE_DIGITS, name);
	shard_path(s->shard, path, segment);
	if (fstatat(streams_of(s), path, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return;
	shard_path(s->shard, path, name);
	bool removed = repairs(s) && disk_unlink(disk_of(s), streams_of(s), path) == 0;
	file_finding(s, removed, path, "an index without its segment");
}

static bool has_base(const char *name)
{
	return strspn(name, "0123456789") == BASE_DIGITS;
}

static int check_name(struct shard_check *s, const char *name, struct buf *bases)
{
	char path[SHARD_PATH_MAX + NAME_MAX];
	uint64_t base;
	snprintf(path, sizeof path, "%s/" SHARD_NAME_FORMAT "/%s", s->shard->stream->home.name,
		s->shard->number, name);
	if (segment_parse_name(name, &base) == 0)
		return buf_append(bases, &base, sizeof base);
	if (name_is_temporary(name))
		return buf_append(&s->stream->leftovers, path, strlen(path) + 1);
	if (has_base(name) && strlen(name) == BASE_DIGITS + strlen(INDEX_SUFFIX) &&
		name_ends(name, INDEX_SUFFIX))
		check_stray_index(s, name);
	else if (strcmp(name, WATERMARK_FILE) != 0 &&
		 !(has_base(name) && name_ends(name, TORN_SUFFIX)))
		check_note(s->stream->check, "streams/%s: not a file of the store", path);
	return 0;
}

static int list_segments(struct shard_check *s, struct buf *bases)
{
	char path[SHARD_PATH_MAX], shown[SHARD_PATH_MAX + 16];
	shard_path(s->shard, path, "");
	snprintf(shown, sizeof shown, "streams/%s", path);
	struct names names;
	int r = names_read(s->stream->check, streams_of(s), path, &names);
	if (r == -ENOENT) {
		file_finding(s, false, path, "missing");
		return -ENOENT;
	}
	if (r < 0) {
		int fatal = check_trouble(s->stream->check, shown, r);
		return fatal < 0 ? fatal : -ENOENT;
	}
	for (size_t i = 0; r == 0 && i < names.count; i++)
		r = check_name(s, names.list[i], bases);
	names_fini(&names);
	if (bases->size)
		qsort(bases->data, bases->size / sizeof(uint64_t), sizeof(uint64_t), compare_bases);
	return r;
}

int check_shard(struct stream_check *stream, struct sfs_shard *shard)
{
	struct shard_check s = {.stream = stream, .shard = shard, .fd = -1};
	struct buf bases = {0};
	stream->check->summary.shards++;
	int r = list_segments(&s, &bases);
	if (r == 0)
		r = load_watermark(&s);
	if (r == 0)
		r = check_segments(
			&s, (const uint64_t *)(void *)bases.data, bases.size / sizeof(uint64_t));
	if (s.fd >= 0)
		close(s.fd);
	buf_fini(&bases);
	buf_fini(&s.stored);
	buf_fini(&s.meta);
	buf_fini(&s.text);
	return r == -ENOENT ? 0 : r;
}
