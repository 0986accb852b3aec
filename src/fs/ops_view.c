/* SPDX-License-Identifier: MIT */
#include "ops_view.h"

#include <poll.h>
#include <string.h>

#include "cleanup.h"
#include "errors.h"
#include "ops.h"

enum { AHEAD_BYTES = 64 * 1024 };

int view_open(struct handle *handle)
{
	const struct place *place = handle->node->id.place;
	if (place_has_size(place))
		return 0;
	handle->live = place_is_live(place);
	return place_open_view(place, handle->node->id.stream, &handle->view);
}

void view_close(struct handle *handle)
{
	live_poll_close(handle);
	sfs_view_close(handle->view);
	free(handle->ahead);
}

int view_read_at(
	struct handle *handle, uint64_t offset, void *buffer, size_t bytes, size_t *ret_bytes)
{
	struct place *place = handle->node->id.place;
	uint64_t at;
	size_t n = 0;
	SCOPED_LOCK(&handle->lock);
	SCOPED_LOCK(&place->lock);
	struct reading_file file = {sfs_view_horizon(place->view), sfs_view_size(place->view)};
	int r = reading_map(&handle->reading, offset, &file, &bytes, &at);
	if (r == 0)
		r = sfs_view_pread(place->view, at, buffer, bytes, &n);
	if (r == -ENODATA)
		r = reading_hole(buffer, bytes, &n);
	if (r < 0)
		return r;
	reading_advance(&handle->reading, offset, n);
	*ret_bytes = n;
	return 0;
}

int view_read_page(
	struct handle *handle, uint64_t offset, void *buffer, size_t bytes, size_t *ret_bytes)
{
	struct place *place = handle->node->id.place;
	size_t n = 0;
	SCOPED_LOCK(&place->lock);
	uint64_t size = sfs_view_size(place->view);
	int r = sfs_view_pread(place->view, offset, buffer, bytes, &n);
	if (r < 0)
		return r;
	if (n < bytes && offset < size && n < size - offset)
		return -EBADMSG;
	*ret_bytes = n;
	return 0;
}

/* Reads on in the view. An end for ever is one that nobody waits behind. */
static int read_on(struct handle *handle, void *buffer, size_t bytes, size_t *ret_bytes)
{
	size_t n = 0;
	int r = sfs_view_read(handle->view, buffer, bytes, &n);
	if (r == -EPIPE) {
		handle->live = false;
		r = 0;
	}
	if (r == -ESTALE || r == -EBADMSG) {
		int skipped = sfs_view_skip(handle->view);
		return skipped < 0 ? skipped : r;
	}
	if (r < 0)
		return r;
	*ret_bytes = n;
	return 0;
}

/* A thousand who poll do not keep it. */
static void drop_ahead_locked(struct handle *handle)
{
	free(handle->ahead);
	handle->ahead = NULL;
	handle->ahead_at = handle->ahead_bytes = 0;
}

int view_take_locked(struct handle *handle, void *buffer, size_t bytes, size_t *ret_bytes)
{
	int error = handle->ahead_error;
	if (error < 0) {
		handle->ahead_error = 0;
		return error;
	}
	size_t left = handle->ahead_bytes - handle->ahead_at;
	if (!left)
		return read_on(handle, buffer, bytes, ret_bytes);
	size_t n = left < bytes ? left : bytes;
	memcpy(buffer, handle->ahead + handle->ahead_at, n);
	handle->ahead_at += n;
	if (n == left)
		drop_ahead_locked(handle);
	*ret_bytes = n;
	return 0;
}

bool view_look_ahead_locked(struct handle *handle)
{
	if (handle->ahead_error < 0 || handle->ahead_at < handle->ahead_bytes || !handle->live)
		return true;
	if (!handle->ahead)
		handle->ahead = malloc(AHEAD_BYTES);
	if (!handle->ahead)
		return true;
	handle->ahead_at = handle->ahead_bytes = 0;
	handle->ahead_error = read_on(handle, handle->ahead, AHEAD_BYTES, &handle->ahead_bytes);
	if (!handle->ahead_bytes)
		drop_ahead_locked(handle);
	return handle->ahead_error < 0 || handle->ahead_bytes > 0 || !handle->live;
}

/* What never waits is always ready. */
void op_poll(
	fuse_req_t req, fuse_ino_t nodeid, struct fuse_file_info *fi, struct fuse_pollhandle *whom)
{
	(void)nodeid;
	struct handle *handle = fs_handle(fi);
	unsigned events = POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM;
	int r = 0;
	if (handle->view)
		r = live_poll(fs_of(req), handle, whom, &events);
	else if (whom)
		fuse_pollhandle_destroy(whom);
	if (r < 0)
		fuse_reply_err(req, fs_errno(r));
	else
		fuse_reply_poll(req, events);
}
