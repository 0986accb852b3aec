/* SPDX-License-Identifier: MIT */
#include "store.h"

#include "active_files.h"
#include "cleanup.h"
#include "diag.h"
#include "dir.h"
#include "lock.h"
#include "settings_dump.h"
#include "shard.h"
#include "shard_read.h"
#include "store_directory.h"
#include "store_document.h"
#include "stream.h"
#include "streams.h"
#include "syncer.h"
#include "tidier.h"

#include <stdio.h>
#include <sys/resource.h>

enum {
	SEGMENT_TEXT_BYTES = 64 << 20, /* text after which a segment is sealed */
	SEGMENT_CHUNKS = 1 << 15,      /* ... or chunks: bounds its index to 1.5 MiB */
	OPEN_SEGMENTS = 64,	       /* sealed ones kept open for readers, per store */
	CHUNK_CACHE_SLOTS = 64,
	CHUNK_CACHE_BYTES = 12 << 20, /* decoded chunks kept for partial reads, per store */
};

int store_next_id(struct sfs_store *store, uint64_t *ret_id)
{
	enum { RESERVE = 64 };
	ASSERT_LOCKED(&store->config_lock);
	if (store->next_id == store->reserved_id) {
		store->reserved_id += RESERVE;
		int r = store_document_save(store);
		if (r < 0) {
			store->reserved_id -= RESERVE;
			return r;
		}
	}
	*ret_id = store->next_id++;
	return 0;
}

static void segment_ref_object(void *segment)
{
	segment_ref(segment);
}

static void segment_unref_object(void *segment)
{
	segment_unref(segment);
}

static int start_services(struct sfs_store *store)
{
	store->env.segments =
		lru_new(OPEN_SEGMENTS, OPEN_SEGMENTS, segment_ref_object, segment_unref_object);
	store->env.chunks =
		lru_new(CHUNK_CACHE_SLOTS, CHUNK_CACHE_BYTES, chunk_text_ref, chunk_text_unref);
	if (!store->env.segments || !store->env.chunks)
		return -ENOMEM;
	int r = syncer_new(&store->env.syncer);
	if (r == 0)
		r = tidier_new(store, &store->tidier);
	if (r == 0)
		store->env.sealed = tidier_sealed;
	return r;
}

void store_free(struct sfs_store *store)
{
	tidier_free(store->tidier);
	syncer_free(store->env.syncer);
	lru_free(store->env.segments);
	lru_free(store->env.chunks);
	pool_fini(&store->workspaces);
	settings_fini(&store->defaults);
	if (store->env.streams_dir >= 0)
		close(store->env.streams_dir);
	if (store->blob_dir >= 0)
		close(store->blob_dir);
	if (store->lock_fd >= 0)
		close(store->lock_fd);
	if (store->dir >= 0)
		close(store->dir);
	active_files_fini(&store->env.active_files);
	pthread_mutex_destroy(&store->lock);
	pthread_mutex_destroy(&store->config_lock);
	pthread_mutex_destroy(&store->trim_watch_lock);
	free(store->path);
	free(store);
}

/* Descriptors that this process may have. */
static rlim_t open_files_max(void)
{
	enum { USUAL = 1024, ENOUGH = 1 << 20 };
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return USUAL;
	return limit.rlim_cur < ENOUGH ? limit.rlim_cur : ENOUGH;
}

struct sfs_store *store_new(const char *path, const struct sfs_store_options *options)
{
	struct sfs_store *store = calloc(1, sizeof *store);
	if (!store)
		return NULL;
	store->dir = store->env.streams_dir = store->lock_fd = store->blob_dir = -1;
	store->env.disk.hook = options->disk_hook;
	store->env.read_only = options->read_only;
	store->env.segment_bytes =
		options->segment_bytes ? options->segment_bytes : SEGMENT_TEXT_BYTES;
	store->env.segment_chunks =
		options->segment_chunks ? options->segment_chunks : SEGMENT_CHUNKS;
	store->orphan_grace_ms =
		options->orphan_grace_ms ? options->orphan_grace_ms : ORPHAN_GRACE_MS;
	store->sweep_blobs = SWEEP_BLOBS;
	active_files_init(&store->env.active_files, (unsigned)(open_files_max() / 2));
	payload_budget_init(&store->payloads, (unsigned)(open_files_max() / 4));
	store->env.report = options->report;
	store->env.report_context = options->report_context;
	store->env.owner_ref = stream_ref_shard;
	store->env.owner_try_ref = stream_try_ref_shard;
	store->env.owner_unref = stream_unref_shard;
	settings_init(&store->defaults);
	RB_INIT(&store->streams);
	pthread_mutex_init(&store->config_lock, NULL);
	pthread_mutex_init(&store->trim_watch_lock, NULL);
	pthread_mutex_init(&store->lock, NULL);
	pool_init(&store->workspaces);
	if (path[0] == '/') {
		store->path = strdup(path);
	} else {
		_cleanup_free_ char *here = getcwd(NULL, 0);
		if (here && asprintf(&store->path, "%s/%s", here, path) < 0)
			store->path = NULL;
	}
	if (!store->path) {
		store_free(store);
		return NULL;
	}
	return store;
}

