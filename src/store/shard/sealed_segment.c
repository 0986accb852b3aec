/* SPDX-License-Identifier: MIT */
#include "sealed_segment.h"

#include "cleanup.h"

#include <fcntl.h>
#include <sys/stat.h>

/* A sealed segment's file, and its index if that is in a file too. */
struct sealed_file {
	char path[SHARD_PATH_MAX]; /* for reports */
	int fd;
	bool indexed;
	struct index index;
};

static int load_index(struct sfs_shard *shard, uint64_t base, struct sealed_file *file)
{
	struct shard_env *env = shard->env;
	char path[SHARD_PATH_MAX];
	struct stat st;
	if (fstat(file->fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EBADMSG;
	shard_segment_path(shard, path, base, INDEX_SUFFIX);
	file->indexed = index_load(&env->disk, env->streams_dir, path, shard->tag, file->fd,
				(uint64_t)st.st_size, base, &file->index) == 0;
	return 0;
}

/* The descriptor is the caller's to close, also on failure. */
static int open_files(struct sfs_shard *shard, uint64_t base, struct sealed_file *file)
{
	struct shard_env *env = shard->env;
	struct home *home = shard->home;
	pthread_rwlock_rdlock(&home->path_lock);
	shard_segment_path(shard, file->path, base, SEGMENT_SUFFIX);
	int r = home->removed ? -ENOENT
			      : disk_open(&env->disk, env->streams_dir, file->path,
					O_RDONLY | O_NONBLOCK, &file->fd);
	if (r == -ENOENT || r == -ELOOP)
		r = -EBADMSG;
	if (r == 0)
		r = load_index(shard, base, file);
	pthread_rwlock_unlock(&home->path_lock);
	return r;
}

/* Walks through a segment that has no index file. */
static int scan_sealed(
	struct sfs_shard *shard, uint64_t base, struct sealed_file *file, bool *ret_unindexed)
{
	struct shard_env *env = shard->env;
	struct scan scan;
	int r = segment_scan(&env->disk, file->fd, shard->tag, base, UINT64_MAX, &scan);
	if (r < 0)
		return r;
	if (scan.gap_count || scan.tail_damaged) {
		metric_add(&env->metrics.quarantined_chunks, scan.gap_count + scan.tail_damaged);
		env_report(env, SFS_ERROR,
			"%s: damaged: %llu gaps%s; what they held cannot be read", file->path,
			(unsigned long long)scan.gap_count,
			scan.tail_damaged ? " and the end" : "");
	}
	file->index = scan.index;
	*ret_unindexed = !scan.gap_count && !scan.tail_damaged;
	return 0;
}

int shard_uncached_segment(
	struct sfs_shard *shard, uint64_t base_offset, struct segment **ret_segment)
{
	struct sealed_file file = {.fd = -1};
	bool unindexed = false;
	int r = open_files(shard, base_offset, &file);
	if (r == 0 && !file.indexed)
		r = scan_sealed(shard, base_offset, &file, &unindexed);
	struct segment *segment = r == 0 ? segment_new(base_offset, file.fd, &file.index) : NULL;
	if (!segment) {
		index_fini(&file.index);
		if (file.fd >= 0)
			close(file.fd);
		return r < 0 ? r : -ENOMEM;
	}
	atomic_init(&segment->unindexed, unindexed && !shard->env->read_only);
	*ret_segment = segment;
	return 0;
}

static uint64_t replaced_count(struct sfs_shard *shard)
{
	SCOPED_LOCK(&shard->lock);
	return shard->replaced_count;
}

/* Into the cache, unless a merge may have replaced the file since, or a trim have removed it. */
static void cache_segment(struct sfs_shard *shard, struct segment *segment, uint64_t replaced)
{
	SCOPED_LOCK(&shard->lock);
	if (shard->replaced_count == replaced)
		lru_put(shard->env->segments, shard->tag, segment->base_offset, segment, 1);
}

int shard_sealed_segment(
	struct sfs_shard *shard, uint64_t base_offset, struct segment **ret_segment)
{
	struct segment *segment = lru_get(shard->env->segments, shard->tag, base_offset);
	if (!segment) {
		uint64_t replaced = replaced_count(shard);
		int r = shard_uncached_segment(shard, base_offset, &segment);
		if (r < 0)
			return r;
		cache_segment(shard, segment, replaced);
	}
	*ret_segment = segment;
	return 0;
}
