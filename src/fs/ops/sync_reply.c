/* SPDX-License-Identifier: MIT */
#include "sync_reply.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "cleanup.h"
#include "handle.h"
#include "reply.h"
#include "streamfs/writer.h"

/*
 * The store may report the sync before sfs_writer_sync() returns, while the handle is still locked.
 * So the later of the two, the report and the return, sends the reply.
 */
struct sync_reply {
	struct sync_replies *replies;
	fuse_req_t req;
	bool is_write;
	size_t bytes; /* of a write */
	int result;
	atomic_bool one_came;
};

void sync_replies_init(struct sync_replies *replies)
{
	pthread_mutex_init(&replies->lock, NULL);
	pthread_cond_init(&replies->none, NULL);
	replies->count = 0;
}

void sync_replies_fini(struct sync_replies *replies)
{
	pthread_cond_destroy(&replies->none);
	pthread_mutex_destroy(&replies->lock);
}

void sync_replies_wait(struct sync_replies *replies)
{
	SCOPED_LOCK(&replies->lock);
	while (replies->count > 0)
		pthread_cond_wait(&replies->none, &replies->lock);
}

static void add(struct sync_replies *replies)
{
	SCOPED_LOCK(&replies->lock);
	replies->count++;
}

static void take_away(struct sync_replies *replies)
{
	SCOPED_LOCK(&replies->lock);
	if (--replies->count == 0)
		pthread_cond_broadcast(&replies->none);
}

static void send(struct sync_reply *reply)
{
	struct sync_replies *replies = reply->replies;
	if (reply->result == 0 && reply->is_write)
		fuse_reply_write(reply->req, reply->bytes);
	else
		reply_result(reply->req, reply->result);
	free(reply);
	take_away(replies);
}

static void arrive(struct sync_reply *reply)
{
	if (atomic_exchange(&reply->one_came, true))
		send(reply);
}

static void on_sync(void *context, int result)
{
	struct sync_reply *reply = context;
	reply->result = result;
	arrive(reply);
}

struct sync_reply *sync_reply_new(struct sync_replies *replies, fuse_req_t req)
{
	struct sync_reply *reply = calloc(1, sizeof(*reply));
	if (!reply)
		return NULL;
	reply->replies = replies;
	reply->req = req;
	add(replies);
	return reply;
}

void sync_reply_to_write(struct sync_reply *reply, size_t bytes)
{
	reply->is_write = true;
	reply->bytes = bytes;
}

void sync_reply_send_durable(struct sync_reply *reply, struct handle *handle)
{
	pthread_mutex_lock(&handle->lock);
	sfs_writer_sync(handle->writer.writer, on_sync, reply);
	pthread_mutex_unlock(&handle->lock);
	arrive(reply);
}

void sync_reply_fail(struct sync_reply *reply, int error)
{
	reply->result = error;
	send(reply);
}
