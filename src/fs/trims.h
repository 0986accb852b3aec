/* SPDX-License-Identifier: MIT */
/* What was trimmed leaves the kernel's page cache, too. */
#ifndef FS_TRIMS_H
#define FS_TRIMS_H

#include "fs.h"

/* From now on; until trims_unwatch(), while the notifier runs. */
void trims_watch(struct fs *fs);
void trims_unwatch(struct fs *fs);

/* Answers a write to trim once the page cache has nothing any more of what it trimmed. */
void trims_reply(fuse_req_t req, size_t bytes);

#endif
