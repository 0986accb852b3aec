/* SPDX-License-Identifier: MIT */
/* Answers of requests, and the errnos in them. */
#ifndef FS_REPLY_H
#define FS_REPLY_H

#include <fuse_lowlevel.h>

/* The errno, above 0, that a program gets for a result (0 or -errno). */
int reply_errno(int result);

/* Answers a request that returns nothing but success or an error. */
void reply_result(fuse_req_t req, int result);

#endif
