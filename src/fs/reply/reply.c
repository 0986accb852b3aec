/* SPDX-License-Identifier: MIT */
#include "reply.h"

#include <errno.h>
#include <string.h>

#include "trace.h"

int reply_errno(int result)
{
	switch (result) {
	case -EBADMSG:	       /* damaged */
	case -EPROTONOSUPPORT: /* of an unknown format */
		return EIO;
	default:
		return -result;
	}
}

void reply_result(fuse_req_t req, int result)
{
	if (result < 0)
		TRACE(request, "thread %d gets: %s", (int)fuse_req_ctx(req)->pid,
			strerror(reply_errno(result)));
	fuse_reply_err(req, reply_errno(result));
}
