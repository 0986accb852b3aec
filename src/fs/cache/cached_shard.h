/* SPDX-License-Identifier: MIT */
/*
 * A shard in the kernel's page cache, under one inode. It is embedded in the readers' node of that
 * inode.
 */
#ifndef FS_CACHED_SHARD_H
#define FS_CACHED_SHARD_H

#include <stdatomic.h>
#include <stdint.h>

#include "followers.h"

struct sfs_shard;

struct cached_shard {
	struct sfs_shard *shard; /* borrowed */
	uint64_t nodeid;
	/* The size that the kernel knows. Only the notifier raises it (notifier.h). */
	_Atomic uint64_t known_bytes;
	struct followers followers;
};

/* The kernel has no inode yet. It gets `size_bytes` with the first reply. */
void cached_shard_init(
	struct cached_shard *cached, struct sfs_shard *shard, uint64_t nodeid, uint64_t size_bytes);
void cached_shard_fini(struct cached_shard *cached);

#endif
