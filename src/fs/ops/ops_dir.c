/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "attr.h"
#include "checkpoint.h"
#include "cleanup.h"
#include "committer.h"
#include "consumer_dir.h"
#include "ino.h"
#include "intent.h"
#include "listing.h"
#include "lock.h"
#include "node_reply.h"
#include "ops.h"
#include "reply.h"
#include "streamfs/consumer.h"
#include "streamfs/store.h"
#include "streamfs/stream.h"

void op_opendir(fuse_req_t req, fuse_ino_t nodeid, struct fuse_file_info *fi)
{
	TRACE_REQUEST(req, nodeid);
	struct fs *fs = fs_of(req);
	struct handle *handle = handle_new(&fs->tree.handles, HANDLE_DIR, fs_node(fs, nodeid),
		fi->flags, fuse_req_ctx(req)->pid);
	if (!handle) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	fi->fh = (uintptr_t)handle;
	if (fuse_reply_open(req, fi) != 0)
		close_handle(fs, handle, false);
}

/* At its start a directory is read anew: rewinddir(3) shows changes. */
static int refresh_locked(struct fs *fs, struct handle *handle, off_t offset)
{
	struct listing *listing;
	ASSERT_LOCKED(&handle->lock);
	if (offset > 0 && handle->listing)
		return 0;
	int r = listing_read(&fs->tree, handle->node, &listing);
	if (r < 0)
		return r;
	listing_free(handle->listing);
	handle->listing = listing;
	return 0;
}

static size_t pack_locked(
	fuse_req_t req, const struct handle *handle, size_t first, char *buffer, size_t bytes)
{
	const struct listing *listing = handle->listing;
	size_t used = 0;
	ASSERT_LOCKED(&handle->lock);
	for (size_t i = first; i < listing->count; i++) {
		const struct listing_entry *entry = &listing->items[i];
		struct stat attr = {.st_ino = entry->ino, .st_mode = entry->type};
		size_t n = fuse_add_direntry(
			req, buffer + used, bytes - used, entry->name, &attr, (off_t)i + 1);
		if (n > bytes - used)
			break;
		used += n;
	}
	return used;
}

void op_readdir(
	fuse_req_t req, fuse_ino_t nodeid, size_t bytes, off_t offset, struct fuse_file_info *fi)
{
	TRACE_REQUEST(req, nodeid);
	struct handle *handle = fs_handle(fi);
	size_t used = 0;
	_cleanup_free_ char *buffer = malloc(bytes);
	int r = buffer ? 0 : -ENOMEM;
	if (r == 0) {
		SCOPED_LOCK(&handle->lock);
		r = refresh_locked(fs_of(req), handle, offset);
		if (r == 0)
			used = pack_locked(req, handle, (size_t)offset, buffer, bytes);
	}
	if (r < 0)
		reply_result(req, r);
	else
		fuse_reply_buf(req, buffer, used);
}

void op_releasedir(fuse_req_t req, fuse_ino_t nodeid, struct fuse_file_info *fi)
{
	TRACE_REQUEST(req, nodeid);
	close_handle(fs_of(req), fs_handle(fi), false);
	fuse_reply_err(req, 0);
}

/* What changes a directory is durable before it is answered. */
void op_fsyncdir(fuse_req_t req, fuse_ino_t nodeid, int datasync, struct fuse_file_info *fi)
{
	TRACE_REQUEST(req, nodeid);
	(void)datasync;
	(void)fi;
	fuse_reply_err(req, 0);
}

static int make_stream(struct fs *fs, const char *name, const struct fuse_ctx *ctx, mode_t mode,
	struct node_identity *ret_id)
{
	struct node_identity id = {.kind = NODE_STREAM};
	struct sfs_owner owner = {.mode = mode & 07777, .uid = ctx->uid, .gid = ctx->gid};
	int r = sfs_stream_create(fs->tree.store, name, &owner, &id.stream);
	if (r < 0)
		return r;
	tree_root_changed(&fs->tree);
	id.ino = ino_file(id.stream, INO_LOCAL_DIR);
	*ret_id = id;
	return 0;
}

static int make_directory(fuse_req_t req, struct node *dir, const char *name, mode_t mode,
	struct node **ret_node, struct stat *ret_attr)
{
	struct fs *fs = fs_of(req);
	_cleanup_(node_identity_fini) struct node_identity id = {0};
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	struct node *node;
	int r = -EPERM;
	if (dir->id.kind == NODE_ROOT)
		r = make_stream(fs, name, ctx, mode, &id);
	else if (dir->id.kind == NODE_CONSUMERS)
		r = consumer_dir_make(&fs->tree, dir, name, ctx->pid, &id);
	if (r == 0)
		r = node_enter(&fs->tree.nodes, &id, &node);
	if (r < 0)
		return r;
	r = attr_fill(&fs->tree, node, ret_attr);
	if (r < 0) {
		node_forget(&fs->tree.nodes, node, 1);
		return r;
	}
	*ret_node = node;
	return 0;
}

