/* SPDX-License-Identifier: MIT */
#include "drop.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "clock.h"
#include "node.h"
#include "streamfs/stream.h"
#include "streamfs/upload.h"

enum { SETTLED_MAX = 64 };

void drop_init(struct drop *drop)
{
	*drop = (struct drop){0};
	pthread_mutex_init(&drop->lock, NULL);
	TAILQ_INIT(&drop->all);
	TAILQ_INIT(&drop->settled);
}

/* Takes the oldest off, as long as there are more than `keep`. */
static void settled_trim(struct drop *drop, unsigned keep)
{
	for (;;) {
		struct upload *oldest = NULL;
		pthread_mutex_lock(&drop->lock);
		if (drop->settled_count > keep) {
			oldest = TAILQ_LAST(&drop->settled, upload_list);
			TAILQ_REMOVE(&drop->settled, oldest, all);
			drop->settled_count--;
		}
		pthread_mutex_unlock(&drop->lock);
		if (!oldest)
			return;
		upload_unref(oldest);
	}
}

void drop_fini(struct drop *drop)
{
	drop_discard_all(drop);
	settled_trim(drop, 0);
	pthread_mutex_destroy(&drop->lock);
}

/* ".NAME.XXXXXX": what rsync calls a file until it is complete. */
static bool is_held_name(const char *name)
{
	size_t length = strlen(name);
	if (name[0] != '.' || length < 9 || name[length - 7] != '.')
		return false;
	for (const char *c = name + length - 6; *c; c++)
		if (!isalnum((unsigned char)*c))
			return false;
	return true;
}

static void unlist_locked(struct upload *upload, bool *ret_was_listed)
{
	*ret_was_listed = upload->listed;
	if (upload->listed)
		TAILQ_REMOVE(&upload->drop->all, upload, all);
	upload->listed = false;
}

static void upload_unlist(struct upload *upload)
{
	bool was_listed;
	pthread_mutex_lock(&upload->drop->lock);
	unlist_locked(upload, &was_listed);
	pthread_mutex_unlock(&upload->drop->lock);
	if (was_listed)
		upload_unref(upload);
}

void upload_ref(struct upload *upload)
{
	SCOPED_LOCK(&upload->drop->lock);
	upload->refs++;
}

void upload_unref(struct upload *upload)
{
	pthread_mutex_lock(&upload->drop->lock);
	bool last = --upload->refs == 0;
	pthread_mutex_unlock(&upload->drop->lock);
	if (!last)
		return;
	sfs_upload_free(upload->payload);
	sfs_stream_unref(upload->stream);
	pthread_mutex_destroy(&upload->lock);
	free(upload);
}

void upload_name(struct upload *upload, char name[UPLOAD_NAME_MAX + 1])
{
	SCOPED_LOCK(&upload->drop->lock);
	memcpy(name, upload->name, sizeof(upload->name));
}

int drop_create(struct drop *drop, struct sfs_stream *stream, const char *name,
	const struct upload_owner *owner, struct upload **ret_upload)
{
	if (strlen(name) > UPLOAD_NAME_MAX)
		return -ENAMETOOLONG;
	_cleanup_free_ struct upload *upload = calloc(1, sizeof(*upload));
	if (!upload)
		return -ENOMEM;
	int r = sfs_upload_open(stream, &upload->payload);
	if (r < 0)
		return r;
	pthread_mutex_init(&upload->lock, NULL);
	upload->drop = drop;
	upload->created_ms = clock_wall_ms();
	upload->creator = owner->tid;
	upload->uid = owner->uid;
	upload->gid = owner->gid;
	upload->mode = owner->mode;
	upload->stream = sfs_stream_ref(stream);
	upload->listed = true;
	upload->refs = 2; /* the directory's and the caller's */
	upload->handles = 1;
	memcpy(upload->name, name, strlen(name));
	SCOPED_LOCK(&drop->lock);
	upload->ino = INO_UPLOADS | ++drop->last_ino;
	TAILQ_INSERT_HEAD(&drop->all, upload, all);
	*ret_upload = upload;
	upload = NULL;
	return 0;
}

static bool is_named(const struct upload *upload, uint64_t stream_id, const char *name)
{
	return sfs_stream_id(upload->stream) == stream_id && strcmp(upload->name, name) == 0;
}

