/* SPDX-License-Identifier: MIT */
/*
 * The room drop/: what is in the drop directories (drop), each of it (upload), and the threads that
 * make records of it (committer). Uses proc/, util and the store.
 *
 * In the drop directories are files on their way to become one record each, under their name
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
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct opener;
struct sfs_stream;
struct upload;
struct upload_owner;

RB_HEAD(upload_tree, upload);
TAILQ_HEAD(upload_list, upload);

struct drop {
	pthread_mutex_t lock;
	struct upload_tree tree;    /* holds a reference to each */
	struct upload_list settled; /* committed, for their creators; newest first; likewise */
	unsigned settled_count;
	uint64_t last_number;
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

/* ---- for upload.c ---- */

/* Takes an upload out of its directory. True: the directory's reference is now the caller's. */
bool drop_unlist_locked(struct upload *upload);
/* Keeps a committed upload for its creator's thread. */
void drop_settle_locked(struct upload *upload);
/* A thread that goes on to another file is done with what it has closed. */
void drop_forget_settled(struct drop *drop, pid_t thread);

#endif
