/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "buf.h"
#include "cleanup.h"
#include "ops.h"
#include "reply.h"
#include "streamfs/shard.h"

#define XATTR_PREFIX "user.streamfs."

static int render_range(
	const struct sfs_shard *shard, const struct sfs_shard_info *info, struct buf *out)
{
	(void)shard;
	return buf_printf(out, "%s-%s", info->hash_first, info->hash_last);
}

static int render_parents(
	const struct sfs_shard *shard, const struct sfs_shard_info *info, struct buf *out)
{
	(void)info;
	_cleanup_free_ uint32_t *numbers = NULL;
	size_t count;
	int r = sfs_shard_parents(shard, &numbers, &count);
	for (size_t i = 0; r == 0 && i < count; i++) {
		char name[SFS_SHARD_NAME_MAX];
		sfs_shard_name(numbers[i], name);
		r = buf_printf(out, "%s%s", i ? "," : "", name);
	}
	return r;
}

static int render_state(
	const struct sfs_shard *shard, const struct sfs_shard_info *info, struct buf *out)
{
	(void)shard;
	static const char *const names[] = {
		[SFS_SHARD_OPEN] = "open",
		[SFS_SHARD_CLOSED] = "closed",
		[SFS_SHARD_FAILED] = "failed",
	};
	return buf_printf(out, "%s", names[info->state]);
}

static int render_first(
	const struct sfs_shard *shard, const struct sfs_shard_info *info, struct buf *out)
{
	(void)shard;
	return buf_printf(out, "%" PRIu64, info->first_sequence);
}

static int render_next(
	const struct sfs_shard *shard, const struct sfs_shard_info *info, struct buf *out)
{
	(void)shard;
	return buf_printf(out, "%" PRIu64, info->next_sequence);
}

static int render_ratio(
	const struct sfs_shard *shard, const struct sfs_shard_info *info, struct buf *out)
{
	(void)shard;
	double text = (double)(info->size_bytes - info->horizon_offset);
	return buf_printf(
		out, "%.2f", info->stored_bytes ? text / (double)info->stored_bytes : 1.0);
}

static const struct xattr {
	const char *name;
	int (*render)(
		const struct sfs_shard *shard, const struct sfs_shard_info *info, struct buf *out);
} xattrs[] = {
	{XATTR_PREFIX "hash_range", render_range},
	{XATTR_PREFIX "parents", render_parents},
	{XATTR_PREFIX "state", render_state},
	{XATTR_PREFIX "sequence_first", render_first},
	{XATTR_PREFIX "sequence_next", render_next},
	{XATTR_PREFIX "ratio", render_ratio},
};
enum { XATTR_COUNT = sizeof(xattrs) / sizeof(xattrs[0]) };

static int render(const struct node *node, const char *name, struct buf *out)
{
	struct sfs_shard_info info;
	if (!node->id.shard)
		return -ENODATA;
	for (size_t i = 0; i < XATTR_COUNT; i++) {
		if (strcmp(xattrs[i].name, name) != 0)
			continue;
		sfs_shard_info(node->id.shard, &info);
		return xattrs[i].render(node->id.shard, &info, out);
	}
	return -ENODATA;
}

/* Every name with its NUL. */
static int render_list(const struct node *node, struct buf *out)
{
	int r = 0;
	for (size_t i = 0; node->id.shard && i < XATTR_COUNT && r == 0; i++)
		r = buf_append(out, xattrs[i].name, strlen(xattrs[i].name) + 1);
	return r;
}

void op_getxattr(fuse_req_t req, fuse_ino_t nodeid, const char *name, size_t bytes)
{
	TRACE_REQUEST(req, nodeid);
	_cleanup_(buf_fini) struct buf value = {0};
	int r = render(fs_node(fs_of(req), nodeid), name, &value);
	if (r == 0 && bytes > 0 && value.size > bytes)
		r = -ERANGE;
	if (r < 0)
		reply_result(req, r);
	else if (bytes == 0)
		fuse_reply_xattr(req, value.size);
	else
		fuse_reply_buf(req, (const char *)value.data, value.size);
}

void op_listxattr(fuse_req_t req, fuse_ino_t nodeid, size_t bytes)
{
	TRACE_REQUEST(req, nodeid);
	_cleanup_(buf_fini) struct buf names = {0};
	int r = render_list(fs_node(fs_of(req), nodeid), &names);
	if (r == 0 && bytes > 0 && names.size > bytes)
		r = -ERANGE;
	if (r < 0)
		reply_result(req, r);
	else if (bytes == 0)
		fuse_reply_xattr(req, names.size);
	else
		fuse_reply_buf(req, (const char *)names.data, names.size);
}

void op_setxattr(fuse_req_t req, fuse_ino_t nodeid, const char *name, const char *value,
	size_t bytes, int flags)
{
	TRACE_REQUEST(req, nodeid);
	(void)name;
	(void)value;
	(void)bytes;
	(void)flags;
	fuse_reply_err(req, fs_node(fs_of(req), nodeid)->id.shard ? EPERM : ENOTSUP);
}

void op_removexattr(fuse_req_t req, fuse_ino_t nodeid, const char *name)
{
	TRACE_REQUEST(req, nodeid);
	(void)name;
	fuse_reply_err(req, fs_node(fs_of(req), nodeid)->id.shard ? EPERM : ENODATA);
}
