/* SPDX-License-Identifier: MIT */
/*
 * A file in a drop directory becomes one record, with its name as key. The directory shows the file
 * from its creation to the end of its commit.
 *
 * - The creator's close commits an upload, at FLUSH, so that close(2) returns the error. If there
 *   is no such close, the release of the last descriptor commits it. A failed commit is not tried
 *   again. While a commit runs, only that close(2) waits for it. Other processes see the size and
 *   cannot change the file.
 * - A close does not commit a held name (upload_name_is_held()). rsync sets the times of its
 *   temporary file by path and then renames it; the rename commits, under the new name. Editors
 *   remove their swap files in the end.
 * - install and rsync --inplace set modes and times by path after the close. So the thread that
 *   created, wrote and closed a file in one go can still look it up after its commit: a "settled"
 *   upload. It lasts until that thread creates another one, for a second at most. Modes and times
 *   set then have no effect. (Shells get no settled upload: they move descriptors before they
 *   write.)
 * - A process that opens an open upload gets one of its own, with the same name. The two never mix.
 *   A thread sees its own upload first. Other threads see the newest upload of their user. Root
 *   sees the newest of all.
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

/* The process that sent the request. */
struct drop_caller {
	pid_t thread; /* 0: hidden from the daemon */
	uid_t uid;
};

void drop_init(struct drop *drop);
void drop_fini(struct drop *drop);

/* Makes an upload with one handle; the caller gets a reference. */
int drop_create(struct drop *drop, struct sfs_stream *stream, const char *name,
	const struct opener *creator, const struct upload_owner *owner, struct upload **ret_upload);
/* A reference to the upload that the caller sees under this name. NULL: there is none. */
struct upload *drop_find(
	struct drop *drop, uint64_t stream_id, const char *name, const struct drop_caller *caller);
/*
 * Calls `each` for every upload of a stream, by name, until it returns non-zero, which is the
 * result.
 */
int drop_each(struct drop *drop, uint64_t stream_id,
	int (*each)(void *context, const struct upload *upload), void *context);

/*
 * Takes an upload out of its directory; nothing of it is stored. -ENOENT. -EBUSY: it is being
 * committed, or it is open and neither the caller's process nor its parent created it.
 */
int drop_unlink(
	struct drop *drop, uint64_t stream_id, const char *name, const struct drop_caller *caller);
/*
 * Renames. If the old name was held and the new one is not, the caller is to commit `ret_commit`,
 * as after upload_begin_commit(); else that is NULL. -ENOENT. -EBUSY: it is being committed.
 */
int drop_rename(struct drop *drop, uint64_t stream_id, const char *from, const char *to,
	const struct drop_caller *caller, struct upload **ret_commit);

/* At the end of the mount: discards what is left. Returns how many there were. */
unsigned drop_discard_all(struct drop *drop);

/* ---- for upload.c ---- */

/* Takes an upload out of its directory. True: the directory's reference is now the caller's. */
bool drop_unlist_locked(struct upload *upload);
/* Keeps a committed upload for its creator's thread. */
void drop_settle_locked(struct upload *upload);
/* Drops the settled upload of a thread that goes on to another file. */
void drop_forget_settled(struct drop *drop, pid_t thread);

#endif
