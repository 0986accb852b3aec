/* SPDX-License-Identifier: MIT */
/* Replies to writes and fsyncs that wait until a writer's records are durable. */
#ifndef FS_SYNC_REPLY_H
#define FS_SYNC_REPLY_H

#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stddef.h>

struct handle;
struct sync_reply;

/* All replies that are due. The session must outlive them. */
struct sync_replies {
	pthread_mutex_t lock;
	pthread_cond_t none;
	unsigned count;
};

void sync_replies_init(struct sync_replies *replies);
void sync_replies_fini(struct sync_replies *replies);
/* Waits until all are sent. */
void sync_replies_wait(struct sync_replies *replies);

/* To an fsync; NULL: out of memory. */
struct sync_reply *sync_reply_new(struct sync_replies *replies, fuse_req_t req);
/* Sends it once all that was written through the handle before is durable. */
void sync_reply_send_durable(struct sync_reply *reply, struct handle *handle);
/* Makes it one to a write of so many bytes. */
void sync_reply_to_write(struct sync_reply *reply, size_t bytes);
/* Sends an error instead, now. */
void sync_reply_fail(struct sync_reply *reply, int error);

#endif
