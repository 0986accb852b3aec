/* SPDX-License-Identifier: MIT */
#include "torn_tail.h"

#include "cleanup.h"
#include "shard.h"
#include "shard_name.h"
#include "trace.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

void torn_tail_take_open_record(struct scan *scan)
{
	struct index *index = &scan->index;
	size_t i = index->count;
	while (i && (index->items[i - 1].flags & INDEX_CONTINUES))
		i--;
	if (!i)
		return; /* the record began in an earlier segment */
	if (!(index->items[i - 1].flags & INDEX_DAMAGED))
		i--;
	index->end.at = index->items[i].start;
	index->end.file_offset = index->items[i].file_offset;
	index->count = i;
}

/* Creates a file for the tail. One of the same name is of an earlier tear and stays. */
static int create_aside(struct sfs_shard *shard, uint64_t base, uint64_t from,
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

static bool is_zero(const char *bytes, size_t count)
{
	return !bytes[0] && !memcmp(bytes, bytes + 1, count - 1);
}

/*
 * Copies bytes `from` to `to` of the segment to a file of their own and syncs it. `path` is that
 * file's, or empty where all of them are zero: the file begins with the first piece that is not.
 */
static int keep_aside(struct sfs_shard *shard, int fd, uint64_t base, uint64_t from, uint64_t to,
	char path[SHARD_PATH_MAX])
{
	enum { PIECE = 1 << 20 };
	const struct disk *disk = &shard->env->disk;
	_cleanup_free_ char *piece = malloc(PIECE);
	if (!piece)
		return -ENOMEM;
	_cleanup_close_ int aside = -1;
	for (uint64_t at = from; at < to;) {
		size_t want = to - at < PIECE ? (size_t)(to - at) : PIECE, got;
		int r = disk_read(disk, fd, at, piece, want, &got);
		if (r < 0)
			return r;
		if (!got)
			break;
		if (aside < 0 && !is_zero(piece, got))
			r = create_aside(shard, base, from, path, &aside);
		if (r == 0 && aside >= 0)
			r = disk_write(disk, aside, at - from, piece, got);
		if (r < 0)
			return r;
		at += got;
	}
	if (aside < 0)
		return 0;
	int r = disk_sync(disk, aside);
	return r < 0 ? r : sync_directory(shard);
}

/* Removes the copy if the segment still has the tail: else each attempt would leave one. */
static void drop_aside(struct shard_env *env, const char *path, int fd, uint64_t file_bytes)
{
	struct stat st;
	if (*path && fstat(fd, &st) == 0 && (uint64_t)st.st_size == file_bytes)
		(void)disk_unlink(&env->disk, env->streams_dir, path);
}

int torn_tail_cut(struct sfs_shard *shard, int fd, uint64_t base, const struct scan *scan)
{
	struct shard_env *env = shard->env;
	uint64_t from = scan->index.end.file_offset, bytes = scan->file_bytes - from;
	assert(from <= scan->file_bytes);
	if (env->read_only)
		return 0;
	char aside[SHARD_PATH_MAX] = "";
	int r = keep_aside(shard, fd, base, from, scan->file_bytes, aside);
	TRACE(recover, "%s shard %u: %llu bytes of segment %llu kept aside in \"%s\": error %d",
		shard->home->name, shard->number, (unsigned long long)bytes,
		(unsigned long long)base, aside, r);
	if (r == 0)
		r = disk_truncate(&env->disk, fd, from);
	if (r < 0)
		drop_aside(env, aside, fd, scan->file_bytes);
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
