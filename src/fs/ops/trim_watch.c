/* SPDX-License-Identifier: MIT */
#include "trim_watch.h"

#include <errno.h>
#include <stdlib.h>

#include "fs.h"
#include "log.h"
#include "notifier.h"
#include "streamfs/shard.h"
#include "streamfs/store.h"

struct forgetting {
	struct notifier_job job;
	struct fs *fs;
	struct node *node; /* a reference */
};

struct trimmed {
	struct fs *fs;
	uint64_t horizon_offset;
};

struct trim_reply {
	struct notifier_job job;
	fuse_req_t req;
	size_t bytes;
};

static void forgotten(struct notifier_job *job, int result, uint64_t size_bytes)
{
	(void)result;
	(void)size_bytes;
	struct forgetting *forgetting = (struct forgetting *)job;
	node_unref(&forgetting->fs->tree.nodes, forgetting->node);
	free(forgetting);
}

static void forget(void *context, struct node *node)
{
	const struct trimmed *trimmed = context;
	struct fs *fs = trimmed->fs;
	struct forgetting *forgetting = calloc(1, sizeof(*forgetting));
	if (!forgetting) {
		log_warning("no memory: what was trimmed may stay in the page cache");
		node_unref(&fs->tree.nodes, node);
		return;
	}
	forgetting->fs = fs;
	forgetting->node = node;
	forgetting->job.cached = &node->cached_shard;
	forgetting->job.trimmed_bytes = trimmed->horizon_offset;
	forgetting->job.done = forgotten;
	notifier_submit(fs->notifier, &forgetting->job);
}

static void on_trim(void *context, struct sfs_shard *shard)
{
	struct fs *fs = context;
	struct sfs_shard_extent extent;
	sfs_shard_extent(shard, &extent);
	struct trimmed trimmed = {fs, extent.horizon_offset};
	node_each_reader(&fs->tree.nodes, shard, forget, &trimmed);
}

void trim_watch_start(struct fs *fs)
{
	sfs_store_watch_trims(fs->tree.store, on_trim, fs);
}

void trim_watch_stop(struct fs *fs)
{
	sfs_store_watch_trims(fs->tree.store, NULL, NULL);
}

/* Also at the end of the mount, when there is no page cache any more: the trim was done. */
static void send_reply(struct notifier_job *job, int result, uint64_t size_bytes)
{
	(void)result;
	(void)size_bytes;
	struct trim_reply *reply = (struct trim_reply *)job;
	fuse_reply_write(reply->req, reply->bytes);
	free(reply);
}

/* The notifier works in order: behind all that the trim has given it. */
void trim_watch_reply(fuse_req_t req, size_t bytes)
{
	struct trim_reply *reply = calloc(1, sizeof(*reply));
	if (!reply) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	reply->job.done = send_reply;
	reply->req = req;
	reply->bytes = bytes;
	notifier_submit(fs_of(req)->notifier, &reply->job);
}
