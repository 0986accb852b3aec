/* SPDX-License-Identifier: MIT */
/*
 * All reads and polls of feeds that wait, and a thread, the waker, that answers those which one
 * append wakes and which are too many for the appender to answer itself.
 */
#ifndef FS_FEEDS_H
#define FS_FEEDS_H

#include <bsd/sys/queue.h>
#include <pthread.h>
#include <stdbool.h>

#include "worker.h"

enum { FEEDS_DIRECT_MAX = 8 };

struct parked_read;
struct sfs_waiter;

/* What a waiter does once it is woken. The job may free itself. */
struct feed_job {
	struct work work; /* the waker's own */
	void (*run)(struct feed_job *job);
};

struct feeds {
	pthread_mutex_t lock;
	pthread_cond_t none;
	LIST_HEAD(, parked_read) parked; /* lock */
	unsigned alive;			 /* lock: reads and polls that a thread may still work on */
	bool ending;			 /* lock: none is parked any more */
	struct worker *waker;
};

void feeds_init(struct feeds *feeds);
int feeds_start(struct feeds *feeds);
/* Once all handles are closed: waits for whatever still answers. The session must be there. */
void feeds_stop(struct feeds *feeds);
void feeds_fini(struct feeds *feeds);

/* A read or poll begins and ends; feeds_stop() waits for it. */
void feeds_enter(struct feeds *feeds);
void feeds_leave(struct feeds *feeds);

/*
 * Runs the job of a waiter that an append wakes: at once, in the appender's thread, for the first
 * FEEDS_DIRECT_MAX that it wakes, since to answer one wakes a program, which takes a while; else in
 * the waker's thread, in the order of the calls.
 */
void feeds_wake(struct feeds *feeds, const struct sfs_waiter *waiter, struct feed_job *job);

#endif
