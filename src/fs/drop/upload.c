/* SPDX-License-Identifier: MIT */
#include "upload.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "cleanup.h"
#include "drop.h"
#include "lock.h"
#include "streamfs/stream.h"
#include "streamfs/upload.h"
#include "trace.h"

static bool all_alphanumeric(const char *text)
{
	while (isalnum((unsigned char)*text))
		text++;
	return !*text;
}

bool upload_name_is_held(const char *name)
{
	const char *suffix = strrchr(name, '.');
	if (name[0] != '.' || !suffix || suffix < name + 2 || !all_alphanumeric(++suffix))
		return false;
	size_t length = strlen(suffix);
	bool swap =
		strncmp(suffix, "sw", 2) == 0 && (length == 3 || (length == 4 && suffix[3] == 'x'));
	return length == 6 || swap;
}

void upload_lock_state(struct upload *upload)
{
	pthread_mutex_lock(&upload->lock);
	pthread_mutex_lock(&upload->drop->lock);
}

void upload_unlock_state(struct upload *upload)
{
	pthread_mutex_unlock(&upload->drop->lock);
	pthread_mutex_unlock(&upload->lock);
}

void upload_ref(struct upload *upload)
{
	SCOPED_LOCK(&upload->drop->lock);
	upload->refs++;
}

void upload_unref(struct upload *upload)
{
	pthread_mutex_lock(&upload->drop->lock);
	assert(upload->refs > 0);
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

void upload_get_owner(struct upload *upload, struct upload_owner *ret_owner)
{
	SCOPED_LOCK(&upload->drop->lock);
	*ret_owner = upload->owner;
}

void upload_set_owner(struct upload *upload, const struct upload_owner *owner)
{
	SCOPED_LOCK(&upload->drop->lock);
	upload->owner = *owner;
}

bool upload_begin_commit_locked(struct upload *upload)
{
	ASSERT_LOCKED(&upload->lock);
	ASSERT_LOCKED(&upload->drop->lock);
	if (upload->state != UPLOAD_OPEN)
		return false;
	TRACE(drop, "upload %" PRIu64 ": begins to commit %" PRIu64 " bytes", upload->number,
		upload_size(upload));
	upload->state = UPLOAD_COMMITTING;
	upload->refs++;
	return true;
}

bool upload_discard_locked(struct upload *upload)
{
	ASSERT_LOCKED(&upload->lock);
	ASSERT_LOCKED(&upload->drop->lock);
	if (upload->state == UPLOAD_OPEN)
		upload->state = UPLOAD_GONE;
	return upload->state == UPLOAD_GONE && drop_unlist_locked(upload);
}

void upload_release_payload_locked(struct upload *upload)
{
	ASSERT_LOCKED(&upload->lock);
	if (upload->state == UPLOAD_GONE ||
		(upload->state == UPLOAD_COMMITTED && upload->handles == 0)) {
		sfs_upload_free(upload->payload);
		upload->payload = NULL;
	}
}

bool upload_begin_commit(struct upload *upload)
{
	upload_lock_state(upload);
	bool begun = upload_begin_commit_locked(upload);
	upload_unlock_state(upload);
	return begun;
}

static void finish(struct upload *upload, enum upload_state state, bool settle)
{
	upload_lock_state(upload);
	upload->state = state;
	if (settle)
		drop_settle_locked(upload);
	upload_release_payload_locked(upload);
	bool was_listed = drop_unlist_locked(upload);
	upload_unlock_state(upload);
	if (was_listed)
		upload_unref(upload);
}

int upload_commit(struct upload *upload, bool settle)
{
	assert(upload->state == UPLOAD_COMMITTING);
	int r = upload->failed; /* a file with a part missing makes no record */
	if (r == 0)
		r = sfs_upload_commit(upload->payload, upload->name, strlen(upload->name));
	enum upload_state state = r < 0 ? UPLOAD_GONE : UPLOAD_COMMITTED;
	if (r == 0 && upload->sync)
		r = sfs_upload_sync(upload->payload);
	if (r == 0 && settle)
		drop_forget_settled(upload->drop, upload->creator.thread);
	TRACE(drop, "upload %" PRIu64 ": commit: %s", upload->number, strerror(-r));
	finish(upload, state, r == 0 && settle);
	return r;
}

bool upload_is_free(struct upload *upload)
{
	SCOPED_LOCK(&upload->drop->lock);
	return upload->listed && upload->state == UPLOAD_OPEN && upload->handles == 0;
}

int upload_open(struct upload *upload)
{
	SCOPED_LOCK(&upload->drop->lock);
	if (!upload->listed)
		return -ENOENT;
	if (upload->state != UPLOAD_OPEN || upload->handles > 0)
		return -EBUSY;
	upload->handles++;
	upload->refs++;
	return 0;
}

bool upload_close(struct upload *upload, bool discard)
{
	bool begun = false, was_listed = false;
	upload_lock_state(upload);
	assert(upload->handles > 0);
	bool last = --upload->handles == 0;
	if (last && discard)
		was_listed = upload_discard_locked(upload);
	else if (last && !upload_name_is_held(upload->name))
		begun = upload_begin_commit_locked(upload);
	upload_release_payload_locked(upload);
	upload_unlock_state(upload);
	if (was_listed)
		upload_unref(upload);
	upload_unref(upload);
	return begun;
}

bool upload_wants_commit(struct upload *upload)
{
	SCOPED_LOCK(&upload->drop->lock);
	return upload->state == UPLOAD_OPEN && !upload_name_is_held(upload->name);
}

static void note_failure_locked(struct upload *upload, int error, uint64_t offset)
{
	ASSERT_LOCKED(&upload->lock);
	upload->failed = error;
	upload->failed_offset = offset;
}

static void publish_size_locked(struct upload *upload)
{
	ASSERT_LOCKED(&upload->lock);
	atomic_store(&upload->size_bytes, sfs_upload_size(upload->payload));
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
	publish_size_locked(upload);
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
	publish_size_locked(upload);
	if (size_bytes <= upload->failed_offset)
		upload->failed = 0;
	return 0;
}

uint64_t upload_size(struct upload *upload)
{
	return atomic_load(&upload->size_bytes);
}

int upload_sync(struct upload *upload)
{
	SCOPED_LOCK(&upload->lock);
	if (upload->state == UPLOAD_COMMITTING)
		return -EBUSY;
	upload->sync = true;
	if (upload->state != UPLOAD_COMMITTED || !upload->payload)
		return 0;
	return sfs_upload_sync(upload->payload);
}
