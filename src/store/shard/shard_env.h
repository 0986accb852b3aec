/* SPDX-License-Identifier: MIT */
/*
 * What all shards of a store share: the disk and its directory, limits, caches, counters, the
 * syncer, and callbacks to the rooms above. The store owns it and sets it up before the first shard
 * exists. After that only members that are atomic or have a lock of their own change.
 */
#ifndef SHARD_SHARD_ENV_H
#define SHARD_SHARD_ENV_H

#include "active_files.h"
#include "disk.h"
#include "lru.h"
#include "metrics.h"
#include "streamfs/store.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct sfs_shard;
struct syncer;

struct shard_env {
	struct disk disk;
	int streams_dir; /* paths of shards are relative to it */
	bool read_only;
	uint64_t segment_bytes;	 /* text after which a segment is sealed */
	uint32_t segment_chunks; /* ... or chunks; this bounds its index */
	struct lru *segments;	 /* sealed ones, by shard tag and base */
	struct lru *chunks;	 /* struct chunk_text, by segment uid and file offset */
	struct active_files active_files;
	struct syncer *syncer;
	struct store_metrics metrics;
	atomic_bool closing; /* long jobs end early */

	void (*report)(void *context, enum sfs_severity severity, const char *line);
	void *report_context;

	/* A segment was sealed and has no index file yet. NULL: none is made. */
	void (*sealed)(struct sfs_shard *shard, uint64_t base_offset);
	/* A reference to a shard is one to its owner. `try_ref` fails if the owner has none yet. */
	void (*owner_ref)(struct sfs_shard *shard);
	bool (*owner_try_ref)(struct sfs_shard *shard);
	void (*owner_unref)(struct sfs_shard *shard);
};

/* Passes a line to the store's report function, if there is one. */
void env_report(struct shard_env *env, enum sfs_severity severity, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
