/* SPDX-License-Identifier: MIT */
/*
 * Keeps the kernel's page cache right while a shard grows and is trimmed. Reads of shards go
 * through that cache. Appends come by other inodes or from the daemon itself, so the kernel does
 * not see that the file has grown.
 *
 * A shard that has grown takes three steps:
 *
 *   1. Drop the page in which the file ended (inval_inode). It is cached with zeros past the end,
 *      which readers would get for text once the size is larger.
 *   2. Wait for the readers that may still hold the dropped page (followers.h). They know the old
 *      size and are about to look at the inode's.
 *   3. Store the last byte, a newline since published text ends in one, into the page cache. That
 *      raises the inode's size. The replies under way cannot: the kernel disregards their
 *      attributes, which might be older than step 1, and a read(2) at the old end would return 0
 *      although there is more. So this is done even where no page had to go.
 *
 * Then replies may carry the new size.
 *
 * Invariants:
 *   1. known_bytes of a cached_shard only grows. Only the notifier's thread writes it.
 *   2. No reply carries a size above known_bytes.
 *   3. Before known_bytes grows, the page in which it ended is dropped, and the readers that were
 *      noted before have gone on.
 *   4. A job's `done` is called exactly once, without locks.
 *
 * One thread serves all jobs, in order. It must not be one that serves requests: an invalidation
 * waits for pages that are being read. Reads never wait for this thread.
 */
#ifndef FS_NOTIFIER_H
#define FS_NOTIFIER_H

#include <stdint.h>

#include "worker.h"

struct fuse_session;
struct cached_shard;
struct notifier;

struct notifier_job {
	struct work work;
	/* Lives until `done` is called. NULL: there is nothing to do but to call `done`. */
	struct cached_shard *cached;
	/* The notifier's own, zero at first: known_bytes at the last drop of its page, and when. */
	uint64_t invalidated_bytes;
	uint64_t invalidated_ns;
	uint64_t size_bytes; /* published when it was invalidated, or asked for */
	/* Not 0: text below this offset was trimmed and must not be served from the cache. */
	uint64_t trimmed_bytes;
	unsigned tries;
	/*
	 * Called once: with 0 and the size that a reply may carry now, from the notifier's thread,
	 * or with -ECONNABORTED at the end of the mount, from the thread that submits or the
	 * notifier's.
	 */
	void (*done)(struct notifier_job *job, int result, uint64_t size_bytes);
};

int notifier_start(struct fuse_session *session, struct notifier **ret_notifier);
/*
 * Gives up what is queued and what is submitted from now on. Waits for the job that runs, which may
 * wait for a read: the session must go on being served.
 */
void notifier_stop(struct notifier *notifier);
/* A stopped one, to which nothing is submitted any more. NULL is fine. */
void notifier_free(struct notifier *notifier);

void notifier_submit(struct notifier *notifier, struct notifier_job *job);

#endif