static struct upload *find_locked(
	struct drop *drop, uint64_t stream_id, const char *name, pid_t tid)
{
	struct upload *upload, *found = NULL;
	TAILQ_FOREACH(upload, &drop->all, all)
	{
		if (!is_named(upload, stream_id, name))
			continue;
		if (upload->creator == tid)
			return upload;
		if (!found)
			found = upload;
	}
	return found;
}

static struct upload *find_settled_locked(
	struct drop *drop, uint64_t stream_id, const char *name, pid_t tid)
{
	struct upload *upload;
	TAILQ_FOREACH(upload, &drop->settled, all)
	{
		if (upload->creator == tid && is_named(upload, stream_id, name))
			return upload;
	}
	return NULL;
}

struct upload *drop_find(struct drop *drop, uint64_t stream_id, const char *name, pid_t tid)
{
	SCOPED_LOCK(&drop->lock);
	struct upload *upload = find_locked(drop, stream_id, name, tid);
	if (!upload)
		upload = find_settled_locked(drop, stream_id, name, tid);
	if (upload)
		upload->refs++;
	return upload;
}

/* The same, only of what is not committed. */
static struct upload *find_open(struct drop *drop, uint64_t stream_id, const char *name, pid_t tid)
{
	SCOPED_LOCK(&drop->lock);
	struct upload *upload = find_locked(drop, stream_id, name, tid);
	if (upload)
		upload->refs++;
	return upload;
}

int drop_each(struct drop *drop, uint64_t stream_id,
	int (*each)(void *context, const struct upload *upload), void *context)
{
	struct upload *upload;
	SCOPED_LOCK(&drop->lock);
	TAILQ_FOREACH(upload, &drop->all, all)
	{
		if (sfs_stream_id(upload->stream) != stream_id)
			continue;
		int r = each(context, upload);
		if (r)
			return r;
	}
	return 0;
}

static void free_payload_locked(struct upload *upload)
{
	sfs_upload_free(upload->payload);
	upload->payload = NULL;
}

/* One try. The payload is kept where a later fsync may want the record durable. */
static int commit_locked(struct upload *upload)
{
	char name[UPLOAD_NAME_MAX + 1];
	if (upload->state != UPLOAD_OPEN)
		return 0;
	upload_name(upload, name);
	upload->size_bytes = sfs_upload_size(upload->payload);
	int r = upload->failed; /* a file with a part missing is no record */
	if (r == 0)
		r = sfs_upload_commit(upload->payload, name, strlen(name));
	upload->state = r < 0 ? UPLOAD_GONE : UPLOAD_COMMITTED;
	if (r < 0)
		free_payload_locked(upload);
	else if (upload->sync)
		r = sfs_upload_sync(upload->payload);
	return r;
}

static int upload_commit(struct upload *upload)
{
	pthread_mutex_lock(&upload->lock);
	int r = commit_locked(upload);
	pthread_mutex_unlock(&upload->lock);
	upload_unlist(upload);
	return r;
}

static void upload_discard(struct upload *upload)
{
	pthread_mutex_lock(&upload->lock);
	if (upload->state == UPLOAD_OPEN) {
		upload->state = UPLOAD_GONE;
		free_payload_locked(upload);
	}
	pthread_mutex_unlock(&upload->lock);
	upload_unlist(upload);
}

int drop_unlink(struct drop *drop, uint64_t stream_id, const char *name, pid_t tid)
{
	struct upload *upload = find_open(drop, stream_id, name, tid);
	if (!upload)
		return -ENOENT;
	upload_discard(upload);
	upload_unref(upload);
	return 0;
}

int drop_rename(struct drop *drop, uint64_t stream_id, const char *from, const char *to, pid_t tid)
{
	if (strlen(to) > UPLOAD_NAME_MAX)
		return -ENAMETOOLONG;
	struct upload *upload = find_open(drop, stream_id, from, tid);
	if (!upload)
		return -ENOENT;
	pthread_mutex_lock(&drop->lock);
	memset(upload->name, 0, sizeof(upload->name));
	memcpy(upload->name, to, strlen(to));
	bool closed = upload->handles == 0;
	pthread_mutex_unlock(&drop->lock);
	int r = closed && !is_held_name(to) ? upload_commit(upload) : 0;
	upload_unref(upload);
	return r;
}

