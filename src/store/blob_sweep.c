/* SPDX-License-Identifier: MIT */
/*
 * Listing and removing blobs. No orphan is removed while a put is in flight, and nothing that was
 * judged an orphan before a put began is removed after it.
 */
#include "blobs.h"

#include "cleanup.h"
#include "clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

enum { HEX_SIZE = 65, DIGEST_BYTES = 32 };

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

/* What the walk is to end with at the next name. */
static int check_stop(const struct walk *walk)
{
	const atomic_bool *stop = walk->blobs->stop;
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
		r = check_stop(walk);
	while (r == 0 && (r = next_name(listing, &file)) == 0 && file) {
		r = walk->file(walk, dirfd(listing), file);
		if (r == 0)
			r = check_stop(walk);
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

/* Whether a name in this XX directory is a blob's, and whose. */
static bool parse_name(const struct walk *walk, const char *name, uint8_t digest[32])
{
	char hex[HEX_SIZE];
	const char *suffix = strchr(name, '.');
	if (!suffix || suffix != name + HEX_SIZE - 1 || strcmp(suffix, ".lz4") != 0)
		return false;
	memcpy(hex, name, HEX_SIZE - 1);
	hex[HEX_SIZE - 1] = 0;
	return !memcmp(hex, walk->fan_name, 2) && digest_from_hex(hex, digest) == 0;
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

struct sweep {
	struct walk walk;
	uint64_t grace_ms;
	uint64_t now_ms;
	int (*referenced)(void *context, const uint8_t digest[32], bool *ret_referenced);
	void *context;
	uint64_t removed;
};

/* A file that was last touched longer than the grace period ago. */
static bool is_old(const struct sweep *sweep, int dir, const char *name)
{
	struct stat st;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return false;
	uint64_t touched_ms =
		(uint64_t)st.st_mtim.tv_sec * 1000 + (uint64_t)st.st_mtim.tv_nsec / 1000000;
	return touched_ms < sweep->now_ms && sweep->now_ms - touched_ms > sweep->grace_ms;
}

struct old_list {
	struct sweep sweep; /* first */
	const uint8_t *after;
	size_t max;
	struct buf *digests;
};

static int compare_digests(const void *a, const void *b)
{
	return memcmp(a, b, DIGEST_BYTES);
}

/* Sorts what was found and keeps the least. */
static void keep_least(struct old_list *list)
{
	struct buf *digests = list->digests;
	if (digests->size)
		qsort(digests->data, digests->size / DIGEST_BYTES, DIGEST_BYTES, compare_digests);
	if (digests->size > list->max * DIGEST_BYTES)
		digests->size = list->max * DIGEST_BYTES;
}

static int list_old_file(struct walk *walk, int fan, const char *name)
{
	struct old_list *list = (struct old_list *)walk;
	uint8_t digest[DIGEST_BYTES];
	if (!parse_name(walk, name, digest) ||
		(list->after && compare_digests(digest, list->after) <= 0) ||
		!is_old(&list->sweep, fan, name))
		return 0;
	if (list->digests->size >= 2 * list->max * DIGEST_BYTES)
		keep_least(list);
	return buf_append(list->digests, digest, DIGEST_BYTES);
}

int blobs_list_old(struct blobs *blobs, uint64_t grace_ms, const uint8_t *after, size_t max,
	struct buf *ret_digests)
{
	struct buf digests = {0};
	struct old_list list = {
		.sweep = {.walk = {.blobs = blobs, .file = list_old_file, .stray = ignore_stray},
			.grace_ms = grace_ms,
			.now_ms = clock_wall_ms()},
		.after = after,
		.max = max,
		.digests = &digests,
	};
	int r = walk_blobs(&list.sweep.walk);
	if (r < 0) {
		buf_fini(&digests);
		return r;
	}
	keep_least(&list);
	*ret_digests = digests;
	return 0;
}

bool blobs_idle(struct blobs *blobs, uint64_t *ret_puts_begun)
{
	SCOPED_LOCK(&blobs->lock);
	*ret_puts_begun = blobs->puts_begun;
	return !blobs->in_flight;
}

/* Unlinks unless a put has begun since none was in flight and `puts_begun` was read. */
static int unlink_idle(
	struct blobs *blobs, int dir, const char *name, uint64_t puts_begun, bool *ret_removed)
{
	SCOPED_LOCK(&blobs->lock);
	if (blobs->puts_begun != puts_begun) {
		*ret_removed = false;
		return 0;
	}
	int r = disk_unlink(blobs->disk, dir, name);
	if (r < 0 && r != -ENOENT)
		return r;
	*ret_removed = r == 0;
	return 0;
}

static int sweep_temporary(struct sweep *sweep, int dir, const char *name)
{
	uint64_t begun;
	bool removed;
	if (!is_temporary(name) || !is_old(sweep, dir, name) ||
		!blobs_idle(sweep->walk.blobs, &begun))
		return 0;
	return unlink_idle(sweep->walk.blobs, dir, name, begun, &removed);
}

static int sweep_stray(struct walk *walk, const char *name)
{
	return sweep_temporary((struct sweep *)walk, walk->blobs->dir, name);
}

static int sweep_file(struct walk *walk, int fan, const char *name)
{
	struct sweep *sweep = (struct sweep *)walk;
	uint8_t digest[32];
	uint64_t begun;
	if (!parse_name(walk, name, digest))
		return sweep_temporary(sweep, fan, name);
	/* The order counts: a put that ended before this has its claim check where `referenced`
	 * sees it, one that begins after it is noticed in unlink_idle(). */
	if (!is_old(sweep, fan, name) || !blobs_idle(walk->blobs, &begun))
		return 0;
	bool keep = true, removed;
	int r = sweep->referenced(sweep->context, digest, &keep);
	if (r < 0 || keep)
		return r;
	r = unlink_idle(walk->blobs, fan, name, begun, &removed);
	if (r == 0)
		sweep->removed += removed;
	return r;
}

int blobs_sweep(struct blobs *blobs, uint64_t grace_ms,
	int (*referenced)(void *context, const uint8_t digest[32], bool *ret_referenced),
	void *context, uint64_t *ret_removed)
{
	struct sweep sweep = {
		.walk = {.blobs = blobs, .file = sweep_file, .stray = sweep_stray},
		.grace_ms = grace_ms,
		.now_ms = clock_wall_ms(),
		.referenced = referenced,
		.context = context,
	};
	int r = walk_blobs(&sweep.walk);
	if (r == 0)
		*ret_removed = sweep.removed;
	return r;
}

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
