/* SPDX-License-Identifier: MIT */
/*
 * Threads that may be reading across the end of a shard.
 *
 * Such a read asks for the size. It gets a reply, takes the page in which the file ends from the
 * page cache and then, a moment later, looks at the inode's size again. If the size were raised in
 * that moment, the read would take the page's zeros for text. So each thread that got a size for a
 * read is noted here until it has gone on, which shows in one of these:
 *
 *   - it sends another request;
 *   - it sleeps, which no thread does in that moment;
 *   - it has run for a millisecond, of which that moment is a thousandth. So a thread that computes
 *     does not hold up a growing shard.
 *
 * A thread that gets no processor counts as gone after ten seconds. One that /proc does not show
 * (it is hidden, or in another PID namespace) counts as gone after a quarter of a second.
 *
 * The time that a thread has run is brought up to date when it stops running and at the clock's
 * ticks. So the first change may be of what it ran before, and only later changes count.
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

/* This thread is about to get a size for a read. Without memory it is not noted. */
void followers_add(struct followers *followers, pid_t tid);
/* This thread has sent another request. */
void followers_remove(struct followers *followers, pid_t tid);

/* True once every thread that was noted at `before_ns` (monotonic clock) has gone on. */
bool followers_gone(struct followers *followers, uint64_t before_ns);

#endif
