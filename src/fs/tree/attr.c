/* SPDX-License-Identifier: MIT */
#include "attr.h"

#include <errno.h>
#include <string.h>

#include "cleanup.h"
#include "generated.h"
#include "streamfs/consumer.h"
#include "tree.h"
#include "upload.h"
#include "view_path.h"

/* stdio, awk and others read in pieces of this size. */
enum { LARGE_BLOCK = 1024 * 1024, SMALL_BLOCK = 4096 };

static void set_times(struct stat *attr, uint64_t ms)
{
	struct timespec time = {
		.tv_sec = (time_t)(ms / 1000),
		.tv_nsec = (long)(ms % 1000) * 1000000,
	};
	attr->st_atim = attr->st_mtim = attr->st_ctim = time;
}

static void set_size(struct stat *attr, uint64_t bytes, uint64_t stored_bytes)
{
	attr->st_size = (off_t)bytes;
	attr->st_blocks = (blkcnt_t)(stored_bytes / 512 + (stored_bytes % 512 != 0));
}

/* With w comes x, since a writer also names its files; sticky, so that it cannot touch others'. */
static mode_t drop_mode(mode_t mode)
{
	mode_t w = mode & 0222;
	return S_IFDIR | S_ISVTX | w | w >> 1;
}

/* With w comes x: to append to a key is to name it. To list the keys takes r. */
static mode_t view_dir_mode(mode_t mode)
{
	return S_IFDIR | (mode & 0555) | (mode & 0222) >> 1;
}

/* To change a stream takes more than to append to it: w counts only together with r. */
static mode_t control_mode(mode_t mode)
{
	return S_IFREG | (mode & 0444) | (mode & 0222 & (mode & 0444) >> 1);
}

static mode_t file_mode(const struct node *node, mode_t mode)
{
	switch (node->id.kind) {
	case NODE_ROOT:
	case NODE_STREAM:
		return S_IFDIR | (mode & 07777);
	case NODE_CONTROL:
		return S_IFDIR | (mode & 0555);
	case NODE_DROP:
		return drop_mode(mode);
	case NODE_BLOBS:
		return S_IFDIR | (mode & 0555);
	case NODE_CONSUMERS:
	case NODE_CONSUMER:
		return S_IFDIR | (mode & 0777);
	case NODE_VIEW_DIR:
		return view_dir_mode(mode);
	case NODE_PUT:
		return S_IFREG | (mode & 0222);
	case NODE_SHARD:
	case NODE_SHARD_WRITER:
	case NODE_DEFAULTS:
	case NODE_CHECKPOINT:
		return S_IFREG | (mode & 0666);
	case NODE_CONFIG:
	case NODE_TRIM:
		return control_mode(mode);
	case NODE_VIEW:
		return S_IFREG | (mode & (view_path_is_writable(node->id.view_path) ? 0666 : 0444));
	default:
		return S_IFREG | (mode & 0444);
	}
}

static void fill_owner(struct tree *tree, const struct node *node, struct stat *attr)
{
	struct sfs_owner owner;
	if (node->id.stream)
		sfs_stream_owner(node->id.stream, &owner);
	else
		sfs_store_owner(tree->store, &owner);
	attr->st_mode = file_mode(node, owner.mode);
	attr->st_uid = owner.uid;
	attr->st_gid = owner.gid;
}

static void fill_stream_times(const struct node *node, struct stat *attr)
{
	uint64_t created_ms, changed_ms;
	sfs_stream_times(node->id.stream, &created_ms, &changed_ms);
	set_times(attr, changed_ms);
}

static void fill_shard(const struct node *node, struct stat *attr)
{
	struct sfs_shard_extent extent;
	sfs_shard_extent(node->id.shard, &extent);
	set_size(attr, extent.size_bytes, extent.stored_bytes);
	set_times(attr, extent.last_arrival_ms);
	attr->st_blksize = LARGE_BLOCK;
}

static void fill_blob(const struct node *node, struct stat *attr)
{
	set_size(attr, node->id.blob.size_bytes, node->id.blob.stored_bytes);
	set_times(attr, node->id.blob.time_ms);
	attr->st_blksize = LARGE_BLOCK;
}

