/* SPDX-License-Identifier: MIT */
#include "drop.h"

#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "clock.h"
#include "lock.h"
#include "streamfs/stream.h"
#include "streamfs/upload.h"
#include "upload.h"

enum { SETTLED_MAX = 64 };
static const uint64_t settled_max_ns = UINT64_C(1000000000);

/* By stream and name; of one name the newest first. */
static int upload_compare(const struct upload *a, const struct upload *b)
{
	if (a->stream_id != b->stream_id)
		return a->stream_id < b->stream_id ? -1 : 1;
	int order = strcmp(a->name, b->name);
	if (order)
		return order;
	return (a->number < b->number) - (a->number > b->number);
}

RB_GENERATE_INTERNAL(upload_tree, upload, by_name, upload_compare, __attribute__((unused)) static)

void drop_init(struct drop *drop)
{
	*drop = (struct drop){0};
	pthread_mutex_init(&drop->lock, NULL);
	RB_INIT(&drop->tree);
	TAILQ_INIT(&drop->settled);
}

static void unsettle_locked(struct upload *upload)
{
	ASSERT_LOCKED(&upload->drop->lock);
	TAILQ_REMOVE(&upload->drop->settled, upload, by_age);
	upload->settled_ns = 0;
	upload->drop->settled_count--;
}

/* The oldest one, while there are more than `keep` or it is older than a second. */
static struct upload *take_oldest_settled(struct drop *drop, unsigned keep)
{
	SCOPED_LOCK(&drop->lock);
	struct upload *oldest = TAILQ_LAST(&drop->settled, upload_list);
	if (!oldest || (drop->settled_count <= keep &&
			       clock_monotonic_ns() - oldest->settled_ns < settled_max_ns))
		return NULL;
	unsettle_locked(oldest);
	return oldest;
}

static void settled_trim(struct drop *drop, unsigned keep)
{
	struct upload *oldest;
	while ((oldest = take_oldest_settled(drop, keep)))
		upload_unref(oldest);
}

void drop_fini(struct drop *drop)
{
	drop_discard_all(drop);
	settled_trim(drop, 0);
	pthread_mutex_destroy(&drop->lock);
}

bool drop_unlist_locked(struct upload *upload)
{
	bool was_listed = upload->listed;
	ASSERT_LOCKED(&upload->drop->lock);
	if (was_listed)
		RB_REMOVE(upload_tree, &upload->drop->tree, upload);
	upload->listed = false;
	return was_listed;
}

void drop_settle_locked(struct upload *upload)
{
	ASSERT_LOCKED(&upload->drop->lock);
	TAILQ_INSERT_HEAD(&upload->drop->settled, upload, by_age);
	upload->settled_ns = clock_monotonic_ns();
	upload->drop->settled_count++;
	upload->refs++;
}

static struct upload *find_settled_locked(struct drop *drop, pid_t thread)
{
	struct upload *upload;
	ASSERT_LOCKED(&drop->lock);
	TAILQ_FOREACH(upload, &drop->settled, by_age)
	{
		if (thread != 0 && upload->creator.thread == thread)
			return upload;
	}
	return NULL;
}

void drop_forget_settled(struct drop *drop, pid_t thread)
{
	pthread_mutex_lock(&drop->lock);
	struct upload *upload = find_settled_locked(drop, thread);
	if (upload)
		unsettle_locked(upload);
	pthread_mutex_unlock(&drop->lock);
	if (upload)
		upload_unref(upload);
	settled_trim(drop, SETTLED_MAX);
}

int drop_create(struct drop *drop, struct sfs_stream *stream, const char *name,
	const struct opener *creator, const struct upload_owner *owner, struct upload **ret_upload)
{
	if (strlen(name) > UPLOAD_NAME_MAX)
		return -ENAMETOOLONG;
	_cleanup_free_ struct upload *upload = calloc(1, sizeof(*upload));
	if (!upload)
		return -ENOMEM;
	int r = sfs_upload_open(stream, &upload->payload);
	if (r < 0)
		return r;
	drop_forget_settled(drop, creator->thread);
	pthread_mutex_init(&upload->lock, NULL);
	upload->drop = drop;
	upload->created_ms = clock_wall_ms();
	upload->creator = *creator;
	upload->owner = *owner;
	upload->stream = sfs_stream_ref(stream);
	upload->stream_id = sfs_stream_id(stream);
	upload->listed = true;
	upload->refs = 2; /* the directory's and the caller's */
	upload->handles = 1;
	memcpy(upload->name, name, strlen(name));
	SCOPED_LOCK(&drop->lock);
	upload->number = ++drop->last_number;
	RB_INSERT(upload_tree, &drop->tree, upload);
	*ret_upload = upload;
	upload = NULL;
	return 0;
}

static bool is_named(const struct upload *upload, uint64_t stream_id, const char *name)
{
	return upload->stream_id == stream_id && strcmp(upload->name, name) == 0;
}

/* The first one of a stream that has this name or a later one. */
static struct upload *first_locked(struct drop *drop, uint64_t stream_id, const char *name)
{
	struct upload key = {.stream_id = stream_id, .number = UINT64_MAX};
	ASSERT_LOCKED(&drop->lock);
	size_t length = strlen(name);
	if (length > UPLOAD_NAME_MAX)
		return NULL;
	memcpy(key.name, name, length);
	return RB_NFIND(upload_tree, &drop->tree, &key);
}

