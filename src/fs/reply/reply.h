/* SPDX-License-Identifier: MIT */
/*
 * The room reply/: how requests are answered. The store's results become the errnos that programs
 * see here and nowhere else.
 *
 * Uses libfuse.
 */
#ifndef FS_REPLY_H
#define FS_REPLY_H

#include <fuse_lowlevel.h>

/* The errno, above 0, that a program gets for a result (0 or -errno). */
int reply_errno(int result);

/* Answers a request that returns nothing but success or an error. */
void reply_result(fuse_req_t req, int result);

#endif
