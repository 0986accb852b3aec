/* SPDX-License-Identifier: MIT */
/* Answers statfs(2): what `df` shows. */
#include "ops.h"
#include "reply.h"
#include "streamfs/store.h"

void op_statfs(fuse_req_t req, fuse_ino_t nodeid)
{
	TRACE_REQUEST(req, nodeid);
	struct statvfs figures;
	int r = sfs_store_statvfs(fs_of(req)->tree.store, &figures);
	if (r < 0) {
		reply_result(req, r);
		return;
	}
	figures.f_namemax = 255;
	fuse_reply_statfs(req, &figures);
}
