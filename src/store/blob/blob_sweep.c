/* SPDX-License-Identifier: MIT */
#include "blob_sweep.h"

#include "blob_tree.h"
#include "cleanup.h"
#include "clock.h"
#include "container.h"
#include "lock.h"
#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int compare_digests(const void *a, const void *b)
{
	return memcmp(a, b, DIGEST_BYTES);
}

void blob_batch_keep_locked(struct blob_batch *batch, const uint8_t digest[DIGEST_BYTES])
{
	ASSERT_LOCKED(&batch->blobs->lock);
	if (!batch->digests.count)
		return;
	const struct digest *found = bsearch(
		digest, batch->digests.items, batch->digests.count, sizeof *found, compare_digests);
	if (found)
		batch->kept.items[found - batch->digests.items] = true;
}

void blob_batch_keep(struct blob_batch *batch, const uint8_t digest[DIGEST_BYTES])
{
	SCOPED_LOCK(&batch->blobs->lock);
	blob_batch_keep_locked(batch, digest);
}

/* Finding the next batch: the least digests behind `after`. */
struct collection {
	struct blob_walk walk;
	const struct blob_sweep *sweep;
	uint64_t now_ms;
	const struct digest *after; /* NULL: all */
	struct digests digests;
};

static struct collection *collection_of(struct blob_walk *walk)
{
	return CONTAINER_OF(walk, struct collection, walk);
}

/* Whether a file was last touched longer than the grace period ago. */
static bool is_old(const struct collection *c, int dir, const char *name, uint64_t grace_ms)
{
	struct stat st;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode))
		return false;
	uint64_t touched_ms =
		(uint64_t)st.st_mtim.tv_sec * 1000 + (uint64_t)st.st_mtim.tv_nsec / 1000000;
	return !grace_ms || (touched_ms < c->now_ms && c->now_ms - touched_ms > grace_ms);
}

/* Removes a file that a put left behind. While a put of that digest is in flight it may be its. */
static int sweep_temporary(struct collection *c, int dir, const char *name)
{
	struct blobs *blobs = c->walk.blobs;
	uint8_t digest[DIGEST_BYTES];
	if (!blob_tree_is_temporary(name) || !is_old(c, dir, name, c->sweep->temporary_grace_ms))
		return 0;
	SCOPED_LOCK(&blobs->lock);
	if (blob_tree_digest(name, digest) && blobs_in_flight_locked(blobs, digest))
		return 0;
	int r = disk_unlink(blobs->disk, dir, name);
	return r == -ENOENT ? 0 : r;
}

static int collect_stray(struct blob_walk *walk, const char *name)
{
	return sweep_temporary(collection_of(walk), walk->blobs->dir, name);
}

/* Sorts what was found and keeps the least. */
static void keep_least(struct collection *c)
{
	vector_sort(&c->digests, compare_digests);
	if (c->digests.count > c->sweep->batch_max)
		c->digests.count = c->sweep->batch_max;
}

static int collect_file(struct blob_walk *walk, int fan, const char *name)
{
	struct collection *c = collection_of(walk);
	struct digest digest = {{0}};
	if (!blob_tree_is_blob(walk, name, digest.bytes))
		return sweep_temporary(c, fan, name);
	if ((c->after && compare_digests(&digest, c->after) <= 0) ||
		!is_old(c, fan, name, c->sweep->grace_ms))
		return 0;
	if (c->digests.count >= 2 * c->sweep->batch_max)
		keep_least(c);
	return vector_push(&c->digests, digest);
}

static void batch_fini(struct blob_batch *batch)
{
	vector_fini(&batch->digests);
	vector_fini(&batch->kept);
}

/* Replaces the batch by the one behind it, without marks. */
static int next_batch(const struct blob_sweep *sweep, struct blob_batch *batch)
{
	struct collection c = {
		.walk = {.blobs = batch->blobs, .file = collect_file, .stray = collect_stray},
		.sweep = sweep,
		.now_ms = clock_wall_ms(),
	};
	if (batch->digests.count)
		c.after = &batch->digests.items[batch->digests.count - 1];
	int r = blob_tree_walk(&c.walk);
	if (r < 0) {
		vector_fini(&c.digests);
		return r;
	}
	keep_least(&c);
	vector_fini(&batch->digests);
	batch->digests = c.digests;
	vector_clear(&batch->kept);
	return vector_resize(&batch->kept, batch->digests.count);
}

/* Removes a blob of the batch unless it is marked. No put can mark it in between. */
static int remove_orphan(struct blob_batch *batch, size_t i, uint64_t *removed)
{
	struct blobs *blobs = batch->blobs;
	char hex[DIGEST_HEX_SIZE], path[DIGEST_HEX_SIZE + 8];
	digest_to_hex(batch->digests.items[i].bytes, hex);
	snprintf(path, sizeof path, "%.2s/%s.lz4", hex, hex);
	SCOPED_LOCK(&blobs->lock);
	if (batch->kept.items[i])
		return 0;
	int r = disk_unlink(blobs->disk, blobs->dir, path);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	TRACE(blob, "%.12s... swept", hex);
	++*removed;
	return 0;
}

static int remove_orphans(struct blob_batch *batch, uint64_t *removed)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < batch->digests.count; i++) {
		r = blobs_check_stop(batch->blobs);
		if (r == 0)
			r = remove_orphan(batch, i, removed);
	}
	return r;
}

static int sweep_batch(const struct blob_sweep *sweep, struct blob_batch *batch, uint64_t *removed)
{
	TRACE(blob, "sweep: %zu blobs are old enough to go", batch->digests.count);
	blobs_watch_puts(batch->blobs, batch);
	int r = sweep->keep_named(sweep->context, batch);
	if (r == 0)
		r = remove_orphans(batch, removed);
	blobs_unwatch_puts(batch->blobs, batch);
	TRACE(blob, "sweep: %" PRIu64 " removed so far: error %d", *removed, -r);
	return r;
}

int blob_sweep(struct blobs *blobs, const struct blob_sweep *sweep, uint64_t *ret_removed)
{
	assert(sweep->batch_max && sweep->keep_named);
	struct blob_batch batch = {.blobs = blobs};
	uint64_t removed = 0;
	size_t count;
	int r;
	do {
		r = next_batch(sweep, &batch);
		count = batch.digests.count;
		if (r == 0 && count)
			r = sweep_batch(sweep, &batch, &removed);
	} while (r == 0 && count && count == sweep->batch_max);
	batch_fini(&batch);
	if (r == 0)
		*ret_removed = removed;
	return r;
}
