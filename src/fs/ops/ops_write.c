/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>

#include "cleanup.h"
#include "generated.h"
#include "ops.h"
#include "reply.h"
#include "streamfs/shard.h"
#include "streamfs/writer.h"
#include "trim_watch.h"
#include "upload.h"

/* The offset is the kernel's guess of the end. The lines go where the store puts them. */
static int write_lines(
	struct handle *handle, const char *data, size_t bytes, off_t offset, size_t *ret_taken)
{
	SCOPED_LOCK(&handle->lock);
	handle_set_busy_locked(handle, true);
	int r = sfs_writer_write(handle->writer.writer, data, bytes, ret_taken);
	if (r == 0)
		atomic_store(&handle->writer.position, offset + (off_t)*ret_taken);
	return r;
}

static void write_durably(
	fuse_req_t req, struct handle *handle, const char *data, size_t bytes, off_t offset)
{
	size_t taken;
	struct sync_reply *reply = sync_reply_new(&fs_of(req)->sync_replies, req);
	if (!reply) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	int r = write_lines(handle, data, bytes, offset, &taken);
	if (r < 0) {
		sync_reply_fail(reply, r);
		return;
	}
	sync_reply_to_write(reply, taken);
	sync_reply_send_durable(reply, handle);
}

/* Nothing is durable yet; an fsync makes the commit durable. */
static int write_upload(
	struct handle *handle, const char *data, size_t bytes, off_t offset, bool durable)
{
	pthread_mutex_lock(&handle->lock);
	handle->upload.unflushed = true;
	pthread_mutex_unlock(&handle->lock);
	int r = upload_write(handle->upload.upload, (uint64_t)offset, data, bytes);
	return r == 0 && durable ? upload_sync(handle->upload.upload) : r;
}

static int write_handle(struct fs *fs, struct handle *handle, const char *data, size_t bytes,
	off_t offset, bool durable, size_t *ret_taken)
{
	int r = -EBADF;
	if (handle->kind == HANDLE_WRITER)
		return write_lines(handle, data, bytes, offset, ret_taken);
	if (handle->kind == HANDLE_UPLOAD)
		r = write_upload(handle, data, bytes, offset, durable);
	else if (handle->kind == HANDLE_TEXT)
		r = generated_patch(&fs->tree, handle->node, data, bytes);
	if (r == 0)
		*ret_taken = bytes;
	return r;
}

void op_write(fuse_req_t req, fuse_ino_t nodeid, const char *data, size_t bytes, off_t offset,
	struct fuse_file_info *fi)
{
	TRACE_REQUEST(req, nodeid);
	struct handle *handle = fs_handle(fi);
	/* fi has the flags that pwritev2(2) and a mount with `sync` add. */
	bool durable = (handle->flags | fi->flags) & O_DSYNC;
	size_t taken;
	if (handle->kind == HANDLE_WRITER && durable) {
		write_durably(req, handle, data, bytes, offset);
		return;
	}
	int r = write_handle(fs_of(req), handle, data, bytes, offset, durable, &taken);
	if (r < 0)
		reply_result(req, r);
	else if (handle->node->id.kind == NODE_TRIM)
		trim_watch_reply(req, taken);
	else
		fuse_reply_write(req, taken);
}

static int sync_handle(struct handle *handle)
{
	switch (handle->kind) {
	case HANDLE_SHARD:
		return sfs_shard_sync(handle->node->id.shard);
	case HANDLE_UPLOAD:
		return upload_sync(handle->upload.upload);
	default:
		return 0; /* settings are durable once written */
	}
}

void op_fsync(fuse_req_t req, fuse_ino_t nodeid, int datasync, struct fuse_file_info *fi)
{
	TRACE_REQUEST(req, nodeid);
	(void)datasync;
	struct handle *handle = fs_handle(fi);
	if (handle->kind != HANDLE_WRITER) {
		reply_result(req, sync_handle(handle));
		return;
	}
	struct sync_reply *reply = sync_reply_new(&fs_of(req)->sync_replies, req);
	if (reply)
		sync_reply_send_durable(reply, handle);
	else
		fuse_reply_err(req, ENOMEM);
}
