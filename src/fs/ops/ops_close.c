/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "cleanup.h"
#include "committer.h"
#include "feed.h"
#include "feed_poll.h"
#include "listing.h"
#include "locks.h"
#include "log.h"
#include "opener.h"
#include "ops.h"
#include "reply.h"
#include "streamfs/stream.h"
#include "streamfs/writer.h"
#include "upload.h"

static bool closed_by_opener(const struct handle *handle, const struct opener *opener,
	pid_t flusher, struct opened *opened)
{
	char tail[NODE_TAIL_MAX] = ""; /* by whatever path, where it was not looked up */
	opened->tail = tail;
	return (handle->node->direct || node_tail(handle->node, tail, sizeof(tail)) == 0) &&
	       opener_has_closed(opener, flusher, opened);
}

static uint64_t pause_writer(struct handle *handle)
{
	SCOPED_LOCK(&handle->lock);
	handle_set_busy_locked(handle, false);
	return sfs_writer_pending(handle->writer.writer);
}

static int flush_writer(struct fs *fs, struct handle *handle, pid_t flusher)
{
	if (pause_writer(handle) == 0)
		return 0;
	struct opened opened = {
		.position = atomic_load(&handle->writer.position),
		.twins = handle_twins(&fs->tree.handles, handle),
	};
	if (!closed_by_opener(handle, &handle->writer.opener, flusher, &opened))
		return 0;
	SCOPED_LOCK(&handle->lock);
	return sfs_writer_end(handle->writer.writer);
}

/* Returns whether it is the first one of this handle. */
static bool note_flush(struct handle *handle)
{
	SCOPED_LOCK(&handle->lock);
	bool first = !handle->upload.flushed;
	handle->upload.flushed = true;
	handle->upload.unflushed = false;
	return first;
}

/* A child of the opener can have been given it, as a pipeline's or a subprocess's output. */
static bool is_ended_upload(struct handle *handle, pid_t flusher)
{
	struct opened opened = {.ino = handle->node->id.ino, .position = -1, .shared = true};
	return upload_wants_commit(handle->upload.upload) &&
	       closed_by_opener(handle, &handle->upload.opener, flusher, &opened);
}

static void flush_done(void *context, struct upload *upload, int result)
{
	(void)upload;
	reply_result(context, result);
}

/* Replies, perhaps once the upload is committed. */
static void flush_upload(fuse_req_t req, struct handle *handle, pid_t flusher)
{
	struct upload *upload = handle->upload.upload;
	bool first = note_flush(handle);
	if (is_ended_upload(handle, flusher) && upload_begin_commit(upload))
		committer_submit(fs_of(req)->committer, upload, first, flush_done, req);
	else
		fuse_reply_err(req, 0);
}

void op_flush(fuse_req_t req, fuse_ino_t nodeid, struct fuse_file_info *fi)
{
	TRACE_REQUEST(req, nodeid);
	struct fs *fs = fs_of(req);
	struct handle *handle = fs_handle(fi);
	pid_t flusher = fuse_req_ctx(req)->pid;
	int r = 0;
	lock_release_owner(fs->locks, handle->node->id.ino, LOCK_POSIX, fi->lock_owner);
	handle_forget_lock_owner(handle, fi->lock_owner);
	if (handle->kind == HANDLE_UPLOAD) {
		flush_upload(req, handle, flusher);
		return;
	}
	if (handle->kind == HANDLE_SHARD && handle->shard.cached)
		followers_remove(&handle->node->cached_shard.followers, flusher);
	else if (handle->kind == HANDLE_WRITER)
		r = flush_writer(fs, handle, flusher);
	reply_result(req, r);
}

static void last_commit_done(void *context, struct upload *upload, int result)
{
	(void)context;
	char stream[SFS_NAME_MAX + 1], name[UPLOAD_NAME_MAX + 1];
	if (result == 0)
		return;
	sfs_stream_name(upload->stream, stream);
	upload_name(upload, name);
	log_warning(
		"%s/drop/%s: the file is lost: %s", stream, name, strerror(reply_errno(result)));
}

static void close_upload(struct fs *fs, struct upload *upload, bool discard)
{
	if (upload_close(upload, discard))
		committer_submit(fs->committer, upload, false, last_commit_done, NULL);
}

static void close_feed(struct feed *feed)
{
	if (feed)
		feed_poll_close(feed);
	feed_close(feed);
}

void close_handle(struct fs *fs, struct handle *handle, bool discard)
{
	char tail[NODE_TAIL_MAX] = "";
	if (handle->kind == HANDLE_WRITER)
		node_tail(handle->node, tail, sizeof(tail));
	else if (handle->kind == HANDLE_UPLOAD)
		close_upload(fs, handle->upload.upload, discard);
	else if (handle->kind == HANDLE_FEED)
		close_feed(handle->feed);
	else if (handle->kind == HANDLE_DIR)
		listing_free(handle->listing);
	int r = handle_free(&fs->tree.handles, handle);
	if (r < 0)
		log_warning("%s: what was written last is lost: %s", tail + (tail[0] == '/'),
			strerror(reply_errno(r)));
}

void op_release(fuse_req_t req, fuse_ino_t nodeid, struct fuse_file_info *fi)
{
	TRACE_REQUEST(req, nodeid);
	struct fs *fs = fs_of(req);
	struct handle *handle = fs_handle(fi);
	uint64_t ino = handle->node->id.ino;
	if (fi->flock_release)
		lock_release_owner(fs->locks, ino, LOCK_FLOCK, fi->lock_owner);
	for (size_t i = 0; i < handle->lock_owners.count; i++)
		lock_release_owner(fs->locks, ino, LOCK_POSIX, handle->lock_owners.items[i]);
	close_handle(fs, handle, false);
	fuse_reply_err(req, 0);
}
