/* SPDX-License-Identifier: MIT */
#include "stream.h"

#include "cleanup.h"
#include "clock.h"
#include "consumers.h"
#include "lock.h"
#include "reshard.h"
#include "settings_dump.h"
#include "shard.h"
#include "stream_document.h"
#include "syncer.h"
#include "tidier.h"

#include <bsd/stdlib.h>
#include <stdio.h>
#include <time.h>

bool sfs_stream_name_valid(const char *name)
{
	size_t length = strlen(name);
	static const char allowed[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
	return length >= 1 && length <= SFS_NAME_MAX && name[0] != '.' &&
	       strspn(name, allowed) == length;
}

struct sfs_stream *stream_new(struct sfs_store *store, const char *name)
{
	struct sfs_stream *stream = calloc(1, sizeof *stream);
	if (!stream)
		return NULL;
	stream->store = store;
	atomic_init(&stream->refs, 1);
	home_init(&stream->home, name);
	pthread_mutex_init(&stream->change_lock, NULL);
	pthread_mutex_init(&stream->retain_lock, NULL);
	pthread_mutex_init(&stream->blobs_lock, NULL);
	view_waiters_init(&stream->waiters);
	consumers_init(&stream->consumers);
	blobs_init(&stream->blobs, &store->env.disk, -1);
	stream->blobs.stop = &store->env.closing;
	return stream;
}

void stream_lock_alone(struct sfs_stream *stream)
{
	enum { PATIENCE_NS = 20 * 1000 * 1000, SECOND_NS = 1000 * 1000 * 1000 };
	static const struct timespec pause = {.tv_nsec = PATIENCE_NS};
	for (;;) {
		struct timespec until;
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += PATIENCE_NS;
		if (until.tv_nsec >= SECOND_NS) {
			until.tv_sec++;
			until.tv_nsec -= SECOND_NS;
		}
		if (pthread_rwlock_timedwrlock(&stream->home.lock, &until) == 0)
			return;
		nanosleep(&pause, NULL);
	}
}

void stream_free(struct sfs_stream *stream)
{
	shard_table_fini(&stream->table);
	for (size_t i = 0; i < stream->retired.count; i++)
		shard_free(stream->retired.items[i]);
	vector_fini(&stream->retired);
	consumers_fini(&stream->consumers);
	blobs_fini(&stream->blobs);
	pthread_mutex_destroy(&stream->blobs_lock);
	pthread_mutex_destroy(&stream->change_lock);
	pthread_mutex_destroy(&stream->retain_lock);
	view_waiters_fini(&stream->waiters);
	home_fini(&stream->home);
	free(stream);
}

struct sfs_stream *sfs_stream_ref(struct sfs_stream *stream)
{
	atomic_fetch_add(&stream->refs, 1);
	return stream;
}

void sfs_stream_unref(struct sfs_stream *stream)
{
	if (stream && atomic_fetch_sub(&stream->refs, 1) == 1)
		stream_free(stream);
}

void stream_ref_shard(struct sfs_shard *shard)
{
	sfs_stream_ref(shard->stream);
}

bool stream_try_ref_shard(struct sfs_shard *shard)
{
	unsigned refs = atomic_load(&shard->stream->refs);
	while (refs)
		if (atomic_compare_exchange_weak(&shard->stream->refs, &refs, refs + 1))
			return true;
	return false;
}

void stream_unref_shard(struct sfs_shard *shard)
{
	sfs_stream_unref(shard->stream);
}

struct sfs_shard *stream_new_shard(struct sfs_stream *stream, uint32_t number)
{
	struct sfs_shard *shard = shard_new(&stream->store->env, &stream->home, stream, number);
	if (!shard)
		return NULL;
	arc4random_buf(&shard->tag, sizeof shard->tag);
	shard->created_ms = clock_wall_ms();
	return shard;
}

/* Waits on the shard end; appends to it fail. */
static void set_removed(struct sfs_shard *shard)
{
	SCOPED_LOCK(&shard->lock);
	shard->removed = true;
	pthread_cond_broadcast(&shard->grown);
}

void stream_retire(struct sfs_stream *stream, struct sfs_shard *shard)
{
	ASSERT_WRLOCKED(&stream->home.lock);
	assert(stream->retired.count < stream->retired.capacity);
	stream->retired.items[stream->retired.count++] = shard;
	set_removed(shard);
}

void stream_set_removed(struct sfs_stream *stream)
{
	ASSERT_WRLOCKED(&stream->home.lock);
	assert(stream->home.removed);
	for (size_t i = 0; i < stream->table.count; i++)
		set_removed(stream->table.shards[i]);
}

size_t stream_route(const struct sfs_stream *stream, const char *key, size_t bytes)
{
	ASSERT_RDLOCKED(&stream->home.lock);
	return routes_find(&stream->table.routes, key, bytes);
}

size_t stream_spread(struct sfs_stream *stream)
{
	ASSERT_RDLOCKED(&stream->home.lock);
	return atomic_fetch_add(&stream->spread, 1) % stream->table.routes.count;
}

uint64_t sfs_stream_id(const struct sfs_stream *stream)
{
	return stream->id;
}

void sfs_stream_name(struct sfs_stream *stream, char name[SFS_NAME_MAX + 1])
{
	SCOPED_RDLOCK(&stream->home.lock);
	memcpy(name, stream->home.name, sizeof stream->home.name);
}

void sfs_stream_owner(struct sfs_stream *stream, struct sfs_owner *ret_owner)
{
	SCOPED_RDLOCK(&stream->home.lock);
	*ret_owner = stream->owner;
}

void sfs_stream_times(struct sfs_stream *stream, uint64_t *ret_created_ms, uint64_t *ret_changed_ms)
{
	SCOPED_RDLOCK(&stream->home.lock);
	*ret_created_ms = stream->created_ms;
	*ret_changed_ms = stream->changed_ms;
}

int stream_save(struct sfs_stream *stream)
{
	ASSERT_WRLOCKED(&stream->home.lock);
	if (stream->store->env.read_only)
		return -EROFS;
	if (stream->home.removed)
		return -ENOENT;
	stream->changed_ms = clock_wall_ms();
	return stream_document_save(stream, stream->home.name);
}

/* After a failed stream_save(): the new document may stand all the same, so the old one is
 * written once more. */
static void save_back(struct sfs_stream *stream, uint64_t changed_ms)
{
	ASSERT_WRLOCKED(&stream->home.lock);
	stream->changed_ms = changed_ms;
	if (!stream->store->env.read_only && !stream->home.removed)
		(void)stream_document_save(stream, stream->home.name);
}

int stream_touch(struct sfs_stream *stream, uint64_t *ret_changed_ms)
{
	uint64_t before = stream->changed_ms;
	int r = stream_save(stream);
	if (r < 0)
		save_back(stream, before);
	else
		*ret_changed_ms = before;
	return r;
}

void stream_untouch(struct sfs_stream *stream, uint64_t changed_ms)
{
	save_back(stream, changed_ms);
}

int sfs_stream_set_owner(struct sfs_stream *stream, const struct sfs_owner *owner)
{
	stream_lock_alone(stream);
	struct sfs_owner before = stream->owner;
	uint64_t changed_ms = stream->changed_ms;
	stream->owner = *owner;
	int r = stream_save(stream);
	if (r < 0) {
		stream->owner = before;
		save_back(stream, changed_ms);
	}
	pthread_rwlock_unlock(&stream->home.lock);
	return r;
}

int sfs_stream_config(struct sfs_stream *stream, char **ret_json, size_t *ret_bytes)
{
	SCOPED_RDLOCK(&stream->home.lock);
	return settings_dump(&stream->home.settings, ret_json, ret_bytes);
}

/* With the same number of shards. Swaps the old settings for the new. */
static int change_settings(struct sfs_stream *stream, struct settings *settings)
{
	stream_lock_alone(stream);
	struct settings before = stream->home.settings;
	uint64_t changed_ms = stream->changed_ms;
	stream->home.settings = *settings;
	int r = stream_save(stream);
	if (r < 0) {
		stream->home.settings = before;
		save_back(stream, changed_ms);
	} else {
		*settings = before; /* for the caller to free */
	}
	for (size_t i = 0; r == 0 && i < stream->table.count; i++)
		syncer_set_interval(
			stream->table.shards[i], stream->home.settings.flush_interval_ms);
	pthread_rwlock_unlock(&stream->home.lock);
	return r;
}

static int patch_config(
	struct sfs_stream *stream, const char *json, size_t bytes, struct sfs_diag *diag)
{
	SCOPED_LOCK(&stream->change_lock);
	struct settings settings;
	pthread_rwlock_rdlock(&stream->home.lock);
	int r = stream->home.removed
			? -ENOENT
			: settings_patch(&stream->home.settings, json, bytes, diag, &settings);
	pthread_rwlock_unlock(&stream->home.lock);
	if (r < 0)
		return r;
	if (settings.shards == stream->home.settings.shards)
		r = change_settings(stream, &settings);
	else
		r = stream_reshard(stream, &settings, diag);
	if (r == 0)
		tidier_retain(stream);
	settings_fini(&settings);
	return r;
}

int sfs_stream_patch_config(
	struct sfs_stream *stream, const char *json, size_t bytes, struct sfs_diag *diag)
{
	if (stream->store->env.read_only)
		return -EROFS;
	int r = patch_config(stream, json, bytes, diag);
	view_waiters_wake_all(stream);
	return r;
}

int sfs_stream_shards(struct sfs_stream *stream, uint32_t **ret_numbers, size_t *ret_count)
{
	pthread_rwlock_rdlock(&stream->home.lock);
	size_t count = stream->table.count;
	uint32_t *numbers = malloc((count ? count : 1) * sizeof *numbers);
	for (size_t i = 0; numbers && i < count; i++)
		numbers[i] = stream->table.shards[i]->number;
	pthread_rwlock_unlock(&stream->home.lock);
	if (!numbers)
		return -ENOMEM;
	*ret_numbers = numbers;
	*ret_count = count;
	return 0;
}

bool sfs_stream_has_shard(struct sfs_stream *stream, uint32_t number)
{
	SCOPED_RDLOCK(&stream->home.lock);
	return !stream->home.removed && shard_table_find(&stream->table, number);
}

int sfs_stream_shard(struct sfs_stream *stream, uint32_t number, struct sfs_shard **ret_shard)
{
	pthread_rwlock_rdlock(&stream->home.lock);
	struct sfs_shard *shard =
		stream->home.removed ? NULL : shard_table_find(&stream->table, number);
	int r = shard ? shard_open_locked(shard) : -ENOENT;
	pthread_rwlock_unlock(&stream->home.lock);
	if (r == 0)
		*ret_shard = sfs_shard_ref(shard);
	return r;
}