static bool is_shown_to(const struct upload *upload, const struct drop_caller *caller)
{
	return caller->uid == 0 || upload->owner.uid == caller->uid;
}

static struct upload *find_locked(
	struct drop *drop, uint64_t stream_id, const char *name, const struct drop_caller *caller)
{
	struct upload *upload, *found = NULL;
	ASSERT_LOCKED(&drop->lock);
	for (upload = first_locked(drop, stream_id, name);
		upload && is_named(upload, stream_id, name);
		upload = RB_NEXT(upload_tree, &drop->tree, upload)) {
		if (!is_shown_to(upload, caller))
			continue;
		if (caller->thread != 0 && upload->creator.thread == caller->thread)
			return upload;
		if (!found)
			found = upload;
	}
	return found;
}

struct upload *drop_find(
	struct drop *drop, uint64_t stream_id, const char *name, const struct drop_caller *caller)
{
	settled_trim(drop, SETTLED_MAX);
	SCOPED_LOCK(&drop->lock);
	struct upload *upload = find_locked(drop, stream_id, name, caller);
	if (!upload) {
		upload = find_settled_locked(drop, caller->thread);
		if (upload && !is_named(upload, stream_id, name))
			upload = NULL;
	}
	if (upload)
		upload->refs++;
	return upload;
}

int drop_each(struct drop *drop, uint64_t stream_id,
	int (*each)(void *context, const struct upload *upload), void *context)
{
	struct upload *upload;
	SCOPED_LOCK(&drop->lock);
	for (upload = first_locked(drop, stream_id, ""); upload && upload->stream_id == stream_id;
		upload = RB_NEXT(upload_tree, &drop->tree, upload)) {
		int r = each(context, upload);
		if (r)
			return r;
	}
	return 0;
}

/* Nothing has it open, or the caller's process or its parent created it. */
static bool is_removable(struct upload *upload, const struct drop_caller *caller)
{
	pthread_mutex_lock(&upload->drop->lock);
	bool open = upload->handles > 0;
	pthread_mutex_unlock(&upload->drop->lock);
	return !open || opener_is_kin(&upload->creator, caller->thread);
}

static int remove_upload(struct upload *upload, const struct drop_caller *caller)
{
	if (!is_removable(upload, caller))
		return -EBUSY;
	upload_lock_state(upload);
	bool busy = upload->state == UPLOAD_COMMITTING;
	bool was_listed = upload_discard_locked(upload);
	bool settled = upload->settled_ns != 0;
	if (settled)
		unsettle_locked(upload);
	upload_release_payload_locked(upload);
	upload_unlock_state(upload);
	if (was_listed || settled)
		upload_unref(upload);
	return busy ? -EBUSY : was_listed || settled ? 0 : -ENOENT;
}

int drop_unlink(
	struct drop *drop, uint64_t stream_id, const char *name, const struct drop_caller *caller)
{
	struct upload *upload = drop_find(drop, stream_id, name, caller);
	if (!upload)
		return -ENOENT;
	int r = remove_upload(upload, caller);
	upload_unref(upload);
	return r;
}

static int rename_locked(struct upload *upload, const char *to, bool *ret_begun)
{
	ASSERT_LOCKED(&upload->lock);
	ASSERT_LOCKED(&upload->drop->lock);
	if (upload->state == UPLOAD_COMMITTING)
		return -EBUSY;
	if (!upload->listed)
		return -ENOENT;
	RB_REMOVE(upload_tree, &upload->drop->tree, upload);
	memset(upload->name, 0, sizeof(upload->name));
	memcpy(upload->name, to, strlen(to));
	RB_INSERT(upload_tree, &upload->drop->tree, upload);
	*ret_begun = upload->handles == 0 && !upload_name_is_held(to) &&
		     upload_begin_commit_locked(upload);
	return 0;
}

int drop_rename(struct drop *drop, uint64_t stream_id, const char *from, const char *to,
	const struct drop_caller *caller, struct upload **ret_commit)
{
	bool begun = false;
	if (strlen(to) > UPLOAD_NAME_MAX)
		return -ENAMETOOLONG;
	struct upload *upload = drop_find(drop, stream_id, from, caller);
	if (!upload)
		return -ENOENT;
	upload_lock_state(upload);
	int r = rename_locked(upload, to, &begun);
	upload_unlock_state(upload);
	upload_unref(upload);
	if (r == 0)
		*ret_commit = begun ? upload : NULL;
	return r;
}

static void discard(struct upload *upload)
{
	upload_lock_state(upload);
	bool was_listed = upload_discard_locked(upload);
	upload_release_payload_locked(upload);
	upload_unlock_state(upload);
	if (was_listed)
		upload_unref(upload);
}

unsigned drop_discard_all(struct drop *drop)
{
	unsigned count = 0;
	for (;; count++) {
		pthread_mutex_lock(&drop->lock);
		struct upload *upload = RB_MIN(upload_tree, &drop->tree);
		if (upload)
			upload->refs++;
		pthread_mutex_unlock(&drop->lock);
		if (!upload)
			return count;
		discard(upload);
		upload_unref(upload);
	}
}
