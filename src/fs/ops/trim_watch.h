/* SPDX-License-Identifier: MIT */
/* Watches for trims, so that what was trimmed leaves the kernel's page cache, too. */
#ifndef FS_TRIM_WATCH_H
#define FS_TRIM_WATCH_H

#include <fuse_lowlevel.h>
#include <stddef.h>

struct fs;

/* From now on, until trim_watch_stop(). The notifier runs for all of that time. */
void trim_watch_start(struct fs *fs);
void trim_watch_stop(struct fs *fs);

/* Answers a write to trim once the page cache has nothing any more of what it trimmed. */
void trim_watch_reply(fuse_req_t req, size_t bytes);

#endif
