/* SPDX-License-Identifier: MIT */
#include <linux/fuse.h>
#include <string.h>
#include <unistd.h>

#include "attr.h"
#include "checkpoint.h"
#include "cleanup.h"
#include "feed.h"
#include "generated.h"
#include "ino.h"
#include "intent.h"
#include "node_reply.h"
#include "opener.h"
#include "ops.h"
#include "reply.h"
#include "streamfs/blob.h"
#include "streamfs/shard.h"
#include "streamfs/stream.h"
#include "streamfs/writer.h"
#include "upload.h"
#include "view_path.h"

enum { CACHED_TRIES = 10, CACHED_PAUSE_US = 2000 };

struct opening {
	struct fs *fs;
	struct node *node;
	int flags;
	pid_t tid;
};

static bool wants_write(const struct opening *o)
{
	return (o->flags & O_ACCMODE) != O_RDONLY;
}

static bool wants_read(const struct opening *o)
{
	return (o->flags & O_ACCMODE) != O_WRONLY;
}

static int make_handle(const struct opening *o, enum handle_kind kind, struct handle **ret_handle)
{
	struct handle *handle = handle_new(&o->fs->tree.handles, kind, o->node, o->flags, o->tid);
	if (!handle)
		return -ENOMEM;
	*ret_handle = handle;
	return 0;
}

/* A short read is an end to the page cache, so what can be read short must not go through it. */
static bool can_be_cached(struct sfs_shard *shard)
{
	struct sfs_shard_extent extent;
	sfs_shard_extent(shard, &extent);
	return extent.horizon_offset == 0 && extent.quarantined_bytes == 0;
}

static int open_reader(const struct opening *o, struct handle **ret_handle)
{
	intent_note(o->fs->tree.intents, o->tid, o->node->id.ino, INTENT_UNKNOWN);
	int r = make_handle(o, HANDLE_SHARD, ret_handle);
	if (r == 0)
		(*ret_handle)->shard.cached = can_be_cached(o->node->id.shard) &&
					      node_enter_cache(&o->fs->tree.nodes, o->node);
	return r;
}

static int make_writer(
	const struct opening *o, struct sfs_writer *writer, struct handle **ret_handle)
{
	int r = make_handle(o, HANDLE_WRITER, ret_handle);
	if (r < 0) {
		sfs_writer_close(writer);
		return r;
	}
	(*ret_handle)->writer.writer = writer;
	SCOPED_LOCK(&(*ret_handle)->lock);
	handle_set_busy_locked(*ret_handle, true);
	return 0;
}

static int open_writer(const struct opening *o, struct handle **ret_handle)
{
	struct sfs_writer *writer;
	struct sfs_shard *shard = o->node->id.shard;
	int r = shard ? sfs_writer_open_shard(shard, &writer)
		      : sfs_writer_open_put(o->node->id.stream, &writer);
	return r < 0 ? r : make_writer(o, writer, ret_handle);
}

/*
 * The kernel does not look the name up again: the file is bind-mounted by itself, or opened anew by
 * /proc/self/fd. Then the readers' node is written, if no handle reads it through the page cache. A
 * handle that was just closed may still be on its way out.
 */
static int open_without_lookup(const struct opening *o, struct handle **ret_handle)
{
	for (int i = 0; i < CACHED_TRIES; i++) {
		if (node_make_direct(&o->fs->tree.nodes, o->node))
			return open_writer(o, ret_handle);
		usleep(CACHED_PAUSE_US);
	}
	return -ESTALE;
}

/* ESTALE makes the kernel look the name up again, in this thread, whose intent is known by then. */
static int open_shard(const struct opening *o, struct handle **ret_handle)
{
	if (!wants_write(o))
		return open_reader(o, ret_handle);
	if (!(o->flags & O_APPEND))
		return -EPERM;
	if (o->tid == 0)
		return open_without_lookup(o, ret_handle);
	enum intent before =
		intent_note(o->fs->tree.intents, o->tid, o->node->id.ino, INTENT_WRITE);
	return before == INTENT_WRITE ? open_without_lookup(o, ret_handle) : -ESTALE;
}

/* It is read by way of /proc/self/fd, where no other lookup leads to the readers' node. */
static int open_shard_writer(const struct opening *o, struct handle **ret_handle)
{
	enum intent intent = wants_write(o) ? INTENT_WRITE : INTENT_READ;
	enum intent before = INTENT_UNKNOWN;
	if (wants_write(o) && !(o->flags & O_APPEND))
		return -EPERM;
	if (o->tid != 0)
		before = intent_note(o->fs->tree.intents, o->tid, o->node->id.ino, intent);
	if (wants_write(o))
		return open_writer(o, ret_handle);
	return before == INTENT_WRITE ? -ESTALE : make_handle(o, HANDLE_SHARD, ret_handle);
}

