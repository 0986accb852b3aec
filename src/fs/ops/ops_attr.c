/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "attr.h"
#include "node_reply.h"
#include "ops.h"
#include "reply.h"
#include "streamfs/store.h"
#include "upload.h"
#include "view_path.h"

void op_getattr(fuse_req_t req, fuse_ino_t nodeid, struct fuse_file_info *fi)
{
	TRACE_REQUEST(req, nodeid);
	struct fs *fs = fs_of(req);
	struct node *node = fs_node(fs, nodeid);
	struct stat attr;
	if (fi && node->id.kind == NODE_SHARD)
		followers_remove(&node->cached_shard.followers, fuse_req_ctx(req)->pid);
	int r = attr_fill(&fs->tree, node, &attr);
	if (r < 0)
		reply_result(req, r);
	else
		node_reply_attr(req, node, &attr, fi != NULL);
}

/*
 * Where a write replaces the whole content, `>` is as good as `>>`. Programs that edit a file in
 * place also cut it after the write.
 */
static int set_size(struct node *node, off_t size)
{
	switch (node->id.kind) {
	case NODE_UPLOAD:
		return upload_truncate(node->id.upload, (uint64_t)size);
	case NODE_CONFIG:
	case NODE_DEFAULTS:
	case NODE_CHECKPOINT:
		return 0;
	case NODE_PUT:
	case NODE_TRIM:
		return size == 0 ? 0 : -EPERM;
	case NODE_VIEW:
		return size == 0 && view_path_is_writable(node->id.view_path) ? 0 : -EPERM;
	default:
		return -EPERM;
	}
}

static void merge_owner(struct sfs_owner *owner, const struct stat *attr, int to_set)
{
	if (to_set & FUSE_SET_ATTR_MODE)
		owner->mode = attr->st_mode & 07777;
	if (to_set & FUSE_SET_ATTR_UID)
		owner->uid = attr->st_uid;
	if (to_set & FUSE_SET_ATTR_GID)
		owner->gid = attr->st_gid;
}

static int set_stream_owner(struct fs *fs, struct node *node, const struct stat *attr, int to_set)
{
	struct sfs_owner owner;
	sfs_stream_owner(node->id.stream, &owner);
	merge_owner(&owner, attr, to_set);
	int r = sfs_stream_set_owner(node->id.stream, &owner);
	/* The kernel might never take the new mode of a shard that grows all the time. */
	if (r == 0)
		node_retire_files(&fs->tree.nodes, sfs_stream_id(node->id.stream));
	return r;
}

static int set_root_owner(struct fs *fs, const struct stat *attr, int to_set)
{
	struct sfs_owner owner;
	sfs_store_owner(fs->tree.store, &owner);
	merge_owner(&owner, attr, to_set);
	return sfs_store_set_owner(fs->tree.store, &owner);
}

static int set_upload_owner(struct upload *upload, const struct stat *attr, int to_set)
{
	struct upload_owner owner;
	upload_get_owner(upload, &owner);
	if (to_set & FUSE_SET_ATTR_MODE)
		owner.mode = attr->st_mode & 07777;
	if (to_set & FUSE_SET_ATTR_UID)
		owner.uid = attr->st_uid;
	if (to_set & FUSE_SET_ATTR_GID)
		owner.gid = attr->st_gid;
	upload_set_owner(upload, &owner);
	return 0;
}

/* What derives its owner and mode from the stream's cannot have others. */
static int check_unchanged(struct fs *fs, struct node *node, const struct stat *attr, int to_set)
{
	struct stat now;
	int r = attr_fill(&fs->tree, node, &now);
	if (r < 0)
		return r;
	bool changes = ((to_set & FUSE_SET_ATTR_MODE) &&
			       (attr->st_mode & 07777) != (now.st_mode & 07777)) ||
		       ((to_set & FUSE_SET_ATTR_UID) && attr->st_uid != now.st_uid) ||
		       ((to_set & FUSE_SET_ATTR_GID) && attr->st_gid != now.st_gid);
	return changes ? -EPERM : 0;
}

static int set_owner(struct fs *fs, struct node *node, const struct stat *attr, int to_set)
{
	switch (node->id.kind) {
	case NODE_ROOT:
		return set_root_owner(fs, attr, to_set);
	case NODE_STREAM:
		return set_stream_owner(fs, node, attr, to_set);
	case NODE_UPLOAD:
		return set_upload_owner(node->id.upload, attr, to_set);
	default:
		return check_unchanged(fs, node, attr, to_set);
	}
}

/* Times are those of arrivals. Tools that copy set them on directories and on uploads. */
static int set_times(const struct node *node)
{
	switch (node->id.kind) {
	case NODE_ROOT:
	case NODE_CONTROL:
	case NODE_STREAM:
	case NODE_DROP:
	case NODE_BLOBS:
	case NODE_UPLOAD:
	case NODE_CONSUMERS:
	case NODE_CONSUMER:
	case NODE_CHECKPOINT:
		return 0;
	default:
		return -EPERM;
	}
}

static int set_attr(struct fs *fs, struct node *node, const struct stat *attr, int to_set)
{
	const int owner = FUSE_SET_ATTR_MODE | FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID;
	const int times = FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_ATIME_NOW |
			  FUSE_SET_ATTR_MTIME_NOW;
	int r = 0;
	if (to_set & FUSE_SET_ATTR_SIZE)
		r = set_size(node, attr->st_size);
	else if (to_set & times) /* the kernel brings them along with a size */
		r = set_times(node);
	if (r == 0 && (to_set & owner))
		r = set_owner(fs, node, attr, to_set);
	return r;
}

void op_setattr(
	fuse_req_t req, fuse_ino_t nodeid, struct stat *attr, int to_set, struct fuse_file_info *fi)
{
	TRACE_REQUEST(req, nodeid);
	(void)fi;
	struct fs *fs = fs_of(req);
	struct node *node = fs_node(fs, nodeid);
	struct stat now;
	int r = set_attr(fs, node, attr, to_set);
	if (r == 0)
		r = attr_fill(&fs->tree, node, &now);
	if (r < 0)
		reply_result(req, r);
	else
		node_reply_attr(req, node, &now, false);
}
