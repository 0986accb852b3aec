/* SPDX-License-Identifier: MIT */
/*
 * Requests that wait for an advisory lock. An interrupt can come while its request is being
 * answered, so the memory of a wait is kept for the next ones until the mount ends, and `req` shows
 * whether the wait is still that of the request that was interrupted.
 */
#ifndef FS_LOCK_WAITS_H
#define FS_LOCK_WAITS_H

#include <bsd/sys/queue.h>
#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdbool.h>

struct lock_table;

struct lock_wait {
	LIST_ENTRY(lock_wait) all;
	struct lock_waits *waits;
	fuse_req_t req;	  /* NULL: free */
	unsigned refs;	  /* what still uses it */
	bool interrupted; /* perhaps before it waited */
};

struct lock_waits {
	pthread_mutex_t lock;
	LIST_HEAD(, lock_wait) all; /* lock, with all of their fields */
};

void lock_waits_init(struct lock_waits *waits);
void lock_waits_fini(struct lock_waits *waits);

/* With two references: the operation's and the grant's. NULL: out of memory. */
struct lock_wait *lock_wait_take(struct lock_waits *waits, fuse_req_t req);
void lock_wait_put(struct lock_wait *wait, unsigned refs);
/* Marks the wait of a request and takes a reference; false if it is another's by now. */
bool lock_wait_interrupt(struct lock_wait *wait, fuse_req_t req);
bool lock_wait_interrupted(struct lock_wait *wait);

/* At the end of the mount: ends what still waits for a lock with ECONNABORTED. */
void lock_waits_cancel(struct lock_waits *waits, struct lock_table *locks);

#endif
