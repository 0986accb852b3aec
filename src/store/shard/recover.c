/* SPDX-License-Identifier: MIT */
/*
 * Recovery of a shard: what its directory holds and where it ends.
 *
 * The happy path: the last segment's chunks follow on each other to the end of the file. Else, at
 * the first byte that is no good chunk:
 *   good chunks of this shard behind it     damage: a gap that answers -EBADMSG; nothing is cut
 *   none, and the watermark is beyond       damage at the end: a gap up to the watermark; the file
 *                                           stays as it is, the next append begins a new segment
 *   none, and the watermark is not beyond   a torn write: kept aside in a .torn file, then cut
 * What is good but above the watermark is written once more, in place: the process that wrote it
 * may have seen its sync fail, and then only this makes the next sync mean something.
 * A record of many chunks whose last one is missing is torn as a whole. An error of the disk while
 * reading is none of these: the shard does not open and nothing is changed.
 */
#include "shard.h"
#include "shard_name.h"

#include "active_files.h"
#include "cleanup.h"
#include "syncer.h"
#include "trimmed_segments.h"
#include "write_back.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

static int compare_bases(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

static void cleanup_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

/* Notes one file of the shard's directory; takes away what a crash left half made. */
static int note_file(struct sfs_shard *shard, int dir, const char *name, struct buf *bases)
{
	const struct disk *disk = &shard->env->disk;
	size_t length = strlen(name), suffix = strlen(DISK_TMP_SUFFIX);
	if (length > suffix && !strcmp(name + length - suffix, DISK_TMP_SUFFIX)) {
		if (!shard->env->read_only)
			(void)disk_unlink(disk, dir, name);
		return 0;
	}
	uint64_t base;
	if (segment_parse_name(name, &base) < 0)
		return 0;
	struct stat st;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode)) {
		env_report(shard->env, SFS_ERROR, "%s/" SHARD_NAME_FORMAT "/%s: not a file",
			shard->home->name, shard->number, name);
		return 0;
	}
	shard->stored_bytes += (uint64_t)st.st_size;
	return buf_append(bases, &base, sizeof base);
}

static int list_segments(struct sfs_shard *shard, struct buf *bases)
{
	char path[SHARD_PATH_MAX];
	shard_path(shard, path, "");
	int fd;
	int r = disk_open(
		&shard->env->disk, shard->env->streams_dir, path, O_RDONLY | O_DIRECTORY, &fd);
	if (r < 0)
		return r == -ENOENT || r == -ENOTDIR || r == -ELOOP ? -EBADMSG : r;
	_cleanup_(cleanup_dir) DIR *dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return -ENOMEM;
	}
	shard->stored_bytes = 0;
	for (;;) {
		errno = 0;
		const struct dirent *entry = readdir(dir);
		if (!entry)
			break;
		r = note_file(shard, fd, entry->d_name, bases);
		if (r < 0)
			return r;
	}
	if (errno)
		return -errno;
	if (bases->size)
		qsort(bases->data, bases->size / sizeof(uint64_t), sizeof(uint64_t), compare_bases);
	return 0;
}

static int load_watermark(struct sfs_shard *shard)
{
	char path[SHARD_PATH_MAX];
	shard_path(shard, path, "synced");
	struct shard_env *env = shard->env;
	shard->sync.watermark = (struct watermark){0};
	int r = watermark_load(
		&env->disk, env->streams_dir, path, shard->tag, &shard->sync.watermark);
	if (r == -EBADMSG || r == -ELOOP)
		env_report(env, SFS_ERROR, "%s: no good slot; going by the segments alone", path);
	shard->sync.watermark_bad = r == -EBADMSG || r == -ELOOP;
	/* -ENOTDIR: there is no directory either, as list_segments() will find. */
	return r == -EBADMSG || r == -ENOENT || r == -ELOOP || r == -ENOTDIR ? 0 : r;
}

void scan_drop_open_record(struct scan *scan)
{
	struct index *index = &scan->index;
	size_t i = index->count;
	while (i && (index->items[i - 1].flags & INDEX_CONTINUES))
		i--;
	if (!i)
		return;
	if (!(index->items[i - 1].flags & INDEX_DAMAGED))
		i--; /* else it began in the gap: what is behind that goes */
	index->end.at = index->items[i].start;
	index->end.file_offset = index->items[i].file_offset;
	index->count = i;
}

