/* SPDX-License-Identifier: MIT */
/*
 * Handles: one per open(2) that the kernel was granted. The kernel may send requests of one handle
 * from several threads at once; `lock` guards what says so.
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

struct listing;
struct feed_poll;
struct node;
struct node_table;
struct sfs_blob;
struct sfs_view;
struct sfs_writer;
struct upload;

enum handle_kind {
	HANDLE_SHARD,  /* reads a shard */
	HANDLE_WRITER, /* writes a shard or put, and may read the shard */
	HANDLE_TEXT,   /* a generated file as it was at open; may take settings */
	HANDLE_BLOB,
	HANDLE_UPLOAD,
	HANDLE_VIEW,
	HANDLE_DIR,
};

struct handle {
	LIST_ENTRY(handle) all; /* the list's lock */
	enum handle_kind kind;
	struct node *node; /* a reference */
	int flags;	   /* of open(2) */
	struct opener opener;
	bool cached; /* reads go through the page cache */

	pthread_mutex_t lock;
	struct sfs_writer *writer;  /* lock */
	bool busy;		    /* lock; counted in node->busy */
	_Atomic long long position; /* the kernel's, after the last write */
	bool flushed;		    /* lock; a descriptor of it was closed */
	bool unflushed;		    /* lock; written since a descriptor of it was closed last */
	uint64_t *lock_owners;	    /* lock; who locks through it and has not closed it since */
	size_t lock_owner_count;
	struct listing *listing; /* lock */
	char *text;
	size_t text_bytes;
	struct sfs_blob *blob;
	struct reading reading; /* lock; of a trimmed shard or a view with a size */
	struct sfs_view *view;	/* lock; of a view that is read once through; else NULL */
	bool live;		/* lock; at its end there may be more: wait */
	struct feed_poll *poll; /* lock */
	char *ahead;		/* lock; what a poll has read */
	size_t ahead_at, ahead_bytes;
	int ahead_error;
	struct upload *upload; /* a reference; counted as one of its handles */
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
 * Ends the unfinished line, whose error it returns, and frees. What the room above keeps with the
 * handle, an upload and a feed, must be closed before.
 */
int handle_free(struct handle_list *list, struct handle *handle);
/* Any handle that is still open, NULL when there is none: for the end of the mount. */
struct handle *handle_first(struct handle_list *list);

/*
 * Other handles of the same process for writing the same file that stand at the same position: as
 * many descriptors that look like this handle's are theirs.
 */
unsigned handle_twins(struct handle_list *list, const struct handle *handle);

/*
 * Who sets POSIX locks through this handle. A process gives its own back with any close of the
 * file, of which FLUSH tells; a lock of the open file itself (F_OFD_SETLK) goes with the handle,
 * and only what is kept here tells whose that is. -ENOMEM.
 */
int handle_note_lock_owner(struct handle *handle, uint64_t owner);
void handle_forget_lock_owner(struct handle *handle, uint64_t owner);

/* A writer's handle that has written, or has not since a descriptor of it was closed. */
void handle_set_busy_locked(struct handle *handle, bool busy);

#endif
