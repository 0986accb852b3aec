/* SPDX-License-Identifier: MIT */
#include "reply.h"

#include <errno.h>

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
	fuse_reply_err(req, reply_errno(result));
}
