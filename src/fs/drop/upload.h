/* SPDX-License-Identifier: MIT */
/*
 * One upload: a file in a drop directory that becomes a record.
 *
 *               upload_begin_commit            upload_commit
 *     OPEN ----------------------> COMMITTING ---------------> COMMITTED
 *       |                              |
 *       | drop_unlink, a discard       | it failed
 *       +--------------> GONE <--------+
 *
 * An upload is in its directory (`listed`) while it is OPEN or COMMITTING.
 *
 * Thread-safe. Lock order: upload.lock, drop.lock.
 */
#ifndef FS_UPLOAD_H
#define FS_UPLOAD_H

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "opener.h"
#include "worker.h"

struct drop;
struct sfs_stream;
struct sfs_upload;
struct upload;

enum { UPLOAD_NAME_MAX = 1024 }; /* bytes; the kernel's own limit */

enum upload_state {
	UPLOAD_OPEN,
	UPLOAD_COMMITTING,
	UPLOAD_COMMITTED,
	UPLOAD_GONE, /* unlinked, or its commit failed */
};

/* The committer's part of an upload. */
struct commit {
	struct work work;
	bool settle;
	void (*done)(void *context, struct upload *upload, int result);
	void *context;
};

struct upload_owner {
	uid_t uid;
	gid_t gid;
	mode_t mode;
};

struct upload {
	struct drop *drop;
	uint64_t number; /* grows with every upload of the mount */
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
	int failed;		    /* lock; of a write that failed and was not repeated since */
	uint64_t failed_offset;	    /* lock; where it was */
	bool sync;		    /* lock; an fsync requires a durable commit */
};

void upload_ref(struct upload *upload);
void upload_unref(struct upload *upload);
void upload_name(struct upload *upload, char name[UPLOAD_NAME_MAX + 1]);
void upload_get_owner(struct upload *upload, struct upload_owner *ret_owner);
void upload_set_owner(struct upload *upload, const struct upload_owner *owner);

/*
 * Whether a name is held: that of a temporary file, which a close does not commit, because a
 * rename is to follow. ".NAME.XXXXXX" is what rsync calls a file until it is complete; ".NAME.swp",
 * ".NAME.swpx", ".NAME.swo" and so on are editors' swap files, which are removed in the end.
 */
bool upload_name_is_held(const char *name);

/* Another handle: -EBUSY while it is open, -ENOENT when it is out of its directory. */
int upload_open(struct upload *upload);
/* Whether upload_open() would succeed. */
bool upload_is_free(struct upload *upload);
/*
 * Gives a handle back. True: it was the last one, and the caller must commit the upload, as after
 * upload_begin_commit(). Never true for a held name, nor with `discard`.
 */
bool upload_close(struct upload *upload, bool discard);

/* Whether the creator's close must commit it: it is UPLOAD_OPEN, and its name is not held. */
bool upload_wants_commit(struct upload *upload);
/*
 * From now on nothing can change it. True: the caller must call upload_commit(), from any thread,
 * with the reference that it gets here. False: it was not UPLOAD_OPEN any more.
 */
bool upload_begin_commit(struct upload *upload);
/*
 * Makes the record. Can take seconds. With `settle`, the creator's thread can still look the upload
 * up afterwards (drop.h). The reference stays the caller's.
 */
int upload_commit(struct upload *upload, bool settle);

/* -EPERM once it is being committed. */
int upload_write(struct upload *upload, uint64_t offset, const void *data, size_t bytes);
int upload_read(
	struct upload *upload, uint64_t offset, void *buffer, size_t bytes, size_t *ret_bytes);
int upload_truncate(struct upload *upload, uint64_t size_bytes);
/* Does not wait, not even for a commit. */
uint64_t upload_size(struct upload *upload);
/* Makes the record durable: now if there is one, else with its commit. -EBUSY while that runs. */
int upload_sync(struct upload *upload);

/* ---- for drop.c: changes of state, under both locks ---- */

void upload_lock_state(struct upload *upload);
void upload_unlock_state(struct upload *upload);
/* As upload_begin_commit(). */
bool upload_begin_commit_locked(struct upload *upload);
/* An open one is GONE. True: the directory's reference is now the caller's. */
bool upload_discard_locked(struct upload *upload);
/* Frees the payload where it is not needed again. */
void upload_release_payload_locked(struct upload *upload);

#endif
