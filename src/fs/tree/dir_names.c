/* SPDX-License-Identifier: MIT */
#include "dir_names.h"

#include <errno.h>
#include <fuse_lowlevel.h>
#include <string.h>

#include "caller.h"
#include "checkpoint.h"
#include "consumer_dir.h"
#include "ino.h"
#include "intent.h"
#include "streamfs/consumer.h"
#include "streamfs/shard.h"
#include "tree.h"
#include "upload.h"
#include "view_path.h"

static const struct fixed_name in_root[] = {
	{".streamfs", NODE_CONTROL, INO_CONTROL},
};

static const struct fixed_name in_control[] = {
	{"README", NODE_README, INO_README},
	{"version", NODE_VERSION, INO_VERSION},
	{"metrics", NODE_METRICS, INO_METRICS},
	{"defaults", NODE_DEFAULTS, INO_DEFAULTS},
};

static const struct fixed_name in_stream[] = {
	{"put", NODE_PUT, INO_LOCAL_PUT},
	{"drop", NODE_DROP, INO_LOCAL_DROP},
	{"blobs", NODE_BLOBS, INO_LOCAL_BLOBS},
	{"consumers", NODE_CONSUMERS, INO_LOCAL_CONSUMERS},
	{"config", NODE_CONFIG, INO_LOCAL_CONFIG},
	{"stats", NODE_STATS, INO_LOCAL_STATS},
	{"trim", NODE_TRIM, INO_LOCAL_TRIM},
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

size_t dir_names_fixed(enum node_kind dir, const struct fixed_name **ret_names)
{
	switch (dir) {
	case NODE_ROOT:
		*ret_names = in_root;
		return COUNT_OF(in_root);
	case NODE_CONTROL:
		*ret_names = in_control;
		return COUNT_OF(in_control);
	case NODE_STREAM:
		*ret_names = in_stream;
		return COUNT_OF(in_stream);
	default:
		*ret_names = NULL;
		return 0;
	}
}

static const struct fixed_name *find_fixed(enum node_kind dir, const char *name)
{
	const struct fixed_name *names;
	size_t count = dir_names_fixed(dir, &names);
	for (size_t i = 0; i < count; i++)
		if (strcmp(names[i].name, name) == 0)
			return &names[i];
	return NULL;
}

static int resolve_stream(struct tree *tree, const char *name, struct node_identity *ret_id)
{
	if (!sfs_stream_name_valid(name))
		return -ENOENT; /* so that a mkdir of it gets as far as EINVAL */
	struct node_identity id = {.kind = NODE_STREAM};
	int r = sfs_stream_lookup(tree->store, name, &id.stream);
	if (r < 0)
		return r;
	id.ino = ino_file(id.stream, INO_LOCAL_DIR);
	*ret_id = id;
	return 0;
}

static int resolve_shard(struct tree *tree, const struct node *dir, uint32_t number, pid_t tid,
	struct node_identity *ret_id)
{
	struct node_identity id = {.kind = NODE_SHARD};
	int r = sfs_stream_shard(dir->id.stream, number, &id.shard);
	if (r < 0)
		return r;
	id.stream = sfs_stream_ref(dir->id.stream);
	id.ino = ino_file(id.stream, INO_LOCAL_SHARDS + number);
	if (tid == 0 || intent_get(tree->intents, tid, id.ino) == INTENT_WRITE) {
		id.kind = NODE_SHARD_WRITER;
		id.tid = tid;
	}
	*ret_id = id;
	return 0;
}

/* A view with a size has it from its own start on, which is found now. */
static int open_shard_view(
	struct view_path *path, struct sfs_stream *stream, struct sfs_shard **ret_shard)
{
	if (path->kind != VIEW_PATH_SHARD)
		return 0;
	int r = sfs_stream_shard(stream, path->shard, ret_shard);
	if (r < 0 || !view_path_has_size(path))
		return r;
	r = view_path_open_view(path, stream, &path->view);
	if (r < 0)
		sfs_shard_unref(*ret_shard);
	return r;
}

static int resolve_view(const struct node *dir, const char *name, struct node_identity *ret_id)
{
	struct view_path *path;
	struct sfs_shard *shard = NULL;
	int r = view_path_resolve(dir->id.view_path, name, &path);
	if (r < 0)
		return r;
	r = open_shard_view(path, dir->id.stream, &shard);
	if (r < 0) {
		view_path_free(path);
		return r;
	}
	*ret_id = (struct node_identity){
		.kind = view_path_is_dir(path) ? NODE_VIEW_DIR : NODE_VIEW,
		.ino = ino_view(dir->id.stream, path),
		.stream = sfs_stream_ref(dir->id.stream),
		.shard = shard,
		.view_path = path,
	};
	return 0;
}

static int resolve_in_stream(struct tree *tree, const struct node *dir, const char *name, pid_t tid,
	struct node_identity *ret_id)
{
	uint32_t number;
	const struct fixed_name *fixed = find_fixed(NODE_STREAM, name);
	if (fixed) {
		*ret_id = (struct node_identity){
			.kind = fixed->kind,
			.ino = ino_file(dir->id.stream, fixed->local),
			.tid = fixed->kind == NODE_PUT ? tid : 0,
			.stream = sfs_stream_ref(dir->id.stream),
		};
		return 0;
	}
	if (sfs_shard_parse_name(name, &number) < 0)
		return resolve_view(dir, name, ret_id);
	return resolve_shard(tree, dir, number, tid, ret_id);
}

/*
 * A thread that creates a file must not see another's of that name, nor one that it has closed
 * before: O_EXCL, mv and install would take it for an obstacle.
 */
static bool is_hidden(
	struct tree *tree, uint64_t stream_id, const char *name, pid_t tid, struct upload *upload)
{
	if (intent_get(tree->intents, tid, ino_upload_name(stream_id, name)) == INTENT_CREATE)
		return true;
	return !upload_is_free(upload) && caller_creates(tid);
}

static int resolve_upload(struct tree *tree, const struct node *dir, const char *name,
	const struct fuse_ctx *ctx, struct node_identity *ret_id)
{
	uint64_t stream_id = sfs_stream_id(dir->id.stream);
	struct drop_caller caller = {ctx->pid, ctx->uid};
	struct upload *upload = drop_find(&tree->drop, stream_id, name, &caller);
	if (!upload)
		return -ENOENT;
	if (is_hidden(tree, stream_id, name, ctx->pid, upload)) {
		upload_unref(upload);
		return -ENOENT;
	}
	*ret_id = (struct node_identity){
		.kind = NODE_UPLOAD,
		.ino = ino_upload(upload->number),
		.stream = sfs_stream_ref(dir->id.stream),
		.upload = upload,
	};
	return 0;
}

static int resolve_blob(const struct node *dir, const char *name, struct node_identity *ret_id)
{
	struct sfs_blob *blob;
	int r = sfs_blob_open(dir->id.stream, name, &blob);
	if (r < 0)
		return r;
	struct node_identity id = {
		.kind = NODE_BLOB,
		.ino = ino_blob(dir->id.stream, name),
		.stream = sfs_stream_ref(dir->id.stream),
		.blob =
			{
				.size_bytes = sfs_blob_size(blob),
				.stored_bytes = sfs_blob_stored(blob),
				.time_ms = sfs_blob_time_ms(blob),
			},
	};
	sfs_blob_close(blob);
	memcpy(id.digest, name, SFS_DIGEST_HEX);
	*ret_id = id;
	return 0;
}

static int resolve_checkpoint(struct tree *tree, const struct node *dir, const char *name,
	pid_t tid, struct node_identity *ret_id)
{
	uint32_t number;
	if (sfs_shard_parse_name(name, &number) < 0 ||
		!sfs_stream_has_shard(dir->id.stream, number) ||
		!sfs_consumer_exists(dir->id.stream, dir->id.consumer))
		return -ENOENT;
	if (checkpoint_is_copied(tree, dir, number, tid))
		return -ENOENT;
	return checkpoint_identity(dir, number, ret_id);
}

int dir_names_resolve(struct tree *tree, const struct node *dir, const char *name,
	const struct fuse_ctx *ctx, struct node_identity *ret_id)
{
	const struct fixed_name *fixed;
	switch (dir->id.kind) {
	case NODE_ROOT:
	case NODE_CONTROL:
		fixed = find_fixed(dir->id.kind, name);
		if (!fixed)
			return dir->id.kind == NODE_ROOT ? resolve_stream(tree, name, ret_id)
							 : -ENOENT;
		*ret_id = (struct node_identity){.kind = fixed->kind, .ino = fixed->local};
		return 0;
	case NODE_STREAM:
		return resolve_in_stream(tree, dir, name, ctx->pid, ret_id);
	case NODE_DROP:
		return resolve_upload(tree, dir, name, ctx, ret_id);
	case NODE_BLOBS:
		return resolve_blob(dir, name, ret_id);
	case NODE_CONSUMERS:
		return sfs_consumer_exists(dir->id.stream, name)
			       ? consumer_dir_identity(dir, name, ret_id)
			       : -ENOENT;
	case NODE_CONSUMER:
		return resolve_checkpoint(tree, dir, name, ctx->pid, ret_id);
	case NODE_VIEW_DIR:
		return resolve_view(dir, name, ret_id);
	default:
		return -ENOTDIR;
	}
}