unsigned drop_discard_all(struct drop *drop)
{
	unsigned count = 0;
	for (;; count++) {
		pthread_mutex_lock(&drop->lock);
		struct upload *upload = TAILQ_FIRST(&drop->all);
		if (upload)
			upload->refs++;
		pthread_mutex_unlock(&drop->lock);
		if (!upload)
			return count;
		upload_discard(upload);
		upload_unref(upload);
	}
}

int upload_open(struct upload *upload)
{
	SCOPED_LOCK(&upload->drop->lock);
	if (!upload->listed)
		return -ENOENT;
	if (upload->handles > 0)
		return -EBUSY;
	upload->handles++;
	upload->refs++;
	return 0;
}

/* What was committed has been made durable, if it was to be; its payload is not needed again. */
static void release_payload(struct upload *upload)
{
	SCOPED_LOCK(&upload->lock);
	if (upload->state != UPLOAD_OPEN)
		free_payload_locked(upload);
}

static bool is_held(struct upload *upload)
{
	char name[UPLOAD_NAME_MAX + 1];
	upload_name(upload, name);
	return is_held_name(name);
}

int upload_close(struct upload *upload, bool discard)
{
	pthread_mutex_lock(&upload->drop->lock);
	bool last = --upload->handles == 0;
	pthread_mutex_unlock(&upload->drop->lock);
	int r = 0;
	if (last && discard)
		upload_discard(upload);
	else if (last && !is_held(upload))
		r = upload_commit(upload);
	if (last)
		release_payload(upload);
	upload_unref(upload);
	return r;
}

bool upload_wants_commit(struct upload *upload)
{
	if (is_held(upload))
		return false;
	SCOPED_LOCK(&upload->lock);
	return upload->state == UPLOAD_OPEN && upload->touched;
}

static void upload_settle(struct upload *upload)
{
	struct drop *drop = upload->drop;
	pthread_mutex_lock(&drop->lock);
	TAILQ_INSERT_HEAD(&drop->settled, upload, all);
	drop->settled_count++;
	upload->refs++;
	pthread_mutex_unlock(&drop->lock);
	settled_trim(drop, SETTLED_MAX);
}

int upload_closed_by_creator(struct upload *upload, bool settle)
{
	int r = upload_commit(upload);
	if (r == 0 && settle)
		upload_settle(upload);
	return r;
}

static void note_failure_locked(struct upload *upload, int error, uint64_t offset)
{
	upload->failed = error;
	upload->failed_offset = offset;
}

int upload_write(struct upload *upload, uint64_t offset, const void *data, size_t bytes)
{
	SCOPED_LOCK(&upload->lock);
	if (upload->state != UPLOAD_OPEN)
		return -EPERM;
	int r = sfs_upload_write(upload->payload, offset, data, bytes);
	if (r < 0) {
		note_failure_locked(upload, r, offset);
		return r;
	}
	upload->touched = true;
	if (upload->failed_offset - offset < bytes)
		upload->failed = 0;
	return 0;
}

int upload_read(
	struct upload *upload, uint64_t offset, void *buffer, size_t bytes, size_t *ret_bytes)
{
	SCOPED_LOCK(&upload->lock);
	if (upload->state != UPLOAD_OPEN)
		return -EPERM;
	return sfs_upload_read(upload->payload, offset, buffer, bytes, ret_bytes);
}

int upload_truncate(struct upload *upload, uint64_t size_bytes)
{
	SCOPED_LOCK(&upload->lock);
	if (upload->state != UPLOAD_OPEN)
		return -EPERM;
	int r = sfs_upload_truncate(upload->payload, size_bytes);
	if (r < 0) {
		note_failure_locked(upload, r, size_bytes);
		return r;
	}
	upload->touched = true;
	if (size_bytes <= upload->failed_offset)
		upload->failed = 0;
	return 0;
}

uint64_t upload_size(struct upload *upload)
{
	SCOPED_LOCK(&upload->lock);
	return upload->payload ? sfs_upload_size(upload->payload) : upload->size_bytes;
}

int upload_sync(struct upload *upload)
{
	SCOPED_LOCK(&upload->lock);
	upload->sync = true;
	if (upload->state != UPLOAD_COMMITTED || !upload->payload)
		return 0;
	return sfs_upload_sync(upload->payload);
}
