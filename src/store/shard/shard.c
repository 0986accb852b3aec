/* SPDX-License-Identifier: MIT */
#include "shard.h"
#include "shard_name.h"

#include "active_files.h"
#include "cleanup.h"
#include "clock.h"
#include "lock.h"
#include "recover.h"
#include "syncer.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

struct sfs_shard *shard_new(
	struct shard_env *env, struct home *home, struct sfs_stream *stream, uint32_t number)
{
	struct sfs_shard *shard = calloc(1, sizeof *shard);
	if (!shard)
		return NULL;
	shard->env = env;
	shard->home = home;
	shard->stream = stream;
	shard->number = number;
	shard->serial = atomic_fetch_add(&home->shard_serial, 1);
	shard->sync.watermark_fd = -1;
	pthread_mutex_init(&shard->files_lock, NULL);
	pthread_mutex_init(&shard->append_lock, NULL);
	pthread_mutex_init(&shard->lock, NULL);
	pthread_condattr_t monotonic;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&shard->grown, &monotonic);
	pthread_condattr_destroy(&monotonic);
	STAILQ_INIT(&shard->sync.waiters);
	LIST_INIT(&shard->view_waiters);
	return shard;
}

void shard_free(struct sfs_shard *shard)
{
	if (!shard)
		return;
	for (size_t i = 0; i < shard->sync.unsynced_count; i++)
		segment_unref(shard->sync.unsynced[i]);
	free(shard->sync.unsynced);
	active_files_remove(shard);
	buf_fini(&shard->horizon_page);
	buf_fini(&shard->sync.wanted_page);
	segment_unref(shard->active);
	if (shard->sync.watermark_fd >= 0)
		close(shard->sync.watermark_fd);
	free(shard->bases);
	free(shard->parents);
	buf_fini(&shard->bad_chunks);
	pthread_cond_destroy(&shard->grown);
	pthread_mutex_destroy(&shard->lock);
	pthread_mutex_destroy(&shard->append_lock);
	pthread_mutex_destroy(&shard->files_lock);
	free(shard);
}

void shard_path(const struct sfs_shard *shard, char path[SHARD_PATH_MAX], const char *file)
{
	snprintf(path, SHARD_PATH_MAX, "%s/" SHARD_NAME_FORMAT "%s%s", shard->home->name,
		shard->number, *file ? "/" : "", file);
}

void shard_segment_path(const struct sfs_shard *shard, char path[SHARD_PATH_MAX],
	uint64_t base_offset, const char *suffix)
{
	char file[SEGMENT_NAME_MAX];
	snprintf(file, sizeof file, "%020llu%s", (unsigned long long)base_offset, suffix);
	shard_path(shard, path, file);
}

int shard_open_locked(struct sfs_shard *shard)
{
	ASSERT_RDLOCKED(&shard->home->lock);
	if (atomic_load(&shard->opened))
		return 0;
	SCOPED_LOCK(&shard->append_lock);
	if (atomic_load(&shard->opened))
		return 0;
	int r = shard_recover(shard);
	if (r == 0)
		atomic_store(&shard->opened, true);
	TRACE_SHARD(shard, shard, "opened: error %d; text ends at %" PRIu64 ", durable to %" PRIu64,
		-r, shard->end.offset, shard->sync.synced_offset);
	return r;
}

int shard_open(struct sfs_shard *shard)
{
	if (atomic_load(&shard->opened))
		return 0;
	pthread_rwlock_rdlock(&shard->home->lock);
	int r = shard->removed ? -ENOENT : shard_open_locked(shard);
	pthread_rwlock_unlock(&shard->home->lock);
	return r;
}

void shard_fail_locked(struct sfs_shard *shard, const char *what, int error)
{
	ASSERT_LOCKED(&shard->lock);
	if (shard->failed)
		return;
	shard->failed = true;
	TRACE_SHARD(shard, shard, "failed: %s: error %d", what, -error);
	char name[SFS_NAME_MAX + 1];
	home_name(shard->home, name);
	env_report(shard->env, SFS_ERROR,
		"%s/" SHARD_NAME_FORMAT
		": %s failed: %s; it takes no records until it is mounted again",
		name, shard->number, what, strerror(-error));
}

int shard_is_empty(struct sfs_shard *shard, bool *ret_empty)
{
	int r = shard_open_locked(shard);
	if (r < 0)
		return r;
	SCOPED_LOCK(&shard->lock);
	*ret_empty = shard->end.offset == shard->horizon.offset;
	return 0;
}

void shard_trace(enum trace_area area, struct sfs_shard *shard, const char *format, ...)
{
	char name[SFS_NAME_MAX + 1], step[TRACE_LINE_MAX];
	va_list args;
	va_start(args, format);
	vsnprintf(step, sizeof step, format, args);
	va_end(args);
	home_name(shard->home, name);
	trace_line(area, "%s shard %u: %s", name, shard->number, step);
}