static void fill_upload(const struct node *node, struct stat *attr)
{
	struct upload *upload = node->id.upload;
	struct upload_owner owner;
	uint64_t size_bytes = upload_size(upload);
	upload_get_owner(upload, &owner);
	set_size(attr, size_bytes, size_bytes);
	set_times(attr, upload->created_ms);
	/* Or rsync and cp -u may take what another is writing for the file that they bring. */
	attr->st_mtim = (struct timespec){0};
	attr->st_mode = S_IFREG | (owner.mode & 07777);
	attr->st_uid = owner.uid;
	attr->st_gid = owner.gid;
	attr->st_blksize = LARGE_BLOCK;
}

static void fill_view(const struct node *node, struct stat *attr)
{
	struct view_path *path = node->id.view_path;
	fill_stream_times(node, attr);
	attr->st_blksize = LARGE_BLOCK;
	if (!view_path_has_size(path))
		return;
	struct sfs_shard_extent extent;
	sfs_shard_extent(node->id.shard, &extent);
	set_times(attr, extent.last_arrival_ms);
	SCOPED_LOCK(&path->lock);
	uint64_t bytes = sfs_view_size(path->view);
	set_size(attr, bytes, bytes);
}

static int fill_generated(struct tree *tree, const struct node *node, struct stat *attr)
{
	_cleanup_free_ char *text = NULL;
	size_t bytes;
	int r = generated_render(tree, node, &text, &bytes);
	if (r == -EBADMSG && node->id.kind == NODE_CHECKPOINT)
		bytes = 0; /* that it can be looked up lets rm -r get rid of it */
	else if (r < 0)
		return r;
	set_size(attr, bytes, bytes);
	if (node->id.kind == NODE_CONFIG)
		fill_stream_times(node, attr);
	else
		set_times(attr, tree->mounted_ms);
	return 0;
}

int attr_fill(struct tree *tree, struct node *node, struct stat *ret_attr)
{
	struct stat attr = {.st_ino = node->id.ino, .st_nlink = 1, .st_blksize = SMALL_BLOCK};
	int r = 0;
	fill_owner(tree, node, &attr);
	switch (node->id.kind) {
	case NODE_ROOT:
		set_times(&attr, atomic_load(&tree->root_changed_ms));
		break;
	case NODE_CONTROL:
		set_times(&attr, tree->mounted_ms);
		break;
	case NODE_STREAM:
	case NODE_PUT:
	case NODE_DROP:
	case NODE_BLOBS:
	case NODE_CONSUMERS:
	case NODE_VIEW_DIR:
		fill_stream_times(node, &attr);
		break;
	case NODE_CONSUMER:
		fill_stream_times(node, &attr);
		r = sfs_consumer_exists(node->id.stream, node->id.consumer) ? 0 : -ENOENT;
		break;
	case NODE_SHARD:
	case NODE_SHARD_WRITER:
		fill_shard(node, &attr);
		break;
	case NODE_UPLOAD:
		fill_upload(node, &attr);
		break;
	case NODE_VIEW:
		fill_view(node, &attr);
		break;
	case NODE_BLOB:
		fill_blob(node, &attr);
		break;
	default:
		r = fill_generated(tree, node, &attr);
	}
	if (r < 0)
		return r;
	*ret_attr = attr;
	return 0;
}

/*
 * A long time is safe for names in a directory that always has them, and for streams, which are
 * made, renamed and removed by requests of this kernel only.
 */
double attr_entry_timeout(const struct node *node)
{
	switch (node->id.kind) {
	case NODE_SHARD:
	case NODE_SHARD_WRITER:
	case NODE_PUT:
	case NODE_UPLOAD:
	case NODE_BLOB:
	case NODE_CONSUMER:
	case NODE_CHECKPOINT:
	case NODE_VIEW:
		return 0.0;
	default:
		return 3600.0;
	}
}

double attr_timeout(const struct node *node)
{
	switch (node->id.kind) {
	case NODE_ROOT:
	case NODE_STREAM:
		return 1.0;
	case NODE_PUT:
		return 0.001;
	default:
		return 0.0;
	}
}
