/* SPDX-License-Identifier: MIT */
#include "trims.h"

#include <errno.h>
#include <stdlib.h>

#include "log.h"
#include "notifier.h"

struct forgetting {
	struct notifier_job job;
	struct fs *fs;
};

struct trimmed {
	struct fs *fs;
	uint64_t horizon_offset;
};

struct reply {
	struct notifier_job job;
	fuse_req_t req;
	size_t bytes;
};

static void forgotten(struct notifier_job *job, int result, uint64_t size_bytes)
{
	(void)result;
	(void)size_bytes;
	struct forgetting *forgetting = (struct forgetting *)job;
	node_unref(&forgetting->fs->nodes, job->node);
	free(forgetting);
}

static void forget(void *context, struct node *node)
{
	const struct trimmed *trimmed = context;
	struct fs *fs = trimmed->fs;
	struct forgetting *forgetting = calloc(1, sizeof(*forgetting));
	if (!forgetting) {
		log_warning("no memory: what was trimmed may stay in the page cache");
		node_unref(&fs->nodes, node);
		return;
	}
	forgetting->fs = fs;
	forgetting->job.node = node;
	forgetting->job.nodeid = node_id(&fs->nodes, node);
	forgetting->job.trimmed_bytes = trimmed->horizon_offset;
	forgetting->job.tell = forgotten;
	notifier_submit(fs->notifier, &forgetting->job);
}

static void on_trim(void *context, struct sfs_shard *shard)
{
	struct fs *fs = context;
	struct sfs_shard_info info;
	sfs_shard_info(shard, &info);
	struct trimmed trimmed = {fs, info.horizon_offset};
	node_each_reader(&fs->nodes, shard, forget, &trimmed);
}

void trims_watch(struct fs *fs)
{
	sfs_store_watch_trims(fs->store, on_trim, fs);
}

void trims_unwatch(struct fs *fs)
{
	sfs_store_watch_trims(fs->store, NULL, NULL);
}

/* Also at the end of the mount, when there is no page cache any more: the trim was done. */
static void send_reply(struct notifier_job *job, int result, uint64_t size_bytes)
{
	(void)result;
	(void)size_bytes;
	struct reply *reply = (struct reply *)job;
	fuse_reply_write(reply->req, reply->bytes);
	free(reply);
}

/* The notifier works in order: behind all that the trim has given it. */
void trims_reply(fuse_req_t req, size_t bytes)
{
	struct reply *reply = calloc(1, sizeof(*reply));
	if (!reply) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	reply->job.tell = send_reply;
	reply->req = req;
	reply->bytes = bytes;
	notifier_submit(fs_of(req)->notifier, &reply->job);
}
