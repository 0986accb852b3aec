/* SPDX-License-Identifier: MIT */
#include "check_shard.h"

#include "check_segment.h"
#include "cleanup.h"
#include "file_names.h"
#include "shard_name.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define TORN_SUFFIX ".torn"

enum { BASE_DIGITS = 20 }; /* of a segment's text offset, in file names */

/* ---- the watermark ---- */

/* Puts a new file in the place of the old one, so that there is one whatever happens. */
static int write_watermark(struct shard_walk *walk, const char *path, struct watermark w)
{
	char temporary[SHARD_PATH_MAX + sizeof DISK_TMP_SUFFIX], directory[SHARD_PATH_MAX];
	snprintf(temporary, sizeof temporary, "%s" DISK_TMP_SUFFIX, path);
	shard_path(walk->shard, directory, "");
	_cleanup_close_ int fd = -1, dir = -1;
	int r = disk_open(
		walk_disk(walk), walk_streams(walk), directory, O_RDONLY | O_DIRECTORY, &dir);
	if (r == 0)
		r = disk_open(walk_disk(walk), walk_streams(walk), temporary,
			O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK, &fd);
	if (r == 0)
		r = watermark_store(walk_disk(walk), fd, walk->shard->tag, &w);
	if (r == 0)
		r = disk_sync(walk_disk(walk), fd);
	if (r == 0)
		r = disk_rename(
			walk_disk(walk), walk_streams(walk), temporary, walk_streams(walk), path);
	return r < 0 ? r : disk_sync_dir(walk_disk(walk), dir);
}

static int load_watermark(struct shard_walk *walk)
{
	char path[SHARD_PATH_MAX];
	shard_path(walk->shard, path, WATERMARK_FILE);
	int r = watermark_load(
		walk_disk(walk), walk_streams(walk), path, walk->shard->tag, &walk->mark);
	walk->has_mark = r == 0;
	walk->bad_mark = r < 0 && r != -ENOENT;
	if (r == -ENOMEM)
		return r;
	if (r == 0 && watermark_verify(walk_disk(walk), walk_streams(walk), path,
			      walk->shard->tag) == -EBADMSG) {
		bool repaired = walk_repairs(walk) && write_watermark(walk, path, walk->mark) == 0;
		walk_file_finding(walk, repaired, path, "one of its slots is damaged");
	}
	return 0;
}

/*
 * A watermark without a good slot is made again if the segments are whole: they alone show then
 * where the text begins and ends.
 */
static void settle_watermark(struct shard_walk *walk)
{
	if (!walk->bad_mark)
		return;
	char path[SHARD_PATH_MAX];
	shard_path(walk->shard, path, WATERMARK_FILE);
	bool whole = !walk->findings && walk->knows_first && walk->knows_sequence;
	const struct watermark w = {.horizon = walk->first, .synced = walk->end};
	bool repaired = walk_repairs(walk) && whole && syncfs(walk->checker->store->dir) == 0 &&
			write_watermark(walk, path, w) == 0;
	walk_file_finding(
		walk, repaired, path, "no good slot in it: how far the shard was durable is lost");
}

/* ---- the directory ---- */

static int compare_bases(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

/* An index without its segment means nothing: repair removes it. */
static void check_stray_index(struct shard_walk *walk, const char *name)
{
	char segment[NAME_MAX + 1], path[SHARD_PATH_MAX];
	struct stat st;
	snprintf(segment, sizeof segment, "%.*s" SEGMENT_SUFFIX, BASE_DIGITS, name);
	shard_path(walk->shard, path, segment);
	if (fstatat(walk_streams(walk), path, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return;
	shard_path(walk->shard, path, name);
	bool removed =
		walk_repairs(walk) && disk_unlink(walk_disk(walk), walk_streams(walk), path) == 0;
	walk_file_finding(walk, removed, path, "an index without its segment");
}

static bool has_base(const char *name)
{
	return strspn(name, "0123456789") == BASE_DIGITS;
}

static int check_name(struct shard_walk *walk, const char *name, struct segment_bases *bases)
{
	char path[SHARD_PATH_MAX + NAME_MAX];
	uint64_t base;
	snprintf(path, sizeof path, "%s/" SHARD_NAME_FORMAT "/%s", walk->shard->stream->home.name,
		walk->shard->number, name);
	if (segment_parse_name(name, &base) == 0)
		return vector_push(bases, base);
	if (file_name_is_temporary(name))
		return leftovers_add(walk->leftovers, path);
	if (has_base(name) && strlen(name) == BASE_DIGITS + strlen(INDEX_SUFFIX) &&
		file_name_ends(name, INDEX_SUFFIX))
		check_stray_index(walk, name);
	else if (strcmp(name, WATERMARK_FILE) != 0 &&
		 !(has_base(name) && file_name_ends(name, TORN_SUFFIX)))
		checker_note(walk->checker, "streams/%s: not a file of the store", path);
	return 0;
}

static int list_segments(struct shard_walk *walk, struct segment_bases *bases)
{
	char path[SHARD_PATH_MAX], shown[SHARD_PATH_MAX + 16];
	shard_path(walk->shard, path, "");
	snprintf(shown, sizeof shown, "streams/%s", path);
	struct file_names names;
	int r = file_names_read(walk_disk(walk), walk_streams(walk), path, &names);
	if (r == -ENOENT) {
		walk_file_finding(walk, false, path, "missing");
		return -ENOENT;
	}
	if (r < 0) {
		int fatal = checker_trouble(walk->checker, shown, r);
		return fatal < 0 ? fatal : -ENOENT;
	}
	for (size_t i = 0; r == 0 && i < names.list.count; i++)
		r = check_name(walk, names.list.items[i], bases);
	file_names_fini(&names);
	vector_sort(bases, compare_bases);
	return r;
}

/* Segments that are gone altogether, though the watermark tells of text in them. */
static void check_emptied(struct shard_walk *walk)
{
	const struct watermark *w = &walk->mark;
	if (w->synced.offset <= w->horizon.offset)
		return;
	char path[SHARD_PATH_MAX];
	shard_path(walk->shard, path, "");
	walk_file_finding(walk, false, path,
		"its segments are gone; text %" PRIu64 " to %" PRIu64 " cannot be read",
		w->horizon.offset, w->synced.offset);
}

int check_shard(struct checker *checker, struct sfs_shard *shard, struct blob_check *blobs,
	struct leftovers *leftovers)
{
	struct shard_walk walk;
	struct segment_bases bases = {0};
	walk_init(&walk, checker, shard);
	walk.blobs = blobs;
	walk.leftovers = leftovers;
	checker->summary.shards++;
	int r = list_segments(&walk, &bases);
	if (r == 0)
		r = load_watermark(&walk);
	if (r == 0)
		r = check_segments(&walk, &bases);
	if (r == 0 && !bases.count)
		check_emptied(&walk);
	if (r == 0)
		settle_watermark(&walk);
	vector_fini(&bases);
	walk_fini(&walk);
	return r == -ENOENT ? 0 : r;
}
