/* SPDX-License-Identifier: MIT */
#include "feed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "handle.h"
#include "node.h"
#include "streamfs/view.h"
#include "view_path.h"

enum { AHEAD_BYTES = 64 * 1024 };

int feed_open(struct handle *handle)
{
	const struct view_path *path = handle->node->id.view_path;
	handle->live = view_path_is_live(path);
	return view_path_open_view(path, handle->node->id.stream, &handle->view);
}

void feed_close(struct handle *handle)
{
	sfs_view_close(handle->view);
	free(handle->ahead);
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

int feed_take_locked(struct handle *handle, void *buffer, size_t bytes, size_t *ret_bytes)
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

bool feed_look_ahead_locked(struct handle *handle)
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
