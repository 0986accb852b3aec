/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "attr.h"
#include "cleanup.h"
#include "errors.h"
#include "names.h"
#include "notifier.h"
#include "ops.h"

/* A reply with attributes of a shard that has grown: it waits for the notifier. */
struct telling {
	struct notifier_job job;
	fuse_req_t req;
	bool lookup;  /* the reply is an entry, and counts one */
	pid_t reader; /* asks in order to read on; else 0 */
	struct stat attr;
};

static bool has_grown(const struct node *node, const struct stat *attr)
{
	return node->id.kind == NODE_SHARD &&
	       (uint64_t)attr->st_size > atomic_load(&node->told_bytes);
}

static struct fuse_entry_param entry_of(struct fs *fs, struct node *node, const struct stat *attr)
{
	return (struct fuse_entry_param){
		.ino = node_id(&fs->nodes, node),
		.attr = *attr,
		.attr_timeout = attr_timeout(node),
		.entry_timeout = attr_entry_timeout(node),
	};
}

static void tell_grown(struct notifier_job *job, int result, uint64_t size_bytes)
{
	struct telling *telling = (struct telling *)job;
	struct fs *fs = fs_of(telling->req);
	struct node *node = job->node;
	telling->attr.st_size = (off_t)size_bytes;
	if (result < 0) {
		if (telling->lookup)
			node_forget(&fs->nodes, node, 1);
		fuse_reply_err(telling->req, fs_errno(result));
	} else if (telling->lookup) {
		struct fuse_entry_param entry = entry_of(fs, node, &telling->attr);
		if (fuse_reply_entry(telling->req, &entry) != 0)
			node_forget(&fs->nodes, node, 1);
	} else {
		if (telling->reader)
			followers_add(&node->followers, telling->reader);
		fuse_reply_attr(telling->req, &telling->attr, attr_timeout(node));
	}
	free(telling);
}

static int tell_later(
	fuse_req_t req, struct node *node, const struct stat *attr, bool lookup, bool reading)
{
	struct fs *fs = fs_of(req);
	struct telling *telling = calloc(1, sizeof(*telling));
	if (!telling)
		return -ENOMEM;
	telling->job.node = node;
	telling->job.nodeid = node_id(&fs->nodes, node);
	telling->job.tell = tell_grown;
	telling->job.size_bytes = (uint64_t)attr->st_size;
	telling->req = req;
	telling->lookup = lookup;
	telling->reader = reading ? fuse_req_ctx(req)->pid : 0;
	telling->attr = *attr;
	notifier_submit(fs->notifier, &telling->job);
	return 0;
}

static int lookup(struct fs *fs, fuse_ino_t parent, const char *name, const struct fuse_ctx *ctx,
	struct node **ret_node, struct stat *ret_attr)
{
	_cleanup_(identity_fini) struct node_identity id = {0};
	struct node *node;
	int r = names_resolve(fs, fs_node(fs, parent), name, ctx, &id);
	if (r < 0)
		return r;
	r = node_enter(&fs->nodes, &id, &node);
	if (r < 0)
		return r;
	r = attr_fill(fs, node, ret_attr);
	if (r < 0) {
		node_forget(&fs->nodes, node, 1);
		return r;
	}
	*ret_node = node;
	return 0;
}

void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fs *fs = fs_of(req);
	struct node *node;
	struct stat attr;
	int r = lookup(fs, parent, name, fuse_req_ctx(req), &node, &attr);
	if (r < 0) {
		fuse_reply_err(req, fs_errno(r));
		return;
	}
	if (has_grown(node, &attr)) {
		r = tell_later(req, node, &attr, true, false);
		if (r < 0) {
			node_forget(&fs->nodes, node, 1);
			fuse_reply_err(req, fs_errno(r));
		}
		return;
	}
	struct fuse_entry_param entry = entry_of(fs, node, &attr);
	if (fuse_reply_entry(req, &entry) != 0)
		node_forget(&fs->nodes, node, 1);
}

void op_forget(fuse_req_t req, fuse_ino_t nodeid, uint64_t lookups)
{
	struct fs *fs = fs_of(req);
	node_forget(&fs->nodes, fs_node(fs, nodeid), lookups);
	fuse_reply_none(req);
}

void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	struct fs *fs = fs_of(req);
	for (size_t i = 0; i < count; i++)
		node_forget(&fs->nodes, fs_node(fs, forgets[i].ino), forgets[i].nlookup);
	fuse_reply_none(req);
}

/* The kernel brings a handle where a read(2) asks, because it would go past the end it knows. */
static void reply_attr(fuse_req_t req, struct node *node, const struct stat *attr, bool reading)
{
	bool is_shard = node->id.kind == NODE_SHARD;
	if (has_grown(node, attr)) {
		int r = tell_later(req, node, attr, false, reading && is_shard);
		if (r < 0)
			fuse_reply_err(req, fs_errno(r));
		return;
	}
	if (reading && is_shard)
		followers_add(&node->followers, fuse_req_ctx(req)->pid);
	fuse_reply_attr(req, attr, attr_timeout(node));
}

void op_getattr(fuse_req_t req, fuse_ino_t nodeid, struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);
	struct node *node = fs_node(fs, nodeid);
	struct stat attr;
	if (fi && node->id.kind == NODE_SHARD)
		followers_remove(&node->followers, fuse_req_ctx(req)->pid);
	int r = attr_fill(fs, node, &attr);
	if (r < 0)
		fuse_reply_err(req, fs_errno(r));
	else
		reply_attr(req, node, &attr, fi != NULL);
}

/*
 * `>` is as good as `>>` where a write says all there is to say. After a write, programs that edit
 * a file in place cut it there, too.
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
		return size == 0 && place_is_writable(node->id.place) ? 0 : -EPERM;
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
	/* Of a shard that grows all the time, the kernel might never take the new mode. */
	if (r == 0)
		node_retire_files(&fs->nodes, sfs_stream_id(node->id.stream));
	return r;
}

static int set_root_owner(struct fs *fs, const struct stat *attr, int to_set)
{
	struct sfs_owner owner;
	sfs_store_owner(fs->store, &owner);
	merge_owner(&owner, attr, to_set);
	return sfs_store_set_owner(fs->store, &owner);
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
	int r = attr_fill(fs, node, &now);
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

/* Times tell of arrivals. Tools that copy set them on directories and on what they drop. */
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
	(void)fi;
	struct fs *fs = fs_of(req);
	struct node *node = fs_node(fs, nodeid);
	struct stat now;
	int r = set_attr(fs, node, attr, to_set);
	if (r == 0)
		r = attr_fill(fs, node, &now);
	if (r < 0)
		fuse_reply_err(req, fs_errno(r));
	else
		reply_attr(req, node, &now, false);
}

void op_statfs(fuse_req_t req, fuse_ino_t nodeid)
{
	(void)nodeid;
	struct statvfs figures;
	int r = sfs_store_statvfs(fs_of(req)->store, &figures);
	if (r < 0) {
		fuse_reply_err(req, fs_errno(r));
		return;
	}
	figures.f_namemax = 255;
	fuse_reply_statfs(req, &figures);
}