void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	TRACE_REQUEST(req, parent);
	struct node *node;
	struct stat attr;
	int r = make_directory(req, fs_node(fs_of(req), parent), name, mode, &node, &attr);
	if (r < 0)
		reply_result(req, r);
	else
		node_reply_entry(req, node, &attr);
}

void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	TRACE_REQUEST(req, parent);
	struct fs *fs = fs_of(req);
	struct node *dir = fs_node(fs, parent);
	bool is_stream = dir->id.kind == NODE_ROOT && sfs_stream_name_valid(name);
	int r = -EPERM;
	if (is_stream)
		r = sfs_stream_remove(fs->tree.store, name);
	else if (dir->id.kind == NODE_CONSUMERS)
		r = sfs_consumer_remove(dir->id.stream, name);
	if (r == 0 && is_stream)
		tree_root_changed(&fs->tree);
	reply_result(req, r);
}

/*
 * What another process writes does not exist for one that would remove it: mv and install go on and
 * create their own.
 */
static int unlink_upload(
	struct fs *fs, struct node *dir, const char *name, const struct fuse_ctx *ctx)
{
	struct drop_caller caller = {ctx->pid, ctx->uid};
	uint64_t stream_id = sfs_stream_id(dir->id.stream);
	int r = drop_unlink(&fs->tree.drop, stream_id, name, &caller);
	if (r != -EBUSY)
		return r;
	intent_note(fs->tree.intents, ctx->pid, ino_upload_name(stream_id, name), INTENT_CREATE);
	return -ENOENT;
}

void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	TRACE_REQUEST(req, parent);
	struct fs *fs = fs_of(req);
	struct node *dir = fs_node(fs, parent);
	int r = -EPERM;
	if (dir->id.kind == NODE_DROP)
		r = unlink_upload(fs, dir, name, fuse_req_ctx(req));
	else if (dir->id.kind == NODE_CONSUMER)
		r = checkpoint_forget(dir, name);
	reply_result(req, r);
}

/* rename(2) onto a directory: it may replace an empty one, which no stream ever is. */
static int rename_stream(struct fs *fs, const char *name, const char *to, unsigned flags)
{
	if (!sfs_stream_name_valid(name))
		return -EPERM;
	int r = sfs_stream_rename(fs->tree.store, name, to);
	if (r == -EEXIST && !(flags & RENAME_NOREPLACE))
		return -ENOTEMPTY;
	if (r == 0)
		tree_root_changed(&fs->tree);
	return r;
}

static int rename_node(struct fs *fs, struct node *dir, const char *name, struct node *to_dir,
	const char *to, unsigned flags, const struct fuse_ctx *ctx, struct upload **ret_commit)
{
	struct drop_caller caller = {ctx->pid, ctx->uid};
	if (flags & ~(unsigned)RENAME_NOREPLACE)
		return -EINVAL;
	if (dir != to_dir)
		return -EPERM;
	if (dir->id.kind == NODE_ROOT)
		return rename_stream(fs, name, to, flags);
	if (dir->id.kind == NODE_DROP)
		return drop_rename(&fs->tree.drop, sfs_stream_id(dir->id.stream), name, to, &caller,
			ret_commit);
	if (dir->id.kind == NODE_CONSUMERS)
		return consumer_dir_rename(dir, name, to, flags & RENAME_NOREPLACE);
	return -EPERM;
}

static void rename_done(void *context, struct upload *upload, int result)
{
	(void)upload;
	reply_result(context, result);
}

void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t to_parent,
	const char *to, unsigned flags)
{
	TRACE_REQUEST(req, parent);
	struct fs *fs = fs_of(req);
	struct upload *commit = NULL;
	int r = rename_node(fs, fs_node(fs, parent), name, fs_node(fs, to_parent), to, flags,
		fuse_req_ctx(req), &commit);
	if (r == 0 && commit)
		committer_submit(fs->committer, commit, false, rename_done, req);
	else
		reply_result(req, r);
}

void op_link(fuse_req_t req, fuse_ino_t nodeid, fuse_ino_t to_parent, const char *to)
{
	TRACE_REQUEST(req, nodeid);
	(void)to_parent;
	(void)to;
	fuse_reply_err(req, EPERM);
}

void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	TRACE_REQUEST(req, parent);
	(void)target;
	(void)parent;
	(void)name;
	fuse_reply_err(req, EPERM);
}

void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t device)
{
	TRACE_REQUEST(req, parent);
	(void)name;
	(void)mode;
	(void)device;
	fuse_reply_err(req, EPERM);
}