static int open_key_writer(const struct opening *o, struct handle **ret_handle)
{
	const struct view_path *path = o->node->id.view_path;
	struct sfs_writer *writer;
	if (!view_path_is_writable(path) || wants_read(o))
		return -EACCES;
	int r = sfs_writer_open_key(o->node->id.stream, path->key, path->key_bytes, &writer);
	return r < 0 ? r : make_writer(o, writer, ret_handle);
}

static int open_feed(
	const struct opening *o, const struct view_path *path, struct handle **ret_handle)
{
	struct feed *feed;
	int r = feed_open(path, o->node->id.stream, &feed);
	if (r < 0)
		return r;
	r = make_handle(o, HANDLE_FEED, ret_handle);
	if (r < 0) {
		feed_close(feed);
		return r;
	}
	(*ret_handle)->feed = feed;
	return 0;
}

static int open_view(const struct opening *o, struct handle **ret_handle)
{
	const struct view_path *path = o->node->id.view_path;
	if (wants_write(o))
		return open_key_writer(o, ret_handle);
	return view_path_has_size(path) ? make_handle(o, HANDLE_VIEW, ret_handle)
					: open_feed(o, path, ret_handle);
}

static int open_text(const struct opening *o, struct handle **ret_handle)
{
	_cleanup_free_ char *text = NULL;
	size_t bytes = 0;
	int r = 0;
	if (wants_write(o) && !generated_is_setting(o->node->id.kind))
		return -EACCES;
	if (wants_read(o))
		r = generated_render(&o->fs->tree, o->node, &text, &bytes);
	if (r < 0)
		return r;
	struct handle *handle =
		handle_new(&o->fs->tree.handles, HANDLE_TEXT, o->node, o->flags, o->tid);
	if (!handle)
		return -ENOMEM;
	handle->text.text = text;
	handle->text.bytes = bytes;
	text = NULL;
	*ret_handle = handle;
	return 0;
}

static int open_blob(const struct opening *o, struct handle **ret_handle)
{
	struct sfs_blob *blob;
	if (wants_write(o))
		return -EACCES;
	int r = sfs_blob_open(o->node->id.stream, o->node->id.digest, &blob);
	if (r < 0)
		return r;
	r = make_handle(o, HANDLE_BLOB, ret_handle);
	if (r < 0) {
		sfs_blob_close(blob);
		return r;
	}
	(*ret_handle)->blob = blob;
	return 0;
}

/* One that is open or committed is not shared: the repeated lookup finds nothing, and creates. */
static int open_upload(const struct opening *o, struct handle **ret_handle)
{
	char name[UPLOAD_NAME_MAX + 1];
	struct upload *upload = o->node->id.upload;
	if (!wants_write(o))
		return -EACCES;
	int r = upload_open(upload);
	if (r < 0) {
		upload_name(upload, name);
		uint64_t key = ino_upload_name(sfs_stream_id(o->node->id.stream), name);
		intent_note(o->fs->tree.intents, o->tid, key, INTENT_CREATE);
		return -ESTALE;
	}
	r = make_handle(o, HANDLE_UPLOAD, ret_handle);
	if (r < 0) {
		upload_close(upload, true);
		return r;
	}
	(*ret_handle)->upload.upload = upload;
	return 0;
}

static int open_node(const struct opening *o, struct handle **ret_handle)
{
	switch (o->node->id.kind) {
	case NODE_SHARD:
		return open_shard(o, ret_handle);
	case NODE_SHARD_WRITER:
		return open_shard_writer(o, ret_handle);
	case NODE_PUT:
		return wants_read(o) ? -EACCES : open_writer(o, ret_handle);
	case NODE_UPLOAD:
		return open_upload(o, ret_handle);
	case NODE_BLOB:
		return open_blob(o, ret_handle);
	case NODE_VIEW:
		return open_view(o, ret_handle);
	case NODE_README:
	case NODE_VERSION:
	case NODE_METRICS:
	case NODE_DEFAULTS:
	case NODE_CONFIG:
	case NODE_STATS:
	case NODE_CHECKPOINT:
	case NODE_TRIM:
		return open_text(o, ret_handle);
	default:
		return -EISDIR;
	}
}

static void describe(const struct handle *handle, struct fuse_file_info *fi)
{
	fi->fh = (uintptr_t)handle;
	fi->keep_cache = handle_is_cached(handle);
	fi->direct_io = !fi->keep_cache;
}

/*
 * A feed is a stream (FOPEN_STREAM), a flag that libfuse does not know. Without it the kernel lets
 * the readers of one descriptor in one by one, and one that stands behind a reader that waits
 * cannot even be killed.
 */
