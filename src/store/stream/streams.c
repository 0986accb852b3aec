/* SPDX-License-Identifier: MIT */
#include "streams.h"

#include "cleanup.h"
#include "clock.h"
#include "diag.h"
#include "lock.h"
#include "remove_tree.h"
#include "shard.h"
#include "shard_name.h"
#include "store.h"
#include "stream.h"
#include "stream_blobs.h"
#include "stream_document.h"
#include "streams_dir.h"
#include "syncer.h"
#include "tidier.h"
#include "trace.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static int compare_streams(const struct sfs_stream *a, const struct sfs_stream *b)
{
	return strcmp(a->home.name, b->home.name);
}

RB_PROTOTYPE(stream_tree, sfs_stream, link, compare_streams)
RB_GENERATE(stream_tree, sfs_stream, link, compare_streams)

static struct sfs_stream *find_loaded(struct sfs_store *store, const char *name)
{
	struct sfs_stream key;
	snprintf(key.home.name, sizeof key.home.name, "%s", name);
	SCOPED_LOCK(&store->lock);
	struct sfs_stream *stream = RB_FIND(stream_tree, &store->streams, &key);
	return stream ? sfs_stream_ref(stream) : NULL;
}

uint64_t streams_known_id(struct sfs_store *store, const char *name)
{
	struct sfs_stream *stream = find_loaded(store, name);
	uint64_t id = stream ? stream->id : 0;
	sfs_stream_unref(stream);
	return id;
}

static void insert(struct sfs_store *store, struct sfs_stream *stream)
{
	SCOPED_LOCK(&store->lock);
	RB_INSERT(stream_tree, &store->streams, stream);
}

