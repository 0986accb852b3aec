/* SPDX-License-Identifier: MIT */
/*
 * Keeps the kernel's page cache right while a shard grows and is trimmed. Reads of shards go
 * through that cache. Appends come through other inodes or from the daemon itself, so the kernel
 * does not see that the file has grown.
 *
 * A shard that has grown takes three steps:
 *
 *   1. Drop the page in which the file ended (inval_inode). The cached page has zeros past the end.
 *      Readers would get them as text once the size is larger.
 *   2. Wait for the readers that may still hold the dropped page (followers.h). They know the old
 *      size and are about to read the inode's.
 *   3. Store the last byte in the page cache. It is a newline, since published text ends in one.
 *      This raises the inode's size. A reply under way cannot raise it: its attributes may be older
 *      than step 1, so the kernel ignores them. Without this step a read(2) at the old end would
 *      return 0 although there is more. So step 3 runs even if step 1 had no page to drop.
 *
 * Then replies may carry the new size.
 *
 * Invariants:
 *   1. known_bytes of a cached_shard only grows. Only the notifier's thread writes it.
 *   2. No reply carries a size above known_bytes.
 *   3. Before known_bytes grows, the page in which it ended is dropped, and all readers noted
 *      before the drop have gone on.
 *   4. A job's `done` is called exactly once, without locks.
 *
 * One thread runs all jobs, in order. This thread must not serve requests: an invalidation waits
 * for pages that are being read. Reads never wait for this thread.
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
	/* The notifier's own, zero at first: known_bytes at the last drop of a page, and when. */
	uint64_t invalidated_bytes;
	uint64_t invalidated_ns;
	uint64_t size_bytes; /* the published size at the drop or at the submission */
	/* Not 0: text below this offset was trimmed and must not be served from the cache. */
	uint64_t trimmed_bytes;
	unsigned tries;
	/*
	 * Called once. With 0 and the size that a reply may carry now, from the notifier's thread.
	 * With -ECONNABORTED at the end of the mount, from the submitting or the notifier's thread.
	 */
	void (*done)(struct notifier_job *job, int result, uint64_t size_bytes);
};

int notifier_start(struct fuse_session *session, struct notifier **ret_notifier);
/*
 * Ends queued jobs, and jobs submitted later, with -ECONNABORTED. Waits for the job that runs. That
 * job may wait for a read, so the session must still be served.
 */
void notifier_stop(struct notifier *notifier);
/* Frees a stopped notifier. No job may be submitted any more. NULL is fine. */
void notifier_free(struct notifier *notifier);

void notifier_submit(struct notifier *notifier, struct notifier_job *job);

#endif
