/* SPDX-License-Identifier: MIT */
#include "segment_list.h"

#include "cleanup.h"
#include "dir.h"
#include "shard_name.h"
#include "trace.h"
#include "vector.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

VECTOR(offsets, uint64_t);

static int compare_offsets(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

static bool is_half_made(const char *name)
{
	size_t length = strlen(name), suffix = strlen(DISK_TMP_SUFFIX);
	return length > suffix && !strcmp(name + length - suffix, DISK_TMP_SUFFIX);
}

static int note_file(struct sfs_shard *shard, int dir, const char *name, struct offsets *bases)
{
	struct shard_env *env = shard->env;
	if (is_half_made(name)) {
		TRACE(recover, "%s shard %u: %s is half made", shard->home->name, shard->number,
			name);
		if (!env->read_only)
			(void)disk_unlink(&env->disk, dir, name);
		return 0;
	}
	uint64_t base;
	if (segment_parse_name(name, &base) < 0)
		return 0;
	struct stat st;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode)) {
		env_report(env, SFS_ERROR, "%s/" SHARD_NAME_FORMAT "/%s: not a file",
			shard->home->name, shard->number, name);
		return 0;
	}
	shard->stored_bytes += (uint64_t)st.st_size;
	return vector_push(bases, base);
}

static int note_files(struct sfs_shard *shard, DIR *dir, struct offsets *bases)
{
	const char *name;
	int r;
	while ((r = dir_next(dir, &name)) == 0 && name) {
		r = note_file(shard, dirfd(dir), name, bases);
		if (r < 0)
			break;
	}
	return r;
}

int segment_list_load(struct sfs_shard *shard)
{
	assert(!shard->bases && !shard->base_count);
	struct shard_env *env = shard->env;
	char path[SHARD_PATH_MAX];
	shard_path(shard, path, "");
	_cleanup_closedir_ DIR *dir = NULL;
	int r = dir_open(&env->disk, env->streams_dir, path, &dir);
	if (r < 0)
		return r == -ENOENT || r == -ENOTDIR || r == -ELOOP ? -EBADMSG : r;
	struct offsets bases = {0};
	shard->stored_bytes = 0;
	r = note_files(shard, dir, &bases);
	if (r < 0) {
		vector_fini(&bases);
		return r;
	}
	vector_sort(&bases, compare_offsets);
	shard->bases = bases.items;
	shard->base_count = bases.count;
	TRACE(recover, "%s shard %u: %zu segments, %llu bytes", shard->home->name, shard->number,
		shard->base_count, (unsigned long long)shard->stored_bytes);
	return 0;
}