static int reply_feed(fuse_req_t req, const struct fuse_file_info *fi)
{
	struct fuse_open_out out = {
		.fh = fi->fh,
		.open_flags = FOPEN_DIRECT_IO | FOPEN_NONSEEKABLE | FOPEN_STREAM,
	};
	const struct iovec iov = {&out, sizeof(out)};
	return fuse_reply_iov(req, &iov, 1);
}

void op_open(fuse_req_t req, fuse_ino_t nodeid, struct fuse_file_info *fi)
{
	TRACE_REQUEST(req, nodeid);
	struct fs *fs = fs_of(req);
	struct opening opening = {fs, fs_node(fs, nodeid), fi->flags, fuse_req_ctx(req)->pid};
	struct handle *handle;
	int r = open_node(&opening, &handle);
	if (r < 0) {
		reply_result(req, r);
		return;
	}
	describe(handle, fi);
	r = handle->kind == HANDLE_FEED ? reply_feed(req, fi) : fuse_reply_open(req, fi);
	if (r != 0)
		close_handle(fs, handle, true);
}

static int enter_upload(
	struct fs *fs, struct node *dir, struct upload *upload, struct node **ret_node)
{
	_cleanup_(node_identity_fini) struct node_identity id = {
		.kind = NODE_UPLOAD,
		.ino = ino_upload(upload->number),
		.stream = sfs_stream_ref(dir->id.stream),
		.upload = upload,
	};
	upload_ref(upload);
	return node_enter(&fs->tree.nodes, &id, ret_node);
}

/* cp -r, in a consumer that it has made. */
static int create_checkpoint(fuse_req_t req, struct node *dir, const char *name, int flags,
	struct node **ret_node, struct handle **ret_handle)
{
	struct fs *fs = fs_of(req);
	_cleanup_(node_identity_fini) struct node_identity id = {0};
	struct opening o = {fs, NULL, flags, fuse_req_ctx(req)->pid};
	int r = checkpoint_create(&fs->tree, dir, name, o.tid, &id);
	if (r == 0)
		r = node_enter(&fs->tree.nodes, &id, &o.node);
	if (r < 0)
		return r;
	r = open_text(&o, ret_handle);
	if (r < 0) {
		node_forget(&fs->tree.nodes, o.node, 1);
		return r;
	}
	*ret_node = o.node;
	return 0;
}

static int create(fuse_req_t req, struct node *dir, const char *name, mode_t mode, int flags,
	struct node **ret_node, struct handle **ret_handle)
{
	struct fs *fs = fs_of(req);
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	struct opener creator = opener_of(ctx->pid);
	struct upload_owner owner = {ctx->uid, ctx->gid, mode};
	struct upload *upload;
	struct node *node;
	if (dir->id.kind == NODE_CONSUMER)
		return create_checkpoint(req, dir, name, flags, ret_node, ret_handle);
	if (dir->id.kind != NODE_DROP)
		return -EPERM;
	uint64_t key = ino_upload_name(sfs_stream_id(dir->id.stream), name);
	intent_note(fs->tree.intents, ctx->pid, key, INTENT_UNKNOWN);
	int r = drop_create(&fs->tree.drop, dir->id.stream, name, &creator, &owner, &upload);
	if (r < 0)
		return r;
	r = enter_upload(fs, dir, upload, &node);
	if (r < 0) {
		upload_close(upload, true);
		return r;
	}
	*ret_handle = handle_new(&fs->tree.handles, HANDLE_UPLOAD, node, flags, ctx->pid);
	if (!*ret_handle) {
		node_forget(&fs->tree.nodes, node, 1);
		upload_close(upload, true);
		return -ENOMEM;
	}
	(*ret_handle)->upload.upload = upload;
	*ret_node = node;
	return 0;
}

/* Takes back what create() gave: the kernel never had it. */
static void drop_created(struct fs *fs, struct node *node, struct handle *handle)
{
	close_handle(fs, handle, true);
	node_forget(&fs->tree.nodes, node, 1);
}

void op_create(
	fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *fi)
{
	TRACE_REQUEST(req, parent);
	struct fs *fs = fs_of(req);
	struct stat attr;
	struct handle *handle;
	struct node *node;
	int r = create(req, fs_node(fs, parent), name, mode, fi->flags, &node, &handle);
	if (r < 0) {
		reply_result(req, r);
		return;
	}
	r = attr_fill(&fs->tree, node, &attr);
	if (r < 0) {
		drop_created(fs, node, handle);
		reply_result(req, r);
		return;
	}
	struct fuse_entry_param entry = node_reply_param(fs, node, &attr);
	describe(handle, fi);
	if (fuse_reply_create(req, &entry, fi) != 0)
		drop_created(fs, node, handle);
}
