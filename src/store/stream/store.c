/* SPDX-License-Identifier: MIT */
#include "store.h"

#include "active_files.h"
#include "cleanup.h"
#include "diag.h"
#include "store_document.h"
#include "shard.h"
#include "stream.h"
#include "syncer.h"
#include "tidier.h"

#include <bsd/stdlib.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum {
	SEGMENT_TEXT_BYTES = 64 << 20, /* text after which a segment is sealed */
	SEGMENT_CHUNKS = 1 << 15,      /* ... or chunks: bounds its index to 1.5 MiB */
	OPEN_SEGMENTS = 64,	       /* sealed ones kept open for readers, per store */
	CHUNK_CACHE_SLOTS = 64,
	CHUNK_CACHE_BYTES = 12 << 20, /* decoded chunks kept for partial reads, per store */
};

static void cleanup_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static int open_listing(const struct disk *disk, int dir, const char *name, DIR **ret_dir)
{
	int fd;
	int r = disk_open(disk, dir, name, O_RDONLY | O_DIRECTORY, &fd);
	if (r < 0)
		return r;
	*ret_dir = fdopendir(fd);
	if (*ret_dir)
		return 0;
	close(fd);
	return -ENOMEM;
}

static bool is_dots(const char *name)
{
	return !strcmp(name, ".") || !strcmp(name, "..");
}

/* Names that a store has before its document is there, should its making have been cut short. */
static bool is_half_made(const char *name)
{
	static const char *const known[] = {
		"lock", "streams", STORE_DOCUMENT DISK_TMP_SUFFIX, LOST_FOUND};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (!strcmp(name, known[i]))
			return true;
	return false;
}

/* Whether streams/ holds a stream: then a missing document is damage, not a beginning. */
static bool has_streams(struct sfs_store *store)
{
	_cleanup_(cleanup_dir) DIR *listing = NULL;
	if (open_listing(&store->env.disk, store->dir, "streams", &listing) < 0)
		return false;
	const struct dirent *entry;
	while ((entry = readdir(listing)))
		if (sfs_stream_name_valid(entry->d_name))
			return true;
	return false;
}

