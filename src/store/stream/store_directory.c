/* SPDX-License-Identifier: MIT */
#include "store_directory.h"

#include "cleanup.h"
#include "diag.h"
#include "dir.h"
#include "lost_found.h"
#include "store_document.h"
#include "streams_dir.h"
#include "trace.h"

#include <bsd/stdlib.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

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
	_cleanup_closedir_ DIR *listing = NULL;
	const char *name;
	if (dir_open(&store->env.disk, store->dir, "streams", &listing) < 0)
		return false;
	while (dir_next(listing, &name) == 0 && name)
		if (sfs_stream_name_valid(name))
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
	_cleanup_closedir_ DIR *listing = NULL;
	const char *name;
	int r = dir_open(&store->env.disk, store->dir, ".", &listing);
	while (r == 0 && (r = dir_next(listing, &name)) == 0 && name)
		if (!is_half_made(name)) {
			diag_set(diag, "%s: not a store, and not empty", store->path);
			return -ENOTEMPTY;
		}
	if (r < 0)
		return r;
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

int store_directory_lock(struct sfs_store *store, struct sfs_diag *diag)
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
	SCOPED_LOCK(&store->config_lock);
	make_uuid(store->uuid);
	store->next_id = store->reserved_id = 1;
	store->owner = (struct sfs_owner){0755, geteuid(), getegid()};
	return store_document_save(store);
}

/*
 * Makes the directory's own entry durable: the process that made it may have been killed before it
 * did so. A parent that this process may not read, or that knows no sync, is its owner's business.
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

int store_directory_open(
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
		r = store_directory_lock(store, diag);
	if (r == 0)
		r = classify(store, &is_new, diag); /* another process may have made it meanwhile */
	if (r == 0)
		TRACE(recover, "opens the store in %s%s", store->path, is_new ? ", a new one" : "");
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
		r = streams_dir_remove_unfinished(store);
	store->streams_unsynced = !store->env.read_only;
	if (r == 0 && options->blob_dir)
		r = open_blob_dir(store, options->blob_dir, diag);
	return r;
}
