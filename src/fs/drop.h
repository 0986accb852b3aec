/* SPDX-License-Identifier: MIT */
/*
 * What is in the drop directories: files on their way to become one record each, under their name
 * as key. An upload is in its directory from its creation to the end of its commit.
 *
 * - It is committed when its creator closes it, at FLUSH, so that close(2) tells the error; else
 *   with its last descriptor. A commit that failed is not tried again: who closed knows. Until it
 *   is done, nobody waits for it but who closed: others are told its size, and cannot change it.
 * - A name of a temporary file of rsync's (".NAME.XXXXXX") is held after the close: rsync sets its
 *   times by path and renames it. The rename commits, under the new name. So is that of an editor's
 *   swap file (".NAME.swp"), which is removed in the end.
 * - install and rsync --inplace set modes and times by path after the close. For the thread that
 *   created, wrote and closed it in one go (as no shell does, which moves descriptors about first)
 *   a committed upload can still be looked up, until that thread creates another one, but for no
 *   longer than a second; what is set has no effect.
 * - Who opens an upload that is open gets one of its own of the same name; they never mix. A
 *   thread sees its own first, others the newest of their user's; root sees all.
 *
 * Thread-safe.
 */
#ifndef FS_DROP_H
#define FS_DROP_H

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "committer.h"
#include "opener.h"

struct sfs_stream;
struct sfs_upload;

enum { UPLOAD_NAME_MAX = 1024 }; /* bytes; the kernel's own limit */

enum upload_state {
	UPLOAD_OPEN,
	UPLOAD_COMMITTING,
	UPLOAD_COMMITTED,
	UPLOAD_GONE, /* unlinked, or its commit failed */
};

RB_HEAD(upload_tree, upload);
TAILQ_HEAD(upload_list, upload);

struct drop {
	pthread_mutex_t lock;
	struct upload_tree tree;    /* holds a reference to each */
	struct upload_list settled; /* committed, for their creators; newest first; likewise */
	unsigned settled_count;
	uint64_t last_ino;
};

struct upload_owner {
	uid_t uid;
	gid_t gid;
	mode_t mode;
};

struct upload {
	struct drop *drop;
	uint64_t ino; /* grows with every upload */
	uint64_t created_ms;
	struct opener creator;
	struct sfs_stream *stream; /* a reference */
	uint64_t stream_id;
	_Atomic uint64_t size_bytes;
	struct commit commit; /* the committer's */

	/* drop.lock */
	RB_ENTRY(upload) by_name;   /* while listed */
	TAILQ_ENTRY(upload) by_age; /* while settled */
	bool listed;		    /* in drop.tree */
	uint64_t settled_ns;	    /* when it came into drop.settled; 0: it is not there */
	unsigned refs;
	unsigned handles;
	struct upload_owner owner;
	char name[UPLOAD_NAME_MAX + 1]; /* stays as it is once it is committing */

	/* Changes under lock and drop.lock; may be read under either. */
	enum upload_state state;

	pthread_mutex_t lock;
	struct sfs_upload *payload; /* lock; the commit's while that runs; NULL when not needed */
	int failed;		    /* lock; a write that failed and was not made good since */
	uint64_t failed_offset;	    /* lock; where it was */
	bool sync;		    /* lock; fsync was asked for: the commit is to be durable */
};

/* Who asks. */
struct drop_caller {
	pid_t thread; /* 0: cannot be seen from here */
	uid_t uid;
};

void drop_init(struct drop *drop);
void drop_fini(struct drop *drop);

/* Makes an upload with one handle; the caller gets a reference. */
int drop_create(struct drop *drop, struct sfs_stream *stream, const char *name,
	const struct opener *creator, const struct upload_owner *owner, struct upload **ret_upload);
/* A reference to what the caller is shown under this name; NULL: nothing. */
struct upload *drop_find(
	struct drop *drop, uint64_t stream_id, const char *name, const struct drop_caller *caller);
/*
 * Calls `each` for every upload of a stream, by name, until it returns non-zero, which is the
 * result.
 */
int drop_each(struct drop *drop, uint64_t stream_id,
	int (*each)(void *context, const struct upload *upload), void *context);

/*
 * Takes it out of its directory; nothing of it is stored. -ENOENT, -EBUSY: it is being committed,
 * or somebody else writes it, neither the caller's process nor the parent of that.
 */
int drop_unlink(
	struct drop *drop, uint64_t stream_id, const char *name, const struct drop_caller *caller);
/*
 * Renames. One that was held is to be committed, unless the new name is one to hold: then
 * `ret_commit` is set as by upload_begin_commit(), else to NULL. -ENOENT; -EBUSY: committing.
 */
int drop_rename(struct drop *drop, uint64_t stream_id, const char *from, const char *to,
	const struct drop_caller *caller, struct upload **ret_commit);

/* At the end of the mount: whatever is left. Returns how many there were. */
unsigned drop_discard_all(struct drop *drop);

void upload_ref(struct upload *upload);
void upload_unref(struct upload *upload);
void upload_name(struct upload *upload, char name[UPLOAD_NAME_MAX + 1]);
void upload_get_owner(struct upload *upload, struct upload_owner *ret_owner);
void upload_set_owner(struct upload *upload, const struct upload_owner *owner);

/* Another handle: -EBUSY while it is open, -ENOENT when it is out of its directory. */
int upload_open(struct upload *upload);
/* Whether upload_open() would do it. */
bool upload_is_free(struct upload *upload);
/*
 * Gives a handle back. True: it was the last one, and the upload is to be committed, as if
 * upload_begin_commit() had said so. It is not if its name is held, or with `discard`.
 */
bool upload_close(struct upload *upload, bool discard);

/* Whether a close by the creator is to commit: it is open, and its name is not held. */
bool upload_wants_commit(struct upload *upload);
/*
 * From now on nobody can change it. True: the caller is the one to call upload_commit(), from any
 * thread, with the reference that it got here. False: it is committed, or on its way, or gone.
 */
bool upload_begin_commit(struct upload *upload);
/*
 * Makes the record; takes as long as it takes. With `settle`, the creator's thread can still look
 * the upload up when it is done. Leaves the reference to the caller.
 */
int upload_commit(struct upload *upload, bool settle);

/* -EPERM once it is being committed. */
int upload_write(struct upload *upload, uint64_t offset, const void *data, size_t bytes);
int upload_read(
	struct upload *upload, uint64_t offset, void *buffer, size_t bytes, size_t *ret_bytes);
int upload_truncate(struct upload *upload, uint64_t size_bytes);
/* Waits for nobody. */
uint64_t upload_size(struct upload *upload);
/* Makes the record durable: now if there is one, else as it is committed. -EBUSY meanwhile. */
int upload_sync(struct upload *upload);

#endif