struct shard_published shard_published(struct sfs_shard *shard)
{
	SCOPED_LOCK(&shard->lock);
	return (struct shard_published){
		.horizon = shard->horizon,
		.end = shard->end,
		.last_arrival_ms = shard->last_arrival_ms,
		.synced_offset = shard->sync.synced_offset,
		.closed = shard->closed,
		.failed = shard->failed,
	};
}

struct sfs_shard *sfs_shard_ref(struct sfs_shard *shard)
{
	shard->env->owner_ref(shard);
	return shard;
}

void sfs_shard_unref(struct sfs_shard *shard)
{
	if (shard)
		shard->env->owner_unref(shard);
}

void sfs_shard_info(struct sfs_shard *shard, struct sfs_shard_info *ret_info)
{
	(void)shard_open(shard);
	pthread_rwlock_rdlock(&shard->home->lock);
	bool closed = shard->closed;
	char first[HASH_KEY_HEX + 1], last[HASH_KEY_HEX + 1];
	hash_key_to_hex(shard->hash_first, first);
	hash_key_to_hex(shard->hash_last, last);
	pthread_rwlock_unlock(&shard->home->lock);
	SCOPED_LOCK(&shard->lock);
	*ret_info = (struct sfs_shard_info){
		.number = shard->number,
		.state = shard->failed ? SFS_SHARD_FAILED
			 : closed      ? SFS_SHARD_CLOSED
				       : SFS_SHARD_OPEN,
		.size_bytes = shard->end.offset,
		.horizon_offset = shard->horizon.offset,
		.first_sequence = shard->horizon.sequence,
		.next_sequence = shard->end.sequence,
		.synced_offset = shard->sync.synced_offset,
		.last_arrival_ms =
			shard->last_arrival_ms ? shard->last_arrival_ms : shard->created_ms,
		.stored_bytes = shard->stored_bytes,
		.quarantined_bytes = shard->gap_bytes,
		.parent_count = shard->parent_count,
	};
	memcpy(ret_info->hash_first, first, sizeof first);
	memcpy(ret_info->hash_last, last, sizeof last);
}

void sfs_shard_extent(struct sfs_shard *shard, struct sfs_shard_extent *ret_extent)
{
	(void)shard_open(shard);
	SCOPED_LOCK(&shard->lock);
	*ret_extent = (struct sfs_shard_extent){
		.size_bytes = shard->end.offset,
		.horizon_offset = shard->horizon.offset,
		.last_arrival_ms =
			shard->last_arrival_ms ? shard->last_arrival_ms : shard->created_ms,
		.stored_bytes = shard->stored_bytes,
		.quarantined_bytes = shard->gap_bytes,
	};
}

int sfs_shard_parents(const struct sfs_shard *shard, uint32_t **ret_numbers, size_t *ret_count)
{
	size_t bytes = shard->parent_count * sizeof(uint32_t);
	uint32_t *numbers = malloc(bytes ? bytes : 1);
	if (!numbers)
		return -ENOMEM;
	if (bytes)
		memcpy(numbers, shard->parents, bytes);
	*ret_numbers = numbers;
	*ret_count = shard->parent_count;
	return 0;
}

uint64_t sfs_shard_size(struct sfs_shard *shard)
{
	(void)shard_open(shard);
	SCOPED_LOCK(&shard->lock);
	return shard->end.offset;
}

uint64_t shard_json_size(struct sfs_shard *shard)
{
	(void)shard_open(shard);
	SCOPED_LOCK(&shard->lock);
	return shard->end.json_offset;
}

int sfs_shard_wait(struct sfs_shard *shard, uint64_t offset, int timeout_ms)
{
	int r = shard_open(shard);
	if (r < 0)
		return r;
	struct timespec deadline = clock_deadline(timeout_ms > 0 ? (uint64_t)timeout_ms : 0);
	SCOPED_LOCK(&shard->lock);
	while (shard->end.offset <= offset) {
		if (shard->closed || shard->removed)
			return -EPIPE;
		if (timeout_ms < 0)
			pthread_cond_wait(&shard->grown, &shard->lock);
		else if (pthread_cond_timedwait(&shard->grown, &shard->lock, &deadline))
			return shard->end.offset > offset ? 0 : -ETIMEDOUT;
	}
	return 0;
}

int sfs_shard_sync(struct sfs_shard *shard)
{
	struct sync_wait wait = SYNC_WAIT_INIT;
	int r = shard_open(shard);
	if (r < 0)
		return r;
	syncer_request(shard, sync_wait_done, &wait);
	return sync_wait(&wait);
}
