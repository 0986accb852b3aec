/* SPDX-License-Identifier: MIT */
/*
 * What is in the drop directories: files on their way to become one record each, under their name
 * as key. An upload is in its directory from its creation to its commit.
 *
 * - It is committed when its creator closes it, at FLUSH, so that close(2) tells the error; else
 *   with its last descriptor. A commit that failed is not tried again: who closed knows.
 * - A name of a temporary file of rsync's (".NAME.XXXXXX") is held after the close: rsync sets its
 *   times by path and renames it. The rename commits, under the new name.
 * - install and rsync --inplace set modes and times by path after the close. For the thread that
 *   created, wrote and closed it in one go (as no shell does, which moves descriptors about first)
 *   a committed upload can still be looked up, for a while; what is set has no effect.
 * - Who opens an upload that is open gets one of its own of the same name; they never mix. A
 *   thread sees its own first, others the newest.
 *
 * Thread-safe.
 */
#ifndef FS_DROP_H
#define FS_DROP_H

#include <bsd/sys/queue.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct sfs_stream;
struct sfs_upload;

enum { UPLOAD_NAME_MAX = 1024 }; /* bytes; the kernel's own limit */

enum upload_state {
	UPLOAD_OPEN,
	UPLOAD_COMMITTED,
	UPLOAD_GONE, /* unlinked, or its commit failed */
};

struct drop {
	pthread_mutex_t lock;
	TAILQ_HEAD(upload_list, upload) all; /* newest first; holds a reference to each */
	struct upload_list settled;	     /* committed, for their creators; likewise */
	unsigned settled_count;
	uint64_t last_ino;
};

struct upload {
	struct drop *drop;
	uint64_t ino;
	uint64_t created_ms;
	pid_t creator; /* the thread */
	uid_t uid;
	gid_t gid;
	mode_t mode;
	struct sfs_stream *stream; /* a reference */

	/* drop.lock */
	TAILQ_ENTRY(upload) all;
	bool listed; /* in drop.all */
	unsigned refs;
	unsigned handles;
	char name[UPLOAD_NAME_MAX + 1];

	pthread_mutex_t lock;
	struct sfs_upload *payload; /* lock; NULL when UPLOAD_GONE or closed */
	enum upload_state state;    /* lock */
	uint64_t size_bytes;	    /* lock; of the payload when it was committed */
	bool touched;		    /* lock; something was written or cut */
	int failed;		    /* lock; a write that failed and was not made good since */
	uint64_t failed_offset;	    /* lock; where it was */
	bool sync;		    /* lock; fsync was asked for: the commit is to be durable */
};

struct upload_owner {
	pid_t tid;
	uid_t uid;
	gid_t gid;
	mode_t mode;
};

void drop_init(struct drop *drop);
void drop_fini(struct drop *drop);

/* Makes an upload with one handle; the caller gets a reference. */
int drop_create(struct drop *drop, struct sfs_stream *stream, const char *name,
	const struct upload_owner *owner, struct upload **ret_upload);
/* A reference to what a thread is shown under this name; NULL: nothing. */
struct upload *drop_find(struct drop *drop, uint64_t stream_id, const char *name, pid_t tid);
/* Calls `each` for every upload of a stream, until it returns non-zero, which is the result. */
int drop_each(struct drop *drop, uint64_t stream_id,
	int (*each)(void *context, const struct upload *upload), void *context);

/* Takes it out of its directory; nothing of it is stored. -ENOENT. */
int drop_unlink(struct drop *drop, uint64_t stream_id, const char *name, pid_t tid);
/* Renames; commits one that was held, unless the new name is one to hold. -ENOENT, commit's. */
int drop_rename(struct drop *drop, uint64_t stream_id, const char *from, const char *to, pid_t tid);

/* At the end of the mount: whatever is left. Returns how many there were. */
unsigned drop_discard_all(struct drop *drop);

void upload_ref(struct upload *upload);
void upload_unref(struct upload *upload);
void upload_name(struct upload *upload, char name[UPLOAD_NAME_MAX + 1]);

/* Another handle: -EBUSY while it is open, -ENOENT when it is out of its directory. */
int upload_open(struct upload *upload);
/* Gives a handle back; with the last one it is committed, unless it is held or `discard`. */
int upload_close(struct upload *upload, bool discard);
/* The creator has closed it: commits. With `settle`, its thread can still look it up then. */
int upload_closed_by_creator(struct upload *upload, bool settle);
/* Whether a close by the creator is to commit: there is something, and the name is not held. */
bool upload_wants_commit(struct upload *upload);

/* -EPERM once it is committed. */
int upload_write(struct upload *upload, uint64_t offset, const void *data, size_t bytes);
int upload_read(
	struct upload *upload, uint64_t offset, void *buffer, size_t bytes, size_t *ret_bytes);
int upload_truncate(struct upload *upload, uint64_t size_bytes);
uint64_t upload_size(struct upload *upload);
/* Makes the record durable: now if there is one, else as it is committed. */
int upload_sync(struct upload *upload);

#endif
