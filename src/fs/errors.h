/* SPDX-License-Identifier: MIT */
/* The one place where the store's results become the errnos that programs see. */
#ifndef FS_ERRORS_H
#define FS_ERRORS_H

#include <errno.h>

/* A result (0 or -errno) as fuse_reply_err() wants it. */
static inline int fs_errno(int result)
{
	switch (result) {
	case -EBADMSG:	       /* damaged */
	case -EPROTONOSUPPORT: /* of an unknown format */
		return EIO;
	default:
		return -result;
	}
}

#endif
