/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attr.h"
#include "cleanup.h"
#include "feed_poll.h"
#include "feed_read.h"
#include "ops.h"
#include "reply.h"
#include "streamfs/blob.h"
#include "streamfs/shard.h"
#include "streamfs/view.h"
#include "upload.h"
#include "view_path.h"

static int read_text(const struct text_handle *text, uint64_t offset, void *buffer, size_t bytes,
	size_t *ret_bytes)
{
	size_t n = 0;
	if (!text->text)
		return -EBADF;
	if (offset < text->bytes) {
		n = text->bytes - (size_t)offset;
		n = n < bytes ? n : bytes;
		memcpy(buffer, text->text + offset, n);
	}
	*ret_bytes = n;
	return 0;
}

/*
 * Reads of pages go through the page cache, which takes a short read for the end of the file and
 * adds zeros. So they are read to the end of the file or of the page, or they fail.
 */
static int read_blob(
	struct sfs_blob *blob, uint64_t offset, void *buffer, size_t bytes, size_t *ret_bytes)
{
	uint64_t size = sfs_blob_size(blob);
	size_t n;
	int r = sfs_blob_read(blob, offset, buffer, bytes, &n);
	if (r < 0)
		return r;
	if (n < bytes && offset < size && n < size - offset)
		return -EBADMSG;
	*ret_bytes = n;
	return 0;
}

/*
 * Only the next read shows why one was short: it brings nothing at the end of the file, or the text
 * that came meanwhile, or it fails: -EBADMSG for damage, -ESTALE for what a trim has taken.
 */
static int read_shard_page(
	struct sfs_shard *shard, uint64_t offset, char *buffer, size_t bytes, size_t *ret_bytes)
{
	size_t done = 0, n;
	do {
		int r = sfs_shard_read_page(shard, offset + done, buffer + done, bytes - done, &n);
		if (r < 0)
			return r;
		done += n;
	} while (n > 0 && done < bytes);
	*ret_bytes = done;
	return 0;
}

/* By the handle's own position, which counts where the shard was trimmed. */
static int read_shard(struct handle *handle, struct reading *reading, uint64_t offset, void *buffer,
	size_t bytes, size_t *ret_bytes)
{
	struct sfs_shard *shard = handle->node->id.shard;
	struct sfs_shard_extent extent;
	uint64_t at;
	size_t n;
	sfs_shard_extent(shard, &extent);
	struct reading_file file = {extent.horizon_offset, extent.size_bytes};
	SCOPED_LOCK(&handle->lock);
	int r = reading_map(reading, offset, &file, &bytes, &at);
	if (r == 0)
		r = sfs_shard_read(shard, at, buffer, bytes, &n);
	if (r == -ENODATA)
		r = reading_hole(buffer, bytes, &n);
	if (r < 0)
		return r;
	reading_advance(reading, offset, n);
	*ret_bytes = n;
	return 0;
}

/* As read_shard() and read_shard_page(), of a view that has a size. */
static int read_view(
	struct handle *handle, uint64_t offset, void *buffer, size_t bytes, size_t *ret_bytes)
{
	struct view_path *path = handle->node->id.view_path;
	uint64_t at;
	size_t n = 0;
	SCOPED_LOCK(&handle->lock);
	SCOPED_LOCK(&path->lock);
	struct reading_file file = {sfs_view_horizon(path->view), sfs_view_size(path->view)};
	int r = reading_map(&handle->view, offset, &file, &bytes, &at);
	if (r == 0)
		r = sfs_view_pread(path->view, at, buffer, bytes, &n);
	if (r == -ENODATA)
		r = reading_hole(buffer, bytes, &n);
	if (r < 0)
		return r;
	reading_advance(&handle->view, offset, n);
	*ret_bytes = n;
	return 0;
}

static int read_view_page(
	struct handle *handle, uint64_t offset, void *buffer, size_t bytes, size_t *ret_bytes)
{
	struct view_path *path = handle->node->id.view_path;
	size_t n = 0;
	SCOPED_LOCK(&path->lock);
	uint64_t size = sfs_view_size(path->view);
	int r = sfs_view_pread(path->view, offset, buffer, bytes, &n);
	if (r < 0)
		return r;
	if (n < bytes && offset < size && n < size - offset)
		return -EBADMSG;
	*ret_bytes = n;
	return 0;
}

/*
 * `paged`: for pages of the kernel. Such a read has no lock owner. Private mappings read so, too,
 * even where the handle is not cached.
 */