/* A new file for a torn end; one of the same place is of an earlier tear and stays. */
static int make_torn(struct sfs_shard *shard, uint64_t base, uint64_t from,
	char path[SHARD_PATH_MAX], int *ret_fd)
{
	enum { TRIES = 10000 };
	struct shard_env *env = shard->env;
	char suffix[48], count[12] = "";
	int r = -EEXIST;
	for (unsigned i = 1; r == -EEXIST && i < TRIES; i++) {
		snprintf(suffix, sizeof suffix, ".at-%llu%s.torn", (unsigned long long)from, count);
		shard_segment_path(shard, path, base, suffix);
		r = disk_open(
			&env->disk, env->streams_dir, path, O_WRONLY | O_CREAT | O_EXCL, ret_fd);
		snprintf(count, sizeof count, ".%u", i);
	}
	if (r < 0)
		path[0] = 0;
	return r;
}

static int sync_directory(struct sfs_shard *shard)
{
	struct shard_env *env = shard->env;
	char path[SHARD_PATH_MAX];
	shard_path(shard, path, "");
	_cleanup_close_ int dir = -1;
	int r = disk_open(&env->disk, env->streams_dir, path, O_RDONLY | O_DIRECTORY, &dir);
	return r < 0 ? r : disk_sync_dir(&env->disk, dir);
}

/*
 * Keeps the torn end of a segment in a file of its own, durably. Zeros are not worth keeping: then
 * `path` stays empty.
 */
static int keep_aside(struct sfs_shard *shard, int fd, uint64_t base, uint64_t from, uint64_t to,
	char path[SHARD_PATH_MAX])
{
	enum { PIECE = 1 << 20 };
	struct shard_env *env = shard->env;
	_cleanup_free_ char *piece = malloc(PIECE);
	if (!piece)
		return -ENOMEM;
	_cleanup_close_ int torn = -1;
	for (uint64_t at = from; at < to;) {
		size_t want = to - at < PIECE ? (size_t)(to - at) : PIECE, got;
		int r = disk_read(&env->disk, fd, at, piece, want, &got);
		if (r < 0)
			return r;
		if (!got)
			break;
		bool zeros = !piece[0] && !memcmp(piece, piece + 1, got - 1);
		if (torn < 0 && !zeros)
			r = make_torn(shard, base, from, path, &torn);
		if (r == 0 && torn >= 0)
			r = disk_write(&env->disk, torn, at - from, piece, got);
		if (r < 0)
			return r;
		at += got;
	}
	if (torn < 0)
		return 0;
	int r = disk_sync(&env->disk, torn);
	return r < 0 ? r : sync_directory(shard);
}

/* What was kept aside goes again where the segment still has it, or each try would leave one. */
static void drop_aside(struct shard_env *env, const char *path, int fd, uint64_t file_bytes)
{
	struct stat st;
	if (*path && fstat(fd, &st) == 0 && (uint64_t)st.st_size == file_bytes)
		(void)disk_unlink(&env->disk, env->streams_dir, path);
}

int shard_cut_tail(struct sfs_shard *shard, int fd, uint64_t base, struct scan *scan)
{
	struct shard_env *env = shard->env;
	uint64_t from = scan->index.end.file_offset, bytes = scan->file_bytes - from;
	if (env->read_only)
		return 0;
	char torn[SHARD_PATH_MAX] = "";
	int r = keep_aside(shard, fd, base, from, scan->file_bytes, torn);
	if (r == 0)
		r = disk_truncate(&env->disk, fd, from);
	if (r < 0)
		drop_aside(env, torn, fd, scan->file_bytes);
	if (r == 0)
		r = disk_sync(&env->disk, fd);
	if (r < 0)
		return r;
	shard->stored_bytes -= bytes;
	metric_add(&env->metrics.recoveries, 1);
	metric_add(&env->metrics.torn_bytes, bytes);
	env_report(env, SFS_INFO,
		"%s/" SHARD_NAME_FORMAT
		"/%020llu.lz4: offset %llu: cut %llu bytes of an unfinished write",
		shard->home->name, shard->number, (unsigned long long)base,
		(unsigned long long)from, (unsigned long long)bytes);
	return 0;
}

