/* SPDX-License-Identifier: MIT */
/*
 * Threads that may be reading across the end of a shard. Such a read asks for the size, is told,
 * takes the page in which the file ends from the page cache and then, a moment later, looks at the
 * inode's size again. Were the size raised in that moment, it would take the page's zeros for text.
 * So whom a size was told for a read is noted here, until it is seen to have gone on: by another
 * request of its, by sleeping, which no thread does in that moment, or by having run for a
 * millisecond, of which that moment is a thousandth. A thread that computes is thus not waited for,
 * and one that gets no processor is, for ten seconds at most.
 *
 * How long a thread has run is brought up to date when it stops running and at the clock's ticks.
 * So the first change may be of what it ran before, and only what comes after that counts.
 *
 * Where /proc does not tell of a thread (it is in another PID namespace, or hidden), it has gone on
 * after a quarter of a second.
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
	TAILQ_HEAD(follower_list, follower) all; /* who was told last comes first */
};

void followers_init(struct followers *followers);
void followers_fini(struct followers *followers);

/* This thread is about to be told a size. Without memory it is not noted. */
void followers_add(struct followers *followers, pid_t tid);
/* This thread has sent another request. */
void followers_remove(struct followers *followers, pid_t tid);

/* True once everybody has gone on who was noted when `before_ns` (of the monotonic clock) was. */
bool followers_gone(struct followers *followers, uint64_t before_ns);

#endif
