/* SPDX-License-Identifier: MIT */
/*
 * Handles of views. One of a shard, except below live/, has a size and offsets and reads by its
 * node's view; all others have a view of their own and are read once through.
 */
#ifndef FS_OPS_VIEW_H
#define FS_OPS_VIEW_H

#include "fs.h"

/* Gives a new handle its view. */
int view_open(struct handle *handle);

/* A read of a view with a size. */
int view_read_at(
	struct handle *handle, uint64_t offset, void *buffer, size_t bytes, size_t *ret_bytes);
/* For a page of the kernel: what stands at that offset, all of it, or -ESTALE, -EBADMSG. */
int view_read_page(
	struct handle *handle, uint64_t offset, void *buffer, size_t bytes, size_t *ret_bytes);
/*
 * Reads on in one without. 0 bytes: there is no more now; handle->live tells whether to wait. After
 * -ESTALE and -EBADMSG the next one goes on behind what is missing.
 */
int view_take_locked(struct handle *handle, void *buffer, size_t bytes, size_t *ret_bytes);
/* True if a read would not have to wait. What it saw is kept for the next read. */
bool view_look_ahead_locked(struct handle *handle);
void view_close(struct handle *handle);

/* live.c: answers the read, now or later. */
void live_read(fuse_req_t req, struct handle *handle, size_t bytes, bool nonblocking);
/* The events of a poll; wakes `whom` (NULL: nobody; else taken over) once there are some. */
int live_poll(
	struct fs *fs, struct handle *handle, struct fuse_pollhandle *whom, unsigned *ret_events);
void live_poll_close(struct handle *handle);

#endif
