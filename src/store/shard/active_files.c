/* SPDX-License-Identifier: MIT */
#include "active_files.h"

#include "cleanup.h"
#include "lock.h"
#include "shard.h"

#include <fcntl.h>
#include <sys/stat.h>

void active_files_init(struct active_files *files, unsigned max)
{
	files->max = max;
	TAILQ_INIT(&files->list);
	pthread_mutex_init(&files->lock, NULL);
}

void active_files_fini(struct active_files *files)
{
	pthread_mutex_destroy(&files->lock);
}

static void unlist_locked(struct active_files *files, struct sfs_shard *shard)
{
	ASSERT_LOCKED(&files->lock);
	TAILQ_REMOVE(&files->list, shard, active_link);
	atomic_store(&shard->active_listed, false);
	atomic_fetch_sub(&files->count, 1);
}

/* Nothing of it waits for a sync, and no read or sync uses its file. */
static bool is_idle_locked(const struct sfs_shard *shard)
{
	ASSERT_LOCKED(&shard->lock);
	bool clean = shard->failed || (shard->end.offset <= shard->sync.synced_offset &&
					      !shard->sync.unsynced_count);
	return clean && shard->active && atomic_load(&shard->active->refs) == 1;
}

/* Closes a shard's file if it is idle. True if it is not because it has unsynced text. */
static bool close_one_locked(struct active_files *files, struct sfs_shard *shard)
{
	ASSERT_LOCKED(&files->lock);
	bool dirty = false;
	if (pthread_mutex_trylock(&shard->append_lock) != 0)
		return false;
	if (pthread_mutex_trylock(&shard->lock) == 0) {
		dirty = !shard->failed && shard->end.offset > shard->sync.synced_offset;
		if (is_idle_locked(shard)) {
			close(shard->active->fd);
			shard->active->fd = -1;
			unlist_locked(files, shard);
		}
		pthread_mutex_unlock(&shard->lock);
	}
	pthread_mutex_unlock(&shard->append_lock);
	return dirty;
}

/* Closes idle ones until the number is under the limit; a dirty one, counted, if that failed. */
static struct sfs_shard *close_idle(struct active_files *files)
{
	struct sfs_shard *dirty = NULL, *shard, *next;
	SCOPED_LOCK(&files->lock);
	for (int pass = 0; pass < 2; pass++)
		TAILQ_FOREACH_SAFE(shard, &files->list, active_link, next)
		{
			if (atomic_load(&files->count) < files->max)
				return NULL;
			if (pass == 0 && atomic_exchange(&shard->active_used, false))
				continue;
			if (close_one_locked(files, shard) && !dirty)
				dirty = shard;
		}
	return dirty && dirty->env->owner_try_ref(dirty) ? dirty : NULL;
}

static bool is_full(struct active_files *files)
{
	return atomic_load(&files->count) >= files->max;
}

void active_files_add_locked(struct sfs_shard *shard)
{
	struct active_files *files = &shard->env->active_files;
	atomic_store(&shard->active_used, true);
	if (is_full(files))
		sfs_shard_unref(close_idle(files));
	SCOPED_LOCK(&files->lock);
	if (atomic_exchange(&shard->active_listed, true))
		return;
	TAILQ_INSERT_TAIL(&files->list, shard, active_link);
	atomic_fetch_add(&files->count, 1);
}

void active_files_remove(struct sfs_shard *shard)
{
	struct active_files *files = &shard->env->active_files;
	SCOPED_LOCK(&files->lock);
	if (atomic_load(&shard->active_listed))
		unlist_locked(files, shard);
}

/* Whether it can be the file that was closed. */
static int check_file(const struct segment *segment, int fd)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return -errno;
	bool whole = S_ISREG(st.st_mode) && (uint64_t)st.st_size >= segment->index.end.file_offset;
	return whole ? 0 : -EBADMSG;
}

int active_file_open_locked(struct sfs_shard *shard)
{
	ASSERT_LOCKED(&shard->lock);
	struct home *home = shard->home;
	struct shard_env *env = shard->env;
	atomic_store_explicit(&shard->active_used, true, memory_order_relaxed);
	if (shard->active->fd >= 0)
		return 0;
	active_files_add_locked(shard); /* makes room first */
	char path[SHARD_PATH_MAX];
	_cleanup_close_ int fd = -1;
	pthread_rwlock_rdlock(&home->path_lock);
	shard_segment_path(shard, path, shard->active->base_offset, SEGMENT_SUFFIX);
	int r = home->removed ? -ENOENT
			      : disk_open(&env->disk, env->streams_dir, path,
					env->read_only ? O_RDONLY : O_RDWR, &fd);
	pthread_rwlock_unlock(&home->path_lock);
	if (r == 0)
		r = check_file(shard->active, fd);
	if (r < 0) {
		active_files_remove(shard);
		return r;
	}
	shard->active->fd = fd;
	fd = -1;
	return 0;
}

/* Whether this shard's file is, or would be, one too many. */
static bool is_too_many(struct active_files *files, struct sfs_shard *shard)
{
	return atomic_load(&files->count) + !atomic_load(&shard->active_listed) > files->max;
}

void active_files_make_room(struct sfs_shard *shard)
{
	enum { SYNCS_MAX = 8 };
	struct active_files *files = &shard->env->active_files;
	for (int i = 0; i < SYNCS_MAX && is_too_many(files, shard); i++) {
		struct sfs_shard *dirty = close_idle(files);
		if (!dirty)
			return;
		(void)sfs_shard_sync(dirty); /* its failure is its own */
		sfs_shard_unref(dirty);
	}
}

bool active_files_are_many(struct shard_env *env)
{
	return atomic_load(&env->active_files.count) >= env->active_files.max / 4;
}