/* Damage at the end: what was once durable is missing up to the watermark. */
static int note_lost_end(struct sfs_shard *shard, struct scan *scan)
{
	const struct index_end *end = &scan->index.end;
	struct position lost_end = shard->sync.watermark.synced;
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

/*
 * Whether a segment in which no chunk is this shard's is anything but one that was begun and never
 * finished: another shard's, or of a shard whose watermark is another's too. Such are never cut.
 */
static bool is_foreign(struct sfs_shard *shard, int fd, const struct scan *scan)
{
	bool durable = shard->sync.watermark.synced.offset > scan->index.end.at.offset;
	if (scan->index.count || !scan->file_bytes || durable)
		return false;
	struct chunk_header header;
	struct chunk chunk;
	size_t got;
	int r = disk_read(&shard->env->disk, fd, 0, &header, sizeof header, &got);
	bool other = r == 0 && got == sizeof header && chunk_parse(&header, &chunk) == 0 &&
		     chunk.owner != shard->tag;
	return shard->sync.watermark_bad || other;
}

/* How far the shard is known to be durable: by the watermark, or by what a chunk tells. */
static uint64_t known_durable(const struct sfs_shard *shard, const struct scan *scan)
{
	uint64_t marked = shard->sync.watermark.synced.offset;
	return marked > scan->synced_offset ? marked : scan->synced_offset;
}

/* Brings the scan of the last segment to an end that can be appended to, or says it cannot. */
static int settle_end(
	struct sfs_shard *shard, int fd, uint64_t base, struct scan *scan, bool *ret_appendable)
{
	if (scan->open_record && scan->index.end.at.offset > known_durable(shard, scan)) {
		scan_drop_open_record(scan);
		scan->tail_damaged = true;
	}
	int r = 0;
	*ret_appendable = true;
	if (shard->sync.watermark.synced.offset > scan->index.end.at.offset) {
		*ret_appendable = false;
		r = note_lost_end(shard, scan);
	} else if (scan->tail_damaged) {
		r = shard_cut_tail(shard, fd, base, scan);
	}
	report_gaps(shard, base, scan);
	return r;
}

static void take_horizon(struct sfs_shard *shard)
{
	shard->horizon = shard->sync.watermark.horizon;
}

/* The text ends where the last segment ends. */
static void take_end(struct sfs_shard *shard, const struct scan *scan)
{
	const struct index *index = &scan->index;
	uint64_t durable = known_durable(shard, scan);
	shard->end = index->end.at;
	shard->last_arrival_ms = index->end.arrival_ms;
	shard->sync.synced_offset = durable < shard->end.offset ? durable : shard->end.offset;
}

/* That there is none yet is so until the first sync only. */
static void report_missing_watermark(struct sfs_shard *shard, const struct scan *scan)
{
	if (shard->sync.watermark.counter || shard->sync.watermark_bad || !scan->index.count)
		return;
	bool lost = scan->synced_offset > 0;
	char path[SHARD_PATH_MAX];
	shard_path(shard, path, "synced");
	env_report(shard->env, lost ? SFS_ERROR : SFS_INFO,
		lost ? "%s: missing; going by the segments alone"
		     : "%s: missing: lost, or the shard was never synced; going by the segments "
		       "alone",
		path);
}

/* The last segment of a closed shard is a sealed one, which needs no descriptor of its own. */
static void keep_sealed(struct sfs_shard *shard, struct segment *segment)
{
	struct shard_env *env = shard->env;
	char path[SHARD_PATH_MAX];
	struct stat st;
	shard_segment_path(shard, path, segment->base_offset, INDEX_SUFFIX);
	lru_put(env->segments, shard->tag, segment->base_offset, segment, 1);
	if (fstatat(env->streams_dir, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		shard->env->sealed(shard, segment->base_offset);
}

/*
 * What is left of a trim that was cut short where the directory kept the removal of later segments:
 * all of the segment is below the horizon, and that later ones are missing is no damage.
 */
static bool is_trimmed_away(const struct sfs_shard *shard, uint64_t base, const struct scan *scan)
{
	const struct watermark *w = &shard->sync.watermark;
	uint64_t end = scan->index.end.at.offset;
	bool later = end < w->synced.offset && end <= w->horizon.offset && base < w->horizon.offset;
	return later && (!scan->tail_damaged || w->synced.offset == w->horizon.offset);
}

/* Recovers the segment that is the last one so far. A result without chunks: there is nothing. */
static int open_last(struct sfs_shard *shard, uint64_t base)
{
	struct shard_env *env = shard->env;
	char path[SHARD_PATH_MAX];
	shard_segment_path(shard, path, base, SEGMENT_SUFFIX);
	_cleanup_close_ int fd = -1;
	int r = disk_open(
		&env->disk, env->streams_dir, path, env->read_only ? O_RDONLY : O_RDWR, &fd);
	if (r < 0)
		return r;
	struct scan scan;
	r = segment_scan(
		&env->disk, fd, shard->tag, base, shard->sync.watermark.synced.offset, &scan);
	if (r < 0)
		return r;
	if (is_foreign(shard, fd, &scan)) {
		env_report(env, SFS_ERROR, "%s: not of this shard; nothing is changed", path);
		index_fini(&scan.index);
		return -EBADMSG;
	}
	if (is_trimmed_away(shard, base, &scan)) {
		shard->stored_bytes -= scan.file_bytes;
		index_fini(&scan.index);
		return 0;
	}
	report_missing_watermark(shard, &scan);
	bool appendable;
	r = settle_end(shard, fd, base, &scan, &appendable);
	if (r < 0 || !scan.index.count) {
		index_fini(&scan.index);
		return r;
	}
	take_end(shard, &scan);
	shard->gap_bytes = scan.gap_bytes;
	struct segment *segment = segment_new(base, fd, &scan.index);
	if (!segment) {
		index_fini(&scan.index);
		return -ENOMEM;
	}
	fd = -1;
	bool seal = shard->closed && env->sealed;
	if (appendable && !seal) {
		shard->active = segment;
		active_files_add_locked(shard);
		return 0;
	}
	if (appendable)
		keep_sealed(shard, segment);
	segment_unref(segment);
	return 0;
}

/* A last segment of which nothing counts: begun and never written, or trimmed. */
static int drop_empty(struct sfs_shard *shard, uint64_t base)
{
	struct shard_env *env = shard->env;
	shard->base_count--;
	if (env->read_only)
		return 0;
	char path[SHARD_PATH_MAX];
	shard_segment_path(shard, path, base, INDEX_SUFFIX);
	(void)disk_unlink(&env->disk, env->streams_dir, path);
	shard_segment_path(shard, path, base, SEGMENT_SUFFIX);
	return disk_unlink(&env->disk, env->streams_dir, path);
}

/* Not one segment is left. Durable text that was there once is damage. */
static int settle_without_segments(struct sfs_shard *shard)
{
	const struct watermark *w = &shard->sync.watermark;
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

/*
 * What could not be written back, or not be synced, is no reason not to read it; but it must never
 * count as durable.
 */
static int tell_unsafe(struct sfs_shard *shard, const char *what, int error)
{
	if (error == -ENOMEM)
		return error;
	SCOPED_LOCK(&shard->lock);
	shard_fail_locked(shard, what, error);
	return 0;
}

static int open_sealed(struct sfs_shard *shard, uint64_t base, int *ret_fd)
{
	struct shard_env *env = shard->env;
	char path[SHARD_PATH_MAX];
	shard_segment_path(shard, path, base, SEGMENT_SUFFIX);
	struct stat st;
	if (fstatat(env->streams_dir, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? -EBADMSG : -errno;
	if (!S_ISREG(st.st_mode))
		return -EBADMSG;
	return disk_open(&env->disk, env->streams_dir, path, O_RDWR | O_NONBLOCK, ret_fd);
}

/* Counts it for the next sync, or syncs it now. Takes the descriptor. */
static int keep_or_sync(struct sfs_shard *shard, uint64_t base, int fd, bool keep)
{
	_cleanup_close_ int own = fd;
	if (!keep) {
		int r = disk_sync(&shard->env->disk, own);
		return r < 0 ? tell_unsafe(shard, "a sync", r) : 0;
	}
	struct index empty;
	index_init(&empty, (struct position){.offset = base});
	struct segment *segment = segment_new(base, own, &empty);
	if (!segment)
		return -ENOMEM;
	own = -1;
	SCOPED_LOCK(&shard->lock);
	int r = shard_add_unsynced_locked(shard, segment);
	segment_unref(segment);
	return r;
}

static int write_back_sealed(struct sfs_shard *shard, uint64_t base, bool keep)
{
	struct shard_env *env = shard->env;
	_cleanup_close_ int fd = -1;
	int r = open_sealed(shard, base, &fd);
	if (r < 0)
		return r == -EBADMSG ? 0 : r; /* reads will find that out */
	struct scan scan;
	r = segment_scan(&env->disk, fd, shard->tag, base, shard->sync.synced_offset, &scan);
	if (r < 0)
		return r;
	if (scan.gap_count || scan.tail_damaged)
		env_report(env, SFS_ERROR,
			"%s/" SHARD_NAME_FORMAT "/%020llu.lz4: damaged before it was ever synced",
			shard->home->name, shard->number, (unsigned long long)base);
	r = segment_write_back(&env->disk, fd, shard->tag, &scan.index, shard->sync.synced_offset);
	index_fini(&scan.index);
	if (r < 0)
		return tell_unsafe(shard, "writing again what was not synced", r);
	int taken = fd;
	fd = -1;
	return keep_or_sync(shard, base, taken, keep);
}

/*
 * What was written after the last sync is in the kernel's hands, not surely on the disk: it is
 * written back, and the next sync has to take these segments along. Of many, the oldest are synced
 * at once.
 */
static int write_back(struct sfs_shard *shard)
{
	const struct disk *disk = &shard->env->disk;
	if (shard->env->read_only || shard->end.offset <= shard->sync.synced_offset)
		return 0;
	shard->sync.dir_unsynced = true;
	size_t sealed = shard->base_count - (shard->active != NULL);
	size_t first = sealed;
	while (first && (first < shard->base_count ? shard->bases[first] : shard->end.offset) >
				shard->sync.synced_offset)
		first--;
	int r = 0;
	for (size_t i = first; r == 0 && i < sealed; i++)
		r = write_back_sealed(shard, shard->bases[i], sealed - i <= UNSYNCED_SEGMENTS);
	if (r < 0 || !shard->active)
		return r;
	r = segment_write_back(disk, shard->active->fd, shard->tag, &shard->active->index,
		shard->sync.synced_offset);
	return r < 0 ? tell_unsafe(shard, "writing again what was not synced", r) : 0;
}

static void forget_all(struct sfs_shard *shard)
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
}

/*
 * Where all of the last segment is damaged, the last arrival is that of a segment before it: times
 * must not step back behind it.
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

/* The segment that is the first one; counted. */
static int first_segment(struct sfs_shard *shard, struct segment **ret_segment)
{
	if (shard->active && shard->active->base_offset == shard->bases[0]) {
		*ret_segment = segment_ref(shard->active);
		return 0;
	}
	return shard_sealed_segment(shard, shard->bases[0], ret_segment);
}

/* Without a watermark, what is before the first segment counts as trimmed. */
static int guess_horizon(struct sfs_shard *shard)
{
	struct watermark *w = &shard->sync.watermark;
	struct segment *segment;
	if (w->counter || !shard->base_count || !shard->bases[0])
		return 0;
	int r = first_segment(shard, &segment);
	if (r < 0)
		return r == -EBADMSG ? 0 : r;
	const struct index_item *first = segment->index.count ? &segment->index.items[0] : NULL;
	if (first && !(first->flags & (INDEX_DAMAGED | INDEX_CONTINUES))) {
		w->horizon = first->start;
		w->horizon_arrival_ms = first->arrival_ms;
		take_horizon(shard);
		env_report(shard->env, SFS_INFO,
			"%s/" SHARD_NAME_FORMAT
			": begins at text %llu; what was before counts as trimmed",
			shard->home->name, shard->number, (unsigned long long)w->horizon.offset);
	}
	segment_unref(segment);
	return 0;
}

static int recover(struct sfs_shard *shard, struct buf *bases)
{
	int r = load_watermark(shard);
	if (r == 0)
		r = list_segments(shard, bases);
	if (r < 0)
		return r;
	take_horizon(shard);
	shard->bases = (uint64_t *)(void *)bases->data;
	shard->base_count = bases->size / sizeof(uint64_t);
	*bases = (struct buf){0};
	while (shard->base_count && !shard->end.offset) {
		uint64_t base = shard->bases[shard->base_count - 1];
		r = open_last(shard, base);
		if (r == 0 && !shard->end.offset)
			r = drop_empty(shard, base);
		if (r < 0)
			return r;
	}
	if (!shard->base_count) {
		free(shard->bases);
		shard->bases = NULL;
		r = settle_without_segments(shard);
	}
	if (r == 0)
		r = guess_horizon(shard);
	if (r == 0)
		r = find_last_arrival(shard);
	return r < 0 ? r : write_back(shard);
}

/* What a trim that was cut short has left. That it fails is no reason not to open the shard. */
static void finish_trim(struct sfs_shard *shard)
{
	if (!shard->env->read_only)
		(void)shard_drop_trimmed_locked(shard);
}

int shard_recover(struct sfs_shard *shard)
{
	_cleanup_(buf_fini) struct buf bases = {0};
	shard->end.offset = 0;
	int r = recover(shard, &bases);
	if (r < 0) {
		forget_all(shard);
		return r;
	}
	finish_trim(shard);
	SCOPED_LOCK(&shard->lock);
	if (shard->end.offset > shard->sync.synced_offset && !shard->env->read_only)
		syncer_dirty_locked(shard, shard->home->settings.flush_interval_ms);
	return 0;
}