/* Whether the directory is a store, can become one, or is something else. */
static int classify(struct sfs_store *store, bool *ret_new, struct sfs_diag *diag)
{
	struct stat st;
	if (fstatat(store->dir, STORE_DOCUMENT, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		*ret_new = false;
		return 0;
	}
	_cleanup_(cleanup_dir) DIR *listing = NULL;
	int r = open_listing(&store->env.disk, store->dir, ".", &listing);
	if (r < 0)
		return r;
	const struct dirent *entry;
	while ((entry = readdir(listing)))
		if (!is_dots(entry->d_name) && !is_half_made(entry->d_name)) {
			diag_set(diag, "%s: not a store, and not empty", store->path);
			return -ENOTEMPTY;
		}
	if (has_streams(store)) {
		diag_set(diag, "%s: streams are there but " STORE_DOCUMENT " is missing",
			store->path);
		return -EBADMSG;
	}
	if (store->env.read_only) {
		diag_set(diag, "%s: not a store", store->path);
		return -ENOENT;
	}
	*ret_new = true;
	return 0;
}

int store_lock(struct sfs_store *store, struct sfs_diag *diag)
{
	int flags = store->env.read_only ? O_RDONLY : O_RDWR | O_CREAT;
	int r = disk_open(
		&store->env.disk, store->dir, "lock", flags | O_NONBLOCK, &store->lock_fd);
	if (r == -ENOENT && store->env.read_only)
		return 0;
	if (r < 0) {
		diag_set(diag, "%s/lock: %s", store->path, strerror(-r));
		return r;
	}
	if (flock(store->lock_fd, (store->env.read_only ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0)
		return 0;
	if (errno != EWOULDBLOCK)
		return -errno;
	diag_set(diag, "%s: in use by another process", store->path);
	return -EBUSY;
}

static void make_uuid(char uuid[37])
{
	uint8_t b[16];
	arc4random_buf(b, sizeof b);
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40); /* RFC 4122: version 4 */
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	char *p = uuid;
	for (int i = 0; i < 16; i++)
		p += sprintf(p, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", b[i]);
}

static int make_store(struct sfs_store *store)
{
	int r = disk_mkdir(&store->env.disk, store->dir, "streams");
	if (r < 0 && r != -EEXIST)
		return r;
	make_uuid(store->uuid);
	store->next_id = store->reserved_id = 1;
	store->owner = (struct sfs_owner){0755, geteuid(), getegid()};
	return store_document_save(store);
}

int store_next_id(struct sfs_store *store, uint64_t *ret_id)
{
	enum { RESERVE = 64 };
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

/* Streams that were being made or removed when the last daemon died. */
static int remove_unfinished(struct sfs_store *store)
{
	_cleanup_(cleanup_dir) DIR *listing = NULL;
	int r = open_listing(&store->env.disk, store->env.streams_dir, ".", &listing);
	if (r < 0)
		return r;
	const struct dirent *entry;
	while ((entry = readdir(listing))) {
		const char *name = entry->d_name;
		size_t length = strlen(name), suffix = strlen(DISK_TMP_SUFFIX);
		if (name[0] == '.' && length > suffix + 1 &&
			!strcmp(name + length - suffix, DISK_TMP_SUFFIX))
			(void)store_remove_stream(store, name);
	}
	return 0;
}

/*
 * The directory's own entry: who made it may have been killed before it was synced. A parent that
 * may not be read, or knows no sync, is left to whoever owns it.
 */
static int sync_parent(const struct disk *disk, int dir)
{
	_cleanup_close_ int parent = openat(dir, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (parent < 0)
		return errno == EACCES || errno == EPERM ? 0 : -errno;
	int r = disk_sync_dir(disk, parent);
	return r == -EINVAL || r == -EROFS ? 0 : r;
}

static int open_blob_dir(struct sfs_store *store, const char *path, struct sfs_diag *diag)
{
	if (!store->env.read_only && mkdir(path, 0700) < 0 && errno != EEXIST) {
		diag_set(diag, "%s: %s", path, strerror(errno));
		return -errno;
	}
	store->blob_dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = store->blob_dir < 0 ? -errno : 0;
	if (r == 0 && !store->env.read_only)
		r = sync_parent(&store->env.disk, store->blob_dir);
	if (r < 0)
		diag_set(diag, "%s: %s", path, strerror(-r));
	return r;
}

static int open_directories(
	struct sfs_store *store, const struct sfs_store_options *options, struct sfs_diag *diag)
{
	if (!store->env.read_only && mkdir(store->path, 0700) < 0 && errno != EEXIST) {
		diag_set(diag, "%s: %s", store->path, strerror(errno));
		return -errno;
	}
	store->dir = open(store->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (store->dir < 0) {
		diag_set(diag, "%s: %s", store->path, strerror(errno));
		return -errno;
	}
	bool is_new = false;
	int r = classify(store, &is_new, diag);
	if (r == 0)
		r = store_lock(store, diag);
	if (r == 0)
		r = classify(store, &is_new, diag); /* another may have been quicker */
	if (r == 0 && is_new)
		r = make_store(store);
	if (r == 0)
		r = store_document_load(store, diag);
	if (r == 0)
		r = disk_open(&store->env.disk, store->dir, "streams", O_RDONLY | O_DIRECTORY,
			&store->env.streams_dir);
	if (r == 0 && !store->env.read_only)
		r = disk_sync_dir(&store->env.disk, store->dir);
	if (r == 0 && !store->env.read_only)
		r = sync_parent(&store->env.disk, store->dir);
	if (r == 0 && !store->env.read_only)
		r = remove_unfinished(store);
	store->streams_unsynced = !store->env.read_only;
	if (r == 0 && options->blob_dir)
		r = open_blob_dir(store, options->blob_dir, diag);
	return r;
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
	store->env.owner_ref = shard_owner_ref;
	store->env.owner_try_ref = shard_owner_try_ref;
	store->env.owner_unref = shard_owner_unref;
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
	int r = open_directories(store, options ? options : &none, d);
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
	_cleanup_(cleanup_dir) DIR *listing = NULL;
	int r = open_listing(&store->env.disk, store->env.streams_dir, ".", &listing);
	while (r == 0) {
		errno = 0;
		const struct dirent *entry = readdir(listing);
		if (!entry)
			return -errno;
		if (sfs_stream_name_valid(entry->d_name))
			r = each(context, entry->d_name, stream_known_id(store, entry->d_name));
	}
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
