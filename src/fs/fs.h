/* SPDX-License-Identifier: MIT */
/*
 * The state of one mount, which every request finds through fuse_req_userdata().
 *
 * Lock order, outermost first; what is on one line is never held together:
 *   live_read.lock
 *   handle.lock
 *   place.lock
 *   upload.lock
 *   drop.lock
 *   node_table.lock, handle_list.lock, followers, intents, notifier, committer, lock waits,
 *   parked.lock
 * The store is called with no lock but a handle's or an upload's; nothing is held over a reply.
 */
#ifndef FS_FS_H
#define FS_FS_H

#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>

#include "committer.h"
#include "drop.h"
#include "handle.h"
#include "intent.h"
#include "live.h"
#include "locks.h"
#include "node.h"
#include "streamfs/store.h"

struct fs_options;
struct notifier;

/* Requests that wait for an advisory lock; ops_lock.c. */
struct lock_waits {
	pthread_mutex_t lock;
	LIST_HEAD(, lock_wait) all;
};

/* Requests that wait for the store, which the session must outlive. */
struct parked {
	pthread_mutex_t lock;
	pthread_cond_t none;
	unsigned count;
};

struct fs {
	struct sfs_store *store;
	const struct fs_options *options;
	struct fuse_session *session;
	struct node_table nodes;
	struct handle_list handles;
	struct drop drop;
	struct intent_table *intents;
	struct lock_table *locks;
	struct lock_waits lock_waits;
	struct live_reads live;
	struct notifier *notifier;
	struct committer *committer;
	struct parked parked;
	uint64_t mounted_ms;
	_Atomic uint64_t root_changed_ms; /* when a stream came, went or was renamed */
};

static inline struct fs *fs_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

static inline struct node *fs_node(struct fs *fs, fuse_ino_t nodeid)
{
	return node_of(&fs->nodes, nodeid);
}

static inline struct handle *fs_handle(const struct fuse_file_info *fi)
{
	return (struct handle *)(uintptr_t)fi->fh;
}

#endif
