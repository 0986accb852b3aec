/* SPDX-License-Identifier: MIT */
/*
 * Listing and removing blobs. What a sweep may take and how it goes along with puts: blobs.h.
 */
#include "blobs.h"

#include "cleanup.h"
#include "clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

enum { HEX_SIZE = 65 };

/*
 * Walking the tree: `file` is called for each name in an XX directory, `stray` for each other name
 * in the blob directory, `leave` (may be NULL) when an XX directory was walked.
 */
struct walk {
	struct blobs *blobs;
	int (*file)(struct walk *walk, int fan, const char *name);
	int (*stray)(struct walk *walk, const char *name);
	int (*leave)(struct walk *walk, const char *name);
	char fan_name[3];
};

static void cleanup_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

/* Opens a directory below the blob directory for readdir(3). */
static int open_listing(const struct blobs *blobs, const char *name, DIR **ret_listing)
{
	int fd;
	int r = disk_open(blobs->disk, blobs->dir, name, O_RDONLY | O_DIRECTORY, &fd);
	if (r < 0)
		return r;
	DIR *listing = fdopendir(fd);
	if (!listing) {
		r = -errno;
		close(fd);
		return r;
	}
	*ret_listing = listing;
	return 0;
}

/* The next name but "." and ".."; NULL at the end. */
static int next_name(DIR *listing, const char **ret_name)
{
	for (;;) {
		errno = 0;
		const struct dirent *entry = readdir(listing);
		if (!entry && errno)
			return -errno;
		if (entry && (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")))
			continue;
		*ret_name = entry ? entry->d_name : NULL;
		return 0;
	}
}

/* What a walk is to end with at the next name. */
static int check_stop(const struct blobs *blobs)
{
	const atomic_bool *stop = blobs->stop;
	return stop && atomic_load(stop) ? -ECANCELED : 0;
}

static bool is_fan(const char *name)
{
	return strspn(name, "0123456789abcdef") == 2 && !name[2];
}

static int walk_fan(struct walk *walk, const char *name)
{
	_cleanup_(cleanup_dir) DIR *listing = NULL;
	memcpy(walk->fan_name, name, sizeof walk->fan_name);
	int r = open_listing(walk->blobs, walk->fan_name, &listing);
	if (r == -ENOENT || r == -ENOTDIR || r == -ELOOP)
		return 0; /* went meanwhile, or never was ours */
	const char *file;
	if (r == 0)
		r = check_stop(walk->blobs);
	while (r == 0 && (r = next_name(listing, &file)) == 0 && file) {
		r = walk->file(walk, dirfd(listing), file);
		if (r == 0)
			r = check_stop(walk->blobs);
	}
	if (r == 0 && walk->leave)
		r = walk->leave(walk, walk->fan_name);
	return r;
}

static int walk_blobs(struct walk *walk)
{
	if (walk->blobs->dir < 0)
		return 0;
	_cleanup_(cleanup_dir) DIR *listing = NULL;
	int r = open_listing(walk->blobs, ".", &listing);
	const char *name;
	while (r == 0 && (r = next_name(listing, &name)) == 0 && name)
		r = is_fan(name) ? walk_fan(walk, name) : walk->stray(walk, name);
	return r;
}

static bool is_temporary(const char *name)
{
	size_t n = strlen(name), suffix = strlen(DISK_TMP_SUFFIX);
	return n > suffix && !strcmp(name + n - suffix, DISK_TMP_SUFFIX);
}

/* Whether a name begins with a digest and a dot. */
static bool parse_digest(const char *name, uint8_t digest[32])
{
	char hex[HEX_SIZE];
	if (strchr(name, '.') != name + HEX_SIZE - 1)
		return false;
	memcpy(hex, name, HEX_SIZE - 1);
	hex[HEX_SIZE - 1] = 0;
	return digest_from_hex(hex, digest) == 0;
}

/* Whether a name in this XX directory is a blob's, and whose. */
static bool parse_name(const struct walk *walk, const char *name, uint8_t digest[32])
{
	return !memcmp(name, walk->fan_name, 2) && parse_digest(name, digest) &&
	       !strcmp(name + HEX_SIZE - 1, ".lz4");
}

static int ignore_stray(struct walk *walk, const char *name)
{
	(void)walk;
	(void)name;
	return 0;
}

struct list {
	struct walk walk;
	int (*each)(void *context, const char *digest_hex);
	void *context;
};

static int list_file(struct walk *walk, int fan, const char *name)
{
	struct list *list = (struct list *)walk;
	uint8_t digest[32];
	char hex[HEX_SIZE];
	(void)fan;
	if (!parse_name(walk, name, digest))
		return 0;
	digest_to_hex(digest, hex);
	return list->each(list->context, hex);
}

int blobs_list(
	struct blobs *blobs, int (*each)(void *context, const char *digest_hex), void *context)
{
	struct list list = {
		.walk = {.blobs = blobs, .file = list_file, .stray = ignore_stray},
		.each = each,
		.context = context,
	};
	return walk_blobs(&list.walk);
}

/* ---- sweeping ---- */

static int compare_digests(const void *a, const void *b)
{
	return memcmp(a, b, DIGEST_BYTES);
}

void blob_batch_keep_locked(struct blob_batch *batch, const uint8_t digest[32])
{
	const uint8_t *first = batch->digests.data;
	size_t count = batch->digests.size / DIGEST_BYTES;
	const uint8_t *found =
		count ? bsearch(digest, first, count, DIGEST_BYTES, compare_digests) : NULL;
	if (found)
		((bool *)batch->kept.data)[(found - first) / DIGEST_BYTES] = true;
}

void blob_batch_keep(struct blob_batch *batch, const uint8_t digest[32])
{
	SCOPED_LOCK(&batch->blobs->lock);
	blob_batch_keep_locked(batch, digest);
}

/* Finding the next batch: the least digests behind `after`. */
struct collection {
	struct walk walk; /* first */
	const struct blob_sweep *sweep;
	uint64_t now_ms;
	const uint8_t *after; /* NULL: all */
	struct buf digests;
};

/* A file that was last touched longer than the grace period ago. */
static bool is_old(const struct collection *c, int dir, const char *name, uint64_t grace_ms)
{
	struct stat st;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return false;
	uint64_t touched_ms =
		(uint64_t)st.st_mtim.tv_sec * 1000 + (uint64_t)st.st_mtim.tv_nsec / 1000000;
	return !grace_ms || (touched_ms < c->now_ms && c->now_ms - touched_ms > grace_ms);
}

/* A file that a put left behind; while one is at work on that digest it may be its own. */
static int sweep_temporary(struct collection *c, int dir, const char *name)
{
	struct blobs *blobs = c->walk.blobs;
	uint8_t digest[DIGEST_BYTES];
	if (!is_temporary(name) || !is_old(c, dir, name, c->sweep->temporary_grace_ms))
		return 0;
	SCOPED_LOCK(&blobs->lock);
	if (parse_digest(name, digest) && blobs_in_flight_locked(blobs, digest))
		return 0;
	int r = disk_unlink(blobs->disk, dir, name);
	return r == -ENOENT ? 0 : r;
}

static int collect_stray(struct walk *walk, const char *name)
{
	return sweep_temporary((struct collection *)walk, walk->blobs->dir, name);
}

/* Sorts what was found and keeps the least. */
static void keep_least(struct collection *c)
{
	size_t max = c->sweep->batch_max * DIGEST_BYTES;
	if (c->digests.size)
		qsort(c->digests.data, c->digests.size / DIGEST_BYTES, DIGEST_BYTES,
			compare_digests);
	if (c->digests.size > max)
		c->digests.size = max;
}

static int collect_file(struct walk *walk, int fan, const char *name)
{
	struct collection *c = (struct collection *)walk;
	uint8_t digest[DIGEST_BYTES];
	if (!parse_name(walk, name, digest))
		return sweep_temporary(c, fan, name);
	if ((c->after && compare_digests(digest, c->after) <= 0) ||
		!is_old(c, fan, name, c->sweep->grace_ms))
		return 0;
	if (c->digests.size / DIGEST_BYTES >= 2 * c->sweep->batch_max)
		keep_least(c);
	return buf_append(&c->digests, digest, DIGEST_BYTES);
}

static void batch_fini(struct blob_batch *batch)
{
	buf_fini(&batch->digests);
	buf_fini(&batch->kept);
}

/* Replaces the batch by the one behind it, with no mark. */
static int next_batch(const struct blob_sweep *sweep, struct blob_batch *batch)
{
	struct collection c = {
		.walk = {.blobs = batch->blobs, .file = collect_file, .stray = collect_stray},
		.sweep = sweep,
		.now_ms = clock_wall_ms(),
	};
	if (batch->digests.size)
		c.after = batch->digests.data + batch->digests.size - DIGEST_BYTES;
	int r = walk_blobs(&c.walk);
	if (r < 0) {
		buf_fini(&c.digests);
		return r;
	}
	keep_least(&c);
	buf_fini(&batch->digests);
	batch->digests = c.digests;
	batch->kept.size = 0;
	size_t count = c.digests.size / DIGEST_BYTES;
	r = buf_reserve(&batch->kept, count + 1);
	if (r == 0)
		memset(batch->kept.data, 0, count + 1);
	return r;
}

/* Removes a blob of the batch unless it has a mark. No put comes in between. */
static int remove_orphan(struct blob_batch *batch, size_t i, uint64_t *removed)
{
	struct blobs *blobs = batch->blobs;
	char hex[HEX_SIZE], path[HEX_SIZE + 8];
	digest_to_hex(batch->digests.data + i * DIGEST_BYTES, hex);
	snprintf(path, sizeof path, "%.2s/%s.lz4", hex, hex);
	SCOPED_LOCK(&blobs->lock);
	if (((const bool *)batch->kept.data)[i])
		return 0;
	int r = disk_unlink(blobs->disk, blobs->dir, path);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	++*removed;
	return 0;
}

static int remove_orphans(struct blob_batch *batch, uint64_t *removed)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < batch->digests.size / DIGEST_BYTES; i++) {
		r = check_stop(batch->blobs);
		if (r == 0)
			r = remove_orphan(batch, i, removed);
	}
	return r;
}

