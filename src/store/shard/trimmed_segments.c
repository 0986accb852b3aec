/* SPDX-License-Identifier: MIT */
#include "trimmed_segments.h"

#include "active_files.h"
#include "cleanup.h"
#include "trace.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

/* Takes the first segment out of the shard if it is trimmed. The caller holds append_lock. */
static bool take_trimmed(struct sfs_shard *shard, uint64_t *ret_base, struct segment **ret_active)
{
	SCOPED_LOCK(&shard->lock);
	if (!shard->base_count)
		return false;
	uint64_t base = shard->bases[0];
	uint64_t end = shard->base_count > 1 ? shard->bases[1] : shard->end.offset;
	if (end > shard->horizon.offset || end <= base)
		return false;
	bool is_active = shard->active && shard->active->base_offset == base;
	*ret_base = base;
	*ret_active = is_active ? shard->active : NULL;
	shard->replaced_count++; /* keeps a thread that has just opened it from caching it */
	if (is_active)
		shard->active = NULL;
	shard->base_count--;
	memmove(shard->bases, shard->bases + 1, shard->base_count * sizeof *shard->bases);
	return true;
}

static int remove_segment(struct sfs_shard *shard, uint64_t base)
{
	struct shard_env *env = shard->env;
	char path[SHARD_PATH_MAX];
	struct stat st;
	SCOPED_LOCK(&shard->files_lock);
	lru_drop(env->segments, shard->tag, base);
	/* The index first: so no index is ever without a segment. */
	shard_segment_path(shard, path, base, INDEX_SUFFIX);
	int r = disk_unlink(&env->disk, env->streams_dir, path);
	if (r < 0 && r != -ENOENT)
		return r; /* both are removed when the shard is opened next */
	shard_segment_path(shard, path, base, SEGMENT_SUFFIX);
	uint64_t bytes = 0;
	if (fstatat(env->streams_dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
		bytes = (uint64_t)st.st_size;
	r = disk_unlink(&env->disk, env->streams_dir, path);
	if (r < 0 && r != -ENOENT)
		return r;
	SCOPED_LOCK(&shard->lock);
	shard->stored_bytes -= bytes < shard->stored_bytes ? bytes : shard->stored_bytes;
	return 0;
}

int shard_drop_trimmed_locked(struct sfs_shard *shard)
{
	uint64_t base;
	struct segment *active;
	int result = 0;
	while (take_trimmed(shard, &base, &active)) {
		if (active)
			active_files_remove(shard);
		int r = remove_segment(shard, base);
		TRACE(trim, "shard %u: segment %" PRIu64 "%s removed: error %d", shard->number,
			base, active ? ", the active one," : "", r);
		segment_unref(active);
		if (r < 0)
			result = r;
	}
	return result;
}