int sfs_store_open(const char *path, const struct sfs_store_options *options, struct sfs_diag *diag,
	struct sfs_store **ret_store)
{
	static const struct sfs_store_options none;
	struct sfs_store *store = store_new(path, options ? options : &none);
	if (!store)
		return -ENOMEM;
	struct sfs_diag scratch, *d = diag ? diag : &scratch;
	d->text[0] = 0;
	int r = store_directory_open(store, options ? options : &none, d);
	if (r == 0)
		r = start_services(store);
	if (r < 0) {
		if (!d->text[0])
			diag_set(d, "%s: %s", path, strerror(-r));
		store_free(store);
		return r;
	}
	*ret_store = store;
	return 0;
}

int sfs_store_close(struct sfs_store *store)
{
	if (!store)
		return 0;
	tidier_free(store->tidier);
	store->tidier = NULL;
	store->env.sealed = NULL;
	int r = streams_close(store);
	store_free(store);
	return r;
}

const char *sfs_store_path(const struct sfs_store *store)
{
	return store->path;
}

bool sfs_store_read_only(const struct sfs_store *store)
{
	return store->env.read_only;
}

int sfs_store_statvfs(struct sfs_store *store, struct statvfs *ret_statvfs)
{
	return fstatvfs(store->dir, ret_statvfs) < 0 ? -errno : 0;
}

void sfs_store_owner(struct sfs_store *store, struct sfs_owner *ret_owner)
{
	SCOPED_LOCK(&store->config_lock);
	*ret_owner = store->owner;
}

int sfs_store_set_owner(struct sfs_store *store, const struct sfs_owner *owner)
{
	if (store->env.read_only)
		return -EROFS;
	SCOPED_LOCK(&store->config_lock);
	struct sfs_owner before = store->owner;
	store->owner = *owner;
	int r = store_document_save(store);
	if (r < 0) {
		store->owner = before;
		(void)store_document_save(store); /* the new one may stand all the same */
	}
	return r;
}

int sfs_store_list(struct sfs_store *store,
	int (*each)(void *context, const char *name, uint64_t id), void *context)
{
	_cleanup_closedir_ DIR *listing = NULL;
	const char *name;
	int r = dir_open(&store->env.disk, store->env.streams_dir, ".", &listing);
	while (r == 0 && (r = dir_next(listing, &name)) == 0 && name)
		if (sfs_stream_name_valid(name))
			r = each(context, name, streams_known_id(store, name));
	return r;
}

void sfs_store_watch_trims(struct sfs_store *store,
	void (*trimmed)(void *context, struct sfs_shard *shard), void *context)
{
	SCOPED_LOCK(&store->trim_watch_lock);
	store->trimmed = trimmed;
	store->trimmed_context = context;
}

void store_report_trim(struct sfs_store *store, struct sfs_shard *shard)
{
	SCOPED_LOCK(&store->trim_watch_lock);
	if (store->trimmed)
		store->trimmed(store->trimmed_context, shard);
}

int sfs_store_defaults(struct sfs_store *store, char **ret_json, size_t *ret_bytes)
{
	SCOPED_LOCK(&store->config_lock);
	return settings_dump(&store->defaults, ret_json, ret_bytes);
}

int sfs_store_patch_defaults(
	struct sfs_store *store, const char *json, size_t bytes, struct sfs_diag *diag)
{
	if (store->env.read_only)
		return -EROFS;
	SCOPED_LOCK(&store->config_lock);
	struct settings settings;
	int r = settings_patch(&store->defaults, json, bytes, diag, &settings);
	if (r < 0)
		return r;
	struct settings before = store->defaults;
	store->defaults = settings;
	r = store_document_save(store);
	if (r < 0) {
		store->defaults = before;
		(void)store_document_save(store); /* the new one may stand all the same */
	}
	settings_fini(r < 0 ? &settings : &before);
	return r;
}