/* Reads a stream that was not touched yet. The caller holds config_lock. */
static int load_stream(struct sfs_store *store, const char *name, struct sfs_stream **ret_stream)
{
	struct stat st;
	ASSERT_LOCKED(&store->config_lock);
	if (fstatat(store->env.streams_dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	struct sfs_stream *stream = stream_new(store, name);
	if (!stream)
		return -ENOMEM;
	struct sfs_diag diag = {0};
	int r = S_ISDIR(st.st_mode) ? stream_document_load(stream, &diag) : -EBADMSG;
	if (r == -ENOENT)
		r = -EBADMSG;
	if (r == 0)
		r = shard_table_route(&stream->table);
	if (r == 0 && !routes_cover_once(&stream->table.routes)) {
		diag_set(&diag, "%s/" STREAM_DOCUMENT ": its hash ranges are wrong", name);
		r = -EBADMSG;
	}
	if (r == 0 && store->streams_unsynced)
		r = streams_dir_sync(store);
	if (r < 0) {
		if (r == -EBADMSG)
			env_report(&store->env, SFS_ERROR, "stream %s: %s", name,
				diag.text[0] ? diag.text : "not a directory");
		stream_free(stream);
		return r;
	}
	insert(store, stream);
	TRACE(recover, "stream %s has id %llu and %zu shards, %zu of them open", name,
		(unsigned long long)stream->id, stream->table.count, stream->table.routes.count);
	*ret_stream = sfs_stream_ref(stream);
	if (!store->env.read_only)
		tidier_sweep(stream);
	return 0;
}

static int lookup_locked(struct sfs_store *store, const char *name, struct sfs_stream **ret_stream)
{
	struct sfs_stream *stream = find_loaded(store, name);
	if (!stream)
		return load_stream(store, name, ret_stream);
	*ret_stream = stream;
	return 0;
}

int sfs_stream_lookup(struct sfs_store *store, const char *name, struct sfs_stream **ret_stream)
{
	if (!sfs_stream_name_valid(name))
		return -ENOENT;
	struct sfs_stream *stream = find_loaded(store, name);
	if (stream) {
		*ret_stream = stream;
		return 0;
	}
	SCOPED_LOCK(&store->config_lock);
	return lookup_locked(store, name, ret_stream);
}

/* The directory of a new stream under its temporary name, then its real one. */
static int write_new(struct sfs_stream *stream)
{
	struct sfs_store *store = stream->store;
	char temporary[SHARD_PATH_MAX], path[SHARD_PATH_MAX + 32];
	streams_dir_temporary_name(stream, temporary);
	int r = disk_mkdir(&store->env.disk, store->env.streams_dir, temporary);
	for (size_t i = 0; r == 0 && i < stream->table.count; i++) {
		snprintf(path, sizeof path, "%s/" SHARD_NAME_FORMAT, temporary,
			stream->table.shards[i]->number);
		r = disk_mkdir(&store->env.disk, store->env.streams_dir, path);
	}
	if (r == 0)
		r = stream_document_save(stream, temporary);
	if (r == 0)
		r = streams_dir_rename(store, temporary, stream->home.name);
	if (r < 0)
		(void)remove_tree(&store->env.disk, store->env.streams_dir, temporary);
	return r;
}

static int create_locked(struct sfs_store *store, const char *name, const struct sfs_owner *owner,
	struct sfs_stream **ret_stream)
{
	struct stat st;
	ASSERT_LOCKED(&store->config_lock);
	if (fstatat(store->env.streams_dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return -EEXIST;
	struct sfs_stream *stream = stream_new(store, name);
	if (!stream)
		return -ENOMEM;
	settings_fini(&stream->home.settings);
	int r = settings_copy(&store->defaults, &stream->home.settings);
	if (r == 0)
		r = store_next_id(store, &stream->id);
	stream->owner = *owner;
	stream->created_ms = stream->changed_ms = clock_wall_ms();
	if (r == 0)
		r = shard_table_make(stream, stream->home.settings.shards);
	if (r == 0)
		r = write_new(stream);
	if (r < 0) {
		stream_free(stream);
		return r;
	}
	insert(store, stream);
	*ret_stream = sfs_stream_ref(stream);
	return 0;
}

int sfs_stream_create(struct sfs_store *store, const char *name, const struct sfs_owner *owner,
	struct sfs_stream **ret_stream)
{
	if (!sfs_stream_name_valid(name))
		return -EINVAL;
	if (store->env.read_only)
		return -EROFS;
	SCOPED_LOCK(&store->config_lock);
	return create_locked(store, name, owner, ret_stream);
}

static int check_empty(struct sfs_stream *stream)
{
	for (size_t i = 0; i < stream->table.count; i++) {
		bool empty;
		int r = shard_is_empty(stream->table.shards[i], &empty);
		if (r < 0)
			return r;
		if (!empty)
			return -ENOTEMPTY;
	}
	return 0;
}

/* Renames it to a temporary name. *ret_gone is also set when that was done but may not last. */
static int rename_away_locked(
	struct sfs_stream *stream, char temporary[SHARD_PATH_MAX], bool *ret_gone)
{
	struct sfs_store *store = stream->store;
	ASSERT_LOCKED(&store->config_lock);
	streams_dir_temporary_name(stream, temporary);
	stream_lock_alone(stream);
	int r = check_empty(stream);
	if (r == 0 && store->blob_dir >= 0)
		r = stream_blobs_open(stream, false); /* to remove them, they must be known */
	pthread_rwlock_wrlock(&stream->home.path_lock);
	if (r == 0)
		r = streams_dir_rename(store, stream->home.name, temporary);
	*ret_gone = r == 0 || (r != -EEXIST && !streams_dir_has(store, stream->home.name));
	stream->home.removed = *ret_gone;
	pthread_rwlock_unlock(&stream->home.path_lock);
	if (*ret_gone) {
		stream_set_removed(stream);
		(void)stream_blobs_remove(stream);
	}
	pthread_rwlock_unlock(&stream->home.lock);
	return r;
}

/*
 * Also when it fails, *ret_stream may be set: the removal was done but may not last. The caller
 * wakes the stream's waiters and gives it back.
 */
static int remove_locked(struct sfs_store *store, const char *name, struct sfs_stream **ret_stream)
{
	SCOPED_LOCK(&store->config_lock);
	struct sfs_stream *stream;
	int r = lookup_locked(store, name, &stream);
	if (r < 0)
		return r;
	char temporary[SHARD_PATH_MAX];
	bool gone;
	r = rename_away_locked(stream, temporary, &gone);
	if (gone) {
		pthread_mutex_lock(&store->lock);
		RB_REMOVE(stream_tree, &store->streams, stream);
		pthread_mutex_unlock(&store->lock);
		for (size_t i = 0; i < stream->table.count; i++)
			syncer_forget(stream->table.shards[i]);
		if (r == 0) /* else the next opening does, should it not come back */
			(void)streams_dir_remove(store, temporary);
		sfs_stream_unref(stream); /* the table's */
	}
	*ret_stream = stream;
	return r;
}

int sfs_stream_remove(struct sfs_store *store, const char *name)
{
	if (store->env.read_only)
		return -EROFS;
	if (!sfs_stream_name_valid(name))
		return -ENOENT;
	struct sfs_stream *stream = NULL;
	int r = remove_locked(store, name, &stream);
	if (stream)
		view_waiters_wake_all(stream);
	sfs_stream_unref(stream);
	return r;
}

static void set_name(struct sfs_stream *stream, const char *name)
{
	struct sfs_store *store = stream->store;
	SCOPED_LOCK(&store->lock);
	RB_REMOVE(stream_tree, &store->streams, stream);
	snprintf(stream->home.name, sizeof stream->home.name, "%s", name);
	RB_INSERT(stream_tree, &store->streams, stream);
}

static int rename_locked(struct sfs_store *store, struct sfs_stream *stream, const char *to)
{
	uint64_t changed_ms = 0;
	ASSERT_LOCKED(&store->config_lock);
	stream_lock_alone(stream);
	int r = streams_dir_has(store, to) ? -EEXIST : stream_touch(stream, &changed_ms);
	pthread_rwlock_wrlock(&stream->home.path_lock);
	if (r == 0) {
		r = streams_dir_rename(store, stream->home.name, to);
		if (r == 0 || !streams_dir_has(store, stream->home.name))
			set_name(stream, to);
		else
			stream_untouch(stream, changed_ms);
	}
	pthread_rwlock_unlock(&stream->home.path_lock);
	pthread_rwlock_unlock(&stream->home.lock);
	return r;
}

int sfs_stream_rename(struct sfs_store *store, const char *from, const char *to)
{
	if (store->env.read_only)
		return -EROFS;
	if (!sfs_stream_name_valid(from))
		return -ENOENT;
	if (!sfs_stream_name_valid(to))
		return -EINVAL;
	SCOPED_LOCK(&store->config_lock);
	struct sfs_stream *stream;
	int r = lookup_locked(store, from, &stream);
	if (r < 0)
		return r;
	r = rename_locked(store, stream, to);
	sfs_stream_unref(stream);
	return r;
}

static int close_stream(struct sfs_stream *stream)
{
	int result = 0;
	for (size_t i = 0; i < stream->table.count; i++) {
		struct sfs_shard *shard = stream->table.shards[i];
		if (!atomic_load(&shard->opened) || stream->store->env.read_only)
			continue;
		int r = syncer_sync_now(shard);
		if (r < 0 && result == 0)
			result = r;
	}
	for (size_t i = 0; i < stream->retired.count; i++)
		syncer_forget(stream->retired.items[i]);
	return result;
}

int streams_close(struct sfs_store *store)
{
	int result = 0;
	struct sfs_stream *stream, *next;
	RB_FOREACH_SAFE(stream, stream_tree, &store->streams, next)
	{
		int r = close_stream(stream);
		if (r < 0 && result == 0)
			result = r;
		RB_REMOVE(stream_tree, &store->streams, stream);
		sfs_stream_unref(stream);
	}
	return result;
}

/* The stream after this name, counted; NULL: there is none. */
static struct sfs_stream *next_loaded(struct sfs_store *store, const char *name)
{
	struct sfs_stream key;
	snprintf(key.home.name, sizeof key.home.name, "%s", name);
	SCOPED_LOCK(&store->lock);
	struct sfs_stream *stream = RB_NFIND(stream_tree, &store->streams, &key);
	if (stream && !strcmp(stream->home.name, name))
		stream = RB_NEXT(stream_tree, &store->streams, stream);
	return stream ? sfs_stream_ref(stream) : NULL;
}

int streams_each(struct sfs_store *store, int (*each)(void *context, struct sfs_stream *stream),
	void *context)
{
	char name[SFS_NAME_MAX + 1] = "";
	for (;;) {
		struct sfs_stream *stream = next_loaded(store, name);
		if (!stream)
			return 0;
		sfs_stream_name(stream, name);
		int r = each(context, stream);
		sfs_stream_unref(stream);
		if (r)
			return r;
	}
}
