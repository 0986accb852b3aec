/* SPDX-License-Identifier: MIT */
/*
 * All reads and polls of feeds that wait, and a thread, the waker. If one append wakes too many of
 * them for the appender's thread, the waker replies to the rest.
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

/* What runs when a waiter is woken. The job may free itself. */
struct feed_job {
	struct work work; /* the waker's own */
	void (*run)(struct feed_job *job);
};

struct feeds {
	pthread_mutex_t lock;
	pthread_cond_t none;
	LIST_HEAD(, parked_read) parked; /* lock */
	unsigned alive;			 /* lock: reads and polls that a thread may still work on */
	bool ending;			 /* lock: no read is parked any more */
	struct worker *waker;
};

void feeds_init(struct feeds *feeds);
int feeds_start(struct feeds *feeds);
/* Waits until no read or poll runs. All handles are closed; the session still exists. */
void feeds_stop(struct feeds *feeds);
void feeds_fini(struct feeds *feeds);

/* A read or poll begins and ends; feeds_stop() waits for it. */
void feeds_enter(struct feeds *feeds);
void feeds_leave(struct feeds *feeds);

/*
 * Runs the job of a waiter that an append wakes. The first FEEDS_DIRECT_MAX jobs of an append run
 * at once, in the appender's thread. The others run in the waker's thread, in the order of the
 * calls: each reply wakes a program, which takes time.
 */
void feeds_wake(struct feeds *feeds, const struct sfs_waiter *waiter, struct feed_job *job);

#endif
