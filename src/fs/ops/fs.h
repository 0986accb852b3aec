/* SPDX-License-Identifier: MIT */
/*
 * The state of one mount, which every request finds through fuse_req_userdata().
 *
 * Lock order, outermost first; what is on one line is never held together:
 *   parked_read.lock
 *   handle.lock
 *   view_path.lock
 *   upload.lock
 *   drop.lock
 *   node_table.lock, handle_list.lock, followers, intents, notifier, committer, lock_waits.lock,
 *   sync_replies.lock, feeds.lock
 * The store is called with no lock but a handle's or an upload's; nothing is held over a reply.
 */
#ifndef FS_FS_H
#define FS_FS_H

#include <fuse_lowlevel.h>
#include <inttypes.h>

#include "feeds.h"
#include "lock_waits.h"
#include "sync_reply.h"
#include "trace.h"
#include "tree.h"

struct committer;
struct fs_options;
struct lock_table;
struct notifier;

struct fs {
	const struct fs_options *options;
	struct fuse_session *session;
	struct tree tree;
	struct lock_table *locks;
	struct lock_waits lock_waits;
	struct feeds feeds;
	struct sync_replies sync_replies;
	struct notifier *notifier;
	struct committer *committer;
};

static inline struct fs *fs_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

static inline struct node *fs_node(struct fs *fs, fuse_ino_t nodeid)
{
	return node_of(&fs->tree.nodes, nodeid);
}

/* One line for each request as it arrives: the first statement of an operation op_NAME(). */
#define TRACE_REQUEST(req, nodeid)                                                                 \
	TRACE(request, "%s: inode %#" PRIx64 ", thread %d", __func__ + sizeof("op_") - 1,          \
		fs_node(fs_of(req), nodeid)->id.ino, (int)fuse_req_ctx(req)->pid)

static inline struct handle *fs_handle(const struct fuse_file_info *fi)
{
	return (struct handle *)(uintptr_t)fi->fh;
}

#endif
