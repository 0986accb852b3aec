/* SPDX-License-Identifier: MIT */
#include "node_reply.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "attr.h"
#include "fs.h"
#include "notifier.h"
#include "reply.h"

/* A reply that waits for the notifier. */
struct grown_reply {
	struct notifier_job job;
	fuse_req_t req;
	struct node *node;
	bool is_entry;
	bool reading; /* asks in order to read on */
	struct stat attr;
};

static bool has_grown(const struct node *node, const struct stat *attr)
{
	return node->id.kind == NODE_SHARD &&
	       (uint64_t)attr->st_size > atomic_load(&node->cached_shard.known_bytes);
}

struct fuse_entry_param node_reply_param(struct fs *fs, struct node *node, const struct stat *attr)
{
	return (struct fuse_entry_param){
		.ino = node_id(&fs->tree.nodes, node),
		.attr = *attr,
		.attr_timeout = attr_timeout(node),
		.entry_timeout = attr_entry_timeout(node),
	};
}

static void send_entry(fuse_req_t req, struct node *node, const struct stat *attr)
{
	struct fs *fs = fs_of(req);
	struct fuse_entry_param entry = node_reply_param(fs, node, attr);
	if (fuse_reply_entry(req, &entry) != 0)
		node_forget(&fs->tree.nodes, node, 1);
}

static void fail_entry(fuse_req_t req, struct node *node, int result)
{
	node_forget(&fs_of(req)->tree.nodes, node, 1);
	reply_result(req, result);
}

static void send_attr(fuse_req_t req, struct node *node, const struct stat *attr, bool reading)
{
	if (reading && node->id.kind == NODE_SHARD)
		followers_add(&node->cached_shard.followers, fuse_req_ctx(req)->pid);
	fuse_reply_attr(req, attr, attr_timeout(node));
}

static void send_grown(struct notifier_job *job, int result, uint64_t size_bytes)
{
	struct grown_reply *reply = (struct grown_reply *)job;
	reply->attr.st_size = (off_t)size_bytes;
	assert(result < 0 || !has_grown(reply->node, &reply->attr));
	if (result < 0 && reply->is_entry)
		fail_entry(reply->req, reply->node, result);
	else if (result < 0)
		reply_result(reply->req, result);
	else if (reply->is_entry)
		send_entry(reply->req, reply->node, &reply->attr);
	else
		send_attr(reply->req, reply->node, &reply->attr, reply->reading);
	free(reply);
}

static int send_later(
	fuse_req_t req, struct node *node, const struct stat *attr, bool is_entry, bool reading)
{
	struct grown_reply *reply = calloc(1, sizeof(*reply));
	if (!reply)
		return -ENOMEM;
	reply->job.cached = &node->cached_shard;
	reply->job.done = send_grown;
	reply->job.size_bytes = (uint64_t)attr->st_size;
	reply->req = req;
	reply->node = node;
	reply->is_entry = is_entry;
	reply->reading = reading;
	reply->attr = *attr;
	notifier_submit(fs_of(req)->notifier, &reply->job);
	return 0;
}

void node_reply_entry(fuse_req_t req, struct node *node, const struct stat *attr)
{
	if (!has_grown(node, attr)) {
		send_entry(req, node, attr);
		return;
	}
	int r = send_later(req, node, attr, true, false);
	if (r < 0)
		fail_entry(req, node, r);
}

void node_reply_attr(fuse_req_t req, struct node *node, const struct stat *attr, bool reading)
{
	if (!has_grown(node, attr)) {
		send_attr(req, node, attr, reading);
		return;
	}
	/* A thread of another PID namespace has no number to be known by while it reads on. */
	bool is_known = fuse_req_ctx(req)->pid != 0;
	int r = send_later(req, node, attr, false, reading && is_known);
	if (r < 0)
		reply_result(req, r);
}