static int read_handle(struct handle *handle, bool paged, uint64_t offset, void *buffer,
	size_t bytes, size_t *ret_bytes)
{
	struct sfs_shard *shard = handle->node->id.shard;
	switch (handle->kind) {
	case HANDLE_SHARD:
		return paged ? read_shard_page(shard, offset, buffer, bytes, ret_bytes)
			     : read_shard(handle, &handle->shard.reading, offset, buffer, bytes,
				       ret_bytes);
	case HANDLE_WRITER:
		if (!shard)
			return -EACCES;
		return paged ? read_shard_page(shard, offset, buffer, bytes, ret_bytes)
			     : read_shard(handle, &handle->writer.reading, offset, buffer, bytes,
				       ret_bytes);
	case HANDLE_VIEW:
		return paged ? read_view_page(handle, offset, buffer, bytes, ret_bytes)
			     : read_view(handle, offset, buffer, bytes, ret_bytes);
	case HANDLE_TEXT:
		return read_text(&handle->text, offset, buffer, bytes, ret_bytes);
	case HANDLE_UPLOAD:
		return upload_read(handle->upload.upload, offset, buffer, bytes, ret_bytes);
	case HANDLE_BLOB:
		return read_blob(handle->blob, offset, buffer, bytes, ret_bytes);
	default:
		return -EISDIR;
	}
}

void op_read(
	fuse_req_t req, fuse_ino_t nodeid, size_t bytes, off_t offset, struct fuse_file_info *fi)
{
	TRACE_REQUEST(req, nodeid);
	struct handle *handle = fs_handle(fi);
	if (handle->kind == HANDLE_FEED) {
		feed_read(req, &fs_of(req)->feeds, handle->feed, bytes, fi->flags & O_NONBLOCK);
		return;
	}
	bool paged = handle_is_cached(handle) || fi->lock_owner == 0;
	_cleanup_free_ char *buffer = malloc(bytes);
	size_t n = 0;
	int r = buffer ? 0 : -ENOMEM;
	if (r == 0)
		r = read_handle(handle, paged, (uint64_t)offset, buffer, bytes, &n);
	if (r < 0)
		reply_result(req, r);
	else
		fuse_reply_buf(req, buffer, n);
}

static uint64_t horizon_of(struct node *node)
{
	struct view_path *path = node->id.view_path;
	struct sfs_shard_extent extent = {0};
	if (node->id.kind == NODE_VIEW && path->view) {
		SCOPED_LOCK(&path->lock);
		return sfs_view_horizon(path->view);
	}
	if (node->id.shard)
		sfs_shard_extent(node->id.shard, &extent);
	return extent.horizon_offset;
}

/* Data is from the trim horizon to the end, without holes. */
static int seek(struct fs *fs, struct node *node, uint64_t offset, int whence, off_t *ret_offset)
{
	struct stat attr;
	int r = attr_fill(&fs->tree, node, &attr);
	if (r < 0)
		return r;
	if (offset >= (uint64_t)attr.st_size)
		return -ENXIO;
	uint64_t horizon = horizon_of(node);
	if (whence == SEEK_HOLE)
		*ret_offset = attr.st_size;
	else if (whence == SEEK_DATA)
		*ret_offset = (off_t)(offset > horizon ? offset : horizon);
	else
		return -EINVAL;
	return 0;
}

void op_lseek(
	fuse_req_t req, fuse_ino_t nodeid, off_t offset, int whence, struct fuse_file_info *fi)
{
	TRACE_REQUEST(req, nodeid);
	(void)fi;
	struct fs *fs = fs_of(req);
	off_t found;
	int r = offset < 0 ? -ENXIO
			   : seek(fs, fs_node(fs, nodeid), (uint64_t)offset, whence, &found);
	if (r < 0)
		reply_result(req, r);
	else
		fuse_reply_lseek(req, found);
}

/* What never waits is always ready. */
void op_poll(fuse_req_t req, fuse_ino_t nodeid, struct fuse_file_info *fi,
	struct fuse_pollhandle *pollhandle)
{
	TRACE_REQUEST(req, nodeid);
	struct handle *handle = fs_handle(fi);
	unsigned events = POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM;
	int r = 0;
	if (handle->kind == HANDLE_FEED)
		r = feed_poll(&fs_of(req)->feeds, handle->feed, pollhandle, &events);
	else if (pollhandle)
		fuse_pollhandle_destroy(pollhandle);
	if (r < 0)
		reply_result(req, r);
	else
		fuse_reply_poll(req, events);
}
