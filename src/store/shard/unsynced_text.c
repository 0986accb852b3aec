/* SPDX-License-Identifier: MIT */
#include "unsynced_text.h"

#include "cleanup.h"
#include "shard_name.h"
#include "syncer.h"
#include "trace.h"
#include "write_back.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

/* An error of the disk fails the shard and not its recovery. */
static int fail_shard(struct sfs_shard *shard, const char *what, int error)
{
	if (error == -ENOMEM)
		return error;
	SCOPED_LOCK(&shard->lock);
	shard_fail_locked(shard, what, error);
	return 0;
}

/* -EBADMSG: there is no such file. */
static int open_to_write(struct sfs_shard *shard, uint64_t base, int *ret_fd)
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

/* Hands the segment to the next sync. Takes the descriptor. */
static int add_to_next_sync(struct sfs_shard *shard, uint64_t base, int fd)
{
	struct index empty;
	index_init(&empty, (struct position){.offset = base});
	struct segment *segment = segment_new(base, fd, &empty);
	if (!segment) {
		close(fd);
		return -ENOMEM;
	}
	SCOPED_LOCK(&shard->lock);
	int r = shard_add_unsynced_locked(shard, segment);
	segment_unref(segment);
	return r;
}

/* Writes the chunks of one segment again. 0, or why they may not count as durable. */
static int write_again(struct sfs_shard *shard, uint64_t base, int fd, const struct index *index)
{
	int r = segment_write_back(
		&shard->env->disk, fd, shard->tag, index, shard->sync.synced_offset);
	TRACE(recover, "%s shard %u: segment %llu written again above %llu: error %d",
		shard->home->name, shard->number, (unsigned long long)base,
		(unsigned long long)shard->sync.synced_offset, r);
	return r;
}

static int scan_and_write_again(struct sfs_shard *shard, uint64_t base, int fd, bool *ret_written)
{
	struct shard_env *env = shard->env;
	struct scan scan;
	*ret_written = false;
	int r = segment_scan(&env->disk, fd, shard->tag, base, shard->sync.synced_offset, &scan);
	if (r < 0)
		return r;
	if (scan.gap_count || scan.tail_damaged)
		env_report(env, SFS_ERROR,
			"%s/" SHARD_NAME_FORMAT "/%020llu.lz4: damaged before it was ever synced",
			shard->home->name, shard->number, (unsigned long long)base);
	r = write_again(shard, base, fd, &scan.index);
	index_fini(&scan.index);
	if (r < 0)
		return fail_shard(shard, "writing again what was not synced", r);
	*ret_written = true;
	return 0;
}

static int write_back_sealed(struct sfs_shard *shard, uint64_t base, bool sync_now)
{
	_cleanup_close_ int fd = -1;
	int r = open_to_write(shard, base, &fd);
	if (r < 0)
		return r == -EBADMSG ? 0 : r; /* reads will find that out */
	bool written;
	r = scan_and_write_again(shard, base, fd, &written);
	if (r < 0 || !written)
		return r;
	if (sync_now) {
		r = disk_sync(&shard->env->disk, fd);
		return r < 0 ? fail_shard(shard, "a sync", r) : 0;
	}
	int taken = fd;
	fd = -1;
	return add_to_next_sync(shard, base, taken);
}

/* The first of the sealed segments that has unsynced text. */
static size_t first_unsynced(const struct sfs_shard *shard, size_t sealed_count)
{
	size_t i = sealed_count;
	while (i && (i < shard->base_count ? shard->bases[i] : shard->end.offset) >
			    shard->sync.synced_offset)
		i--;
	return i;
}

int unsynced_text_write_back(struct sfs_shard *shard)
{
	if (shard->env->read_only || shard->end.offset <= shard->sync.synced_offset)
		return 0;
	shard->sync.dir_unsynced = true;
	struct segment *active = shard->active;
	size_t sealed = shard->base_count - (active != NULL);
	for (size_t i = first_unsynced(shard, sealed); i < sealed; i++) {
		bool sync_now = sealed - i > UNSYNCED_SEGMENTS;
		int r = write_back_sealed(shard, shard->bases[i], sync_now);
		if (r < 0)
			return r;
	}
	if (!active)
		return 0;
	int r = write_again(shard, active->base_offset, active->fd, &active->index);
	return r < 0 ? fail_shard(shard, "writing again what was not synced", r) : 0;
}
