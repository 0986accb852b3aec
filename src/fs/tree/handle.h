/* SPDX-License-Identifier: MIT */
/*
 * Handles: one per open(2) that the kernel was granted. The kernel may send requests of one handle
 * from several threads at once; `lock` guards the fields that name it.
 *
 * Invariants:
 *   1. A handle keeps a reference to its node until it is freed.
 *   2. Its kind never changes, and of the union only the member of the kind is used.
 *   3. A writer's handle is counted in node->busy if and only if it is busy.
 *   4. A shard's handle that is cached is counted in node->cached.
 *   5. An upload's handle is counted in upload->handles until close_handle().
 */
#ifndef FS_HANDLE_H
#define FS_HANDLE_H

#include <bsd/sys/queue.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "opener.h"
#include "reading.h"
#include "vector.h"

struct feed;
struct listing;
struct node;
struct node_table;
struct sfs_blob;
struct sfs_writer;
struct upload;

enum handle_kind {
	HANDLE_SHARD,  /* reads a shard */
	HANDLE_WRITER, /* writes a shard, put or a key, and may read the shard */
	HANDLE_TEXT,   /* a generated file as it was at open; may take settings */
	HANDLE_BLOB,
	HANDLE_UPLOAD,
	HANDLE_VIEW, /* a view that has a size: its node reads it for all */
	HANDLE_FEED, /* a view that is read once through */
	HANDLE_DIR,
};

struct shard_handle {
	bool cached;		/* reads go through the page cache; for good */
	struct reading reading; /* lock; where it is not cached */
};

struct writer_handle {
	struct opener opener;
	struct sfs_writer *writer;  /* lock */
	bool busy;		    /* lock; counted in node->busy */
	_Atomic long long position; /* the kernel's, after the last write */
	struct reading reading;	    /* lock; of the shard */
};

struct text_handle {
	char *text; /* NULL: not opened for reading */
	size_t bytes;
};

struct upload_handle {
	struct opener opener;
	struct upload *upload; /* a reference; counted as one of its handles */
	bool flushed;	       /* lock; a descriptor of it was closed */
	bool unflushed;	       /* lock; written since a descriptor of it was closed last */
};

struct handle {
	LIST_ENTRY(handle) all; /* the list's lock */
	enum handle_kind kind;
	struct node *node; /* a reference */
	int flags;	   /* of open(2) */

	pthread_mutex_t lock;
	VECTOR(, uint64_t) lock_owners; /* lock; of POSIX locks, not given back by a close since */
	atomic_bool lock_noted;		/* there was ever one in lock_owners */

	union { /* by kind */
		struct shard_handle shard;
		struct writer_handle writer;
		struct text_handle text;
		struct sfs_blob *blob;
		struct upload_handle upload;
		struct reading view;	 /* lock */
		struct feed *feed;	 /* live/ */
		struct listing *listing; /* lock; HANDLE_DIR; NULL before the first read */
	};
};

struct handle_list {
	pthread_mutex_t lock;
	LIST_HEAD(, handle) all;
	struct node_table *nodes;
};

void handle_list_init(struct handle_list *list, struct node_table *nodes);
void handle_list_fini(struct handle_list *list); /* an empty one */
/* NULL: out of memory. Takes a reference to the node. */
struct handle *handle_new(struct handle_list *list, enum handle_kind kind, struct node *node,
	int flags, pid_t opener);
/*
 * Frees a handle. Of a writer's it ends the unfinished line, and returns the error of that. An
 * upload, a feed and a listing must be closed before.
 */
int handle_free(struct handle_list *list, struct handle *handle);

/* Its reads go through the page cache. */
bool handle_is_cached(const struct handle *handle);
/* Any handle that is still open, NULL when there is none: for the end of the mount. */
struct handle *handle_first(struct handle_list *list);

/*
 * How many other handles there are by which the same process writes the same file, at the same
 * position. /proc shows their descriptors like those of this handle.
 */
unsigned handle_twins(struct handle_list *list, const struct handle *handle);

/*
 * Notes that `owner` sets a POSIX lock through this handle, and forgets it. A process gives its
 * locks back with any close of the file, which FLUSH reports. A lock of the open file itself
 * (F_OFD_SETLK) goes with the handle, and nothing but this note has its owner. -ENOMEM.
 */
int handle_note_lock_owner(struct handle *handle, uint64_t owner);
void handle_forget_lock_owner(struct handle *handle, uint64_t owner);

/* A writer's handle is busy from a write to the next close of one of its descriptors. */
void handle_set_busy_locked(struct handle *handle, bool busy);

#endif
