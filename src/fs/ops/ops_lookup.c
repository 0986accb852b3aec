/* SPDX-License-Identifier: MIT */
#include "attr.h"
#include "cleanup.h"
#include "dir_names.h"
#include "node_reply.h"
#include "ops.h"
#include "reply.h"

static int lookup(struct fs *fs, fuse_ino_t parent, const char *name, const struct fuse_ctx *ctx,
	struct node **ret_node, struct stat *ret_attr)
{
	_cleanup_(node_identity_fini) struct node_identity id = {0};
	struct node *node;
	int r = dir_names_resolve(&fs->tree, fs_node(fs, parent), name, ctx, &id);
	if (r < 0)
		return r;
	r = node_enter(&fs->tree.nodes, &id, &node);
	if (r < 0)
		return r;
	r = attr_fill(&fs->tree, node, ret_attr);
	if (r < 0) {
		node_forget(&fs->tree.nodes, node, 1);
		return r;
	}
	*ret_node = node;
	return 0;
}

void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	TRACE_REQUEST(req, parent);
	struct node *node;
	struct stat attr;
	int r = lookup(fs_of(req), parent, name, fuse_req_ctx(req), &node, &attr);
	if (r < 0)
		reply_result(req, r);
	else
		node_reply_entry(req, node, &attr);
}

void op_forget(fuse_req_t req, fuse_ino_t nodeid, uint64_t lookups)
{
	TRACE_REQUEST(req, nodeid);
	struct fs *fs = fs_of(req);
	node_forget(&fs->tree.nodes, fs_node(fs, nodeid), lookups);
	fuse_reply_none(req);
}

void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	struct fs *fs = fs_of(req);
	for (size_t i = 0; i < count; i++)
		node_forget(&fs->tree.nodes, fs_node(fs, forgets[i].ino), forgets[i].nlookup);
	fuse_reply_none(req);
}
