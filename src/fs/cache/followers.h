/* SPDX-License-Identifier: MIT */
/*
 * Threads that may be reading across the end of a shard.
 *
 * Such a read requests the size and gets a reply. It takes the page in which the file ends from the
 * page cache. A moment later it reads the inode's size again. If the size grew in that moment, the
 * read would return the page's zeros as text. So each thread that got a size for a read is noted
 * here until it has gone on. A thread has gone on when
 *
 *   - it sends another request;
 *   - it sleeps: no thread sleeps in that moment;
 *   - it has run for a millisecond: that moment takes a thousandth of it. So a thread that computes
 *     does not hold up a growing shard.
 *
 * A thread that gets no processor counts as gone after ten seconds. One that /proc does not show
 * (it is hidden, or in another PID namespace) counts as gone after a quarter of a second.
 *
 * The kernel updates the time that a thread has run when the thread stops running and at each clock
 * tick. The first change may include time from before the reply, so only later changes count.
 *
 * Invariants:
 *   1. The list is in the order of the replies, the newest first.
 *   2. A thread that /proc shows stands in it once at most.
 *
 * Thread-safe.
 */
#ifndef FS_FOLLOWERS_H
#define FS_FOLLOWERS_H

#include <bsd/sys/queue.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct followers {
	pthread_mutex_t lock;
	TAILQ_HEAD(follower_list, follower) all; /* newest first */
};

void followers_init(struct followers *followers);
void followers_fini(struct followers *followers);

/* Notes a thread that is about to get a size for a read. Without memory it is not noted. */
void followers_add(struct followers *followers, pid_t tid);
/* Removes a thread that has sent another request. */
void followers_remove(struct followers *followers, pid_t tid);

/* True once every thread that was noted at `before_ns` (monotonic clock) has gone on. */
bool followers_gone(struct followers *followers, uint64_t before_ns);

#endif
