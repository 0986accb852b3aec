/* SPDX-License-Identifier: MIT */
/*
 * Tells the kernel that a shard has grown, so that its page cache stays right. Reads of shards go
 * through that cache, and appends come by other inodes or from the daemon itself, so nothing but
 * this keeps the two together.
 *
 * The page in which the file ended is cached with zeros past the end. Before any reply tells a
 * larger size, that page must go (inval_inode), or readers get the zeros for text. The kernel then
 * disregards the attributes of every reply that was under way: they might be older than the
 * invalidation. So the size in the reply that waits here would have no effect, and a read(2) at the
 * old end, which asked for the size in order to go on, would return 0 though there is more. Storing
 * the last byte (a newline: published text ends in one) into the page cache does what the reply
 * cannot: it raises the inode's size. It is stored even where no page had to go, since of two
 * replies under way, of which one tells more, the kernel may disregard the one that does.
 *
 * Between the two it waits for those who may still hold the page that went (followers.h): their
 * reads were told the old size and are about to look at the inode's.
 *
 * Invariants:
 *   1. known_bytes of a cached_shard only grows. Only the notifier's thread writes it.
 *   2. No reply carries a size above known_bytes.
 *   3. Before known_bytes grows, the page in which it ended is dropped, and the readers that were
 *      noted before (followers.h) have gone on.
 *   4. A job's `done` is called exactly once, without locks.
 *
 * One thread does this for all, in order, so that a node's told size only grows, and only after
 * the invalidation. It must not be a thread that serves requests: an invalidation waits for the
 * pages that are being read. Reads never wait for this thread.
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
	/* Must live until `done` is called. NULL: there is nothing to do but to call it. */
	struct cached_shard *cached;
	/* The notifier's own, zero at first: the known size whose page was dropped, and when. */
	uint64_t invalidated_bytes;
	uint64_t invalidated_ns;
	uint64_t size_bytes; /* published when it was invalidated, or asked for */
	/* Not 0: text below this offset was trimmed and must not be served from the cache. */
	uint64_t trimmed_bytes;
	unsigned tries;
	/*
	 * Called once: with 0 and a size that may now be told, from the notifier's thread, or with
	 * -ECONNABORTED at the end of the mount, when there is nothing more to tell.
	 */
	void (*done)(struct notifier_job *job, int result, uint64_t size_bytes);
};

int notifier_start(struct fuse_session *session, struct notifier **ret_notifier);
/*
 * Tells the kernel nothing more, and gives up what is queued and what is submitted from now on.
 * Waits for what was told last, which may wait for a read: the session must go on being served.
 */
void notifier_stop(struct notifier *notifier);
/* A stopped one, to which nobody submits any more. NULL is fine. */
void notifier_free(struct notifier *notifier);

void notifier_submit(struct notifier *notifier, struct notifier_job *job);

#endif
