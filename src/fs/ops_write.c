/* SPDX-License-Identifier: MIT */
#include "cleanup.h"
#include "errors.h"
#include "generated.h"
#include "ops.h"
#include "streamfs/writer.h"
#include "trims.h"

/*
 * A request that is answered when a writer's records are durable. The store may say so before
 * sfs_writer_sync() returns, while the handle is still locked, so the later of the two, the
 * store's word and the return, answers.
 */
struct sync_wait {
	fuse_req_t req;
	bool write; /* answers a write of so many bytes, else an fsync */
	size_t bytes;
	int result;
	atomic_bool one_came;
};

static void parked_add(struct parked *parked)
{
	SCOPED_LOCK(&parked->lock);
	parked->count++;
}

static void parked_remove(struct parked *parked)
{
	SCOPED_LOCK(&parked->lock);
	if (--parked->count == 0)
		pthread_cond_broadcast(&parked->none);
}

static void sync_reply(struct sync_wait *wait)
{
	struct parked *parked = &fs_of(wait->req)->parked;
	if (wait->result < 0)
		fuse_reply_err(wait->req, fs_errno(wait->result));
	else if (wait->write)
		fuse_reply_write(wait->req, wait->bytes);
	else
		fuse_reply_err(wait->req, 0);
	free(wait);
	parked_remove(parked);
}

static void sync_arrived(struct sync_wait *wait)
{
	if (atomic_exchange(&wait->one_came, true))
		sync_reply(wait);
}

static void sync_done(void *context, int result)
{
	struct sync_wait *wait = context;
	wait->result = result;
	sync_arrived(wait);
}

static struct sync_wait *sync_wait_new(fuse_req_t req)
{
	struct sync_wait *wait = calloc(1, sizeof(*wait));
	if (!wait)
		return NULL;
	wait->req = req;
	parked_add(&fs_of(req)->parked);
	return wait;
}

static void sync_wait_start(struct sync_wait *wait, struct handle *handle)
{
	pthread_mutex_lock(&handle->lock);
	sfs_writer_sync(handle->writer, sync_done, wait);
	pthread_mutex_unlock(&handle->lock);
	sync_arrived(wait);
}

/* Where the kernel takes the end to be says nothing about where the lines go. */
static int write_lines(
	struct handle *handle, const char *data, size_t bytes, off_t offset, size_t *ret_taken)
{
	SCOPED_LOCK(&handle->lock);
	handle_set_busy_locked(handle, true);
	int r = sfs_writer_write(handle->writer, data, bytes, ret_taken);
	if (r == 0)
		atomic_store(&handle->position, offset + (off_t)*ret_taken);
	return r;
}

static void write_durably(
	fuse_req_t req, struct handle *handle, const char *data, size_t bytes, off_t offset)
{
	struct sync_wait *wait = sync_wait_new(req);
	if (!wait) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	wait->write = true;
	int r = write_lines(handle, data, bytes, offset, &wait->bytes);
	if (r == 0) {
		sync_wait_start(wait, handle);
		return;
	}
	wait->result = r;
	sync_reply(wait);
}

/* Nothing is to last yet, but the record that it will be. */
static int write_upload(
	struct handle *handle, const char *data, size_t bytes, off_t offset, bool durable)
{
	pthread_mutex_lock(&handle->lock);
	handle->unflushed = true;
	pthread_mutex_unlock(&handle->lock);
	int r = upload_write(handle->upload, (uint64_t)offset, data, bytes);
	return r == 0 && durable ? upload_sync(handle->upload) : r;
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
		r = generated_patch(fs, handle->node, data, bytes);
	if (r == 0)
		*ret_taken = bytes;
	return r;
}

void op_write(fuse_req_t req, fuse_ino_t nodeid, const char *data, size_t bytes, off_t offset,
	struct fuse_file_info *fi)
{
	(void)nodeid;
	struct handle *handle = fs_handle(fi);
	/* The latter has what pwritev2(2) and a mount with `sync` add. */
	bool durable = (handle->flags | fi->flags) & O_DSYNC;
	size_t taken;
	if (handle->kind == HANDLE_WRITER && durable) {
		write_durably(req, handle, data, bytes, offset);
		return;
	}
	int r = write_handle(fs_of(req), handle, data, bytes, offset, durable, &taken);
	if (r < 0)
		fuse_reply_err(req, fs_errno(r));
	else if (handle->node->id.kind == NODE_TRIM)
		trims_reply(req, taken);
	else
		fuse_reply_write(req, taken);
}

static int sync_handle(struct handle *handle)
{
	switch (handle->kind) {
	case HANDLE_SHARD:
		return sfs_shard_sync(handle->node->id.shard);
	case HANDLE_UPLOAD:
		return upload_sync(handle->upload);
	default:
		return 0; /* settings are durable once written */
	}
}

void op_fsync(fuse_req_t req, fuse_ino_t nodeid, int datasync, struct fuse_file_info *fi)
{
	(void)nodeid;
	(void)datasync;
	struct handle *handle = fs_handle(fi);
	if (handle->kind != HANDLE_WRITER) {
		fuse_reply_err(req, fs_errno(sync_handle(handle)));
		return;
	}
	struct sync_wait *wait = sync_wait_new(req);
	if (wait)
		sync_wait_start(wait, handle);
	else
		fuse_reply_err(req, ENOMEM);
}