static int sweep_batch(const struct blob_sweep *sweep, struct blob_batch *batch, uint64_t *removed)
{
	blobs_watch_puts(batch->blobs, batch);
	int r = sweep->keep_named(sweep->context, batch);
	if (r == 0)
		r = remove_orphans(batch, removed);
	blobs_unwatch_puts(batch->blobs, batch);
	return r;
}

int blobs_sweep(struct blobs *blobs, const struct blob_sweep *sweep, uint64_t *ret_removed)
{
	struct blob_batch batch = {.blobs = blobs};
	uint64_t removed = 0;
	size_t count;
	int r;
	do {
		r = next_batch(sweep, &batch);
		count = batch.digests.size / DIGEST_BYTES;
		if (r == 0 && count)
			r = sweep_batch(sweep, &batch, &removed);
	} while (r == 0 && count && count == sweep->batch_max);
	batch_fini(&batch);
	if (r == 0)
		*ret_removed = removed;
	return r;
}

/* ---- removing all ---- */

static int remove_file(struct walk *walk, int fan, const char *name)
{
	uint8_t digest[32];
	if (!parse_name(walk, name, digest) && !is_temporary(name))
		return 0;
	return disk_unlink(walk->blobs->disk, fan, name);
}

static int remove_stray(struct walk *walk, const char *name)
{
	return is_temporary(name) ? disk_unlink(walk->blobs->disk, walk->blobs->dir, name) : 0;
}

static int remove_fan(struct walk *walk, const char *name)
{
	return disk_rmdir(walk->blobs->disk, walk->blobs->dir, name);
}

int blobs_remove_all(struct blobs *blobs)
{
	struct walk walk = {
		.blobs = blobs,
		.file = remove_file,
		.stray = remove_stray,
		.leave = remove_fan,
	};
	SCOPED_LOCK(&blobs->lock);
	memset(blobs->fans_durable, 0, sizeof blobs->fans_durable);
	return walk_blobs(&walk);
}
