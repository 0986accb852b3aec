/* SPDX-License-Identifier: MIT */
/*
 * Reads of views that wait for more. A read that finds nothing in a live view is parked: its
 * request is kept, no thread waits, and the append that brings it something answers it, in the
 * appender's thread and before the append itself is answered. Where one append wakes many, only the
 * first are answered so, and the rest by a thread that is there for them. An interrupt (a signal to
 * the reader) and the end of the mount answer a parked read, too.
 *
 * Lock order: a parked read's lock, the reading handle's lock, the store's. An appender can hold
 * the lock of the handle that it writes by; no reading handle is ever written by.
 */
#ifndef FS_LIVE_H
#define FS_LIVE_H

#include <bsd/sys/queue.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct live_read;
struct waker;

/* All reads that are parked. */
struct live_reads {
	pthread_mutex_t lock;
	pthread_cond_t none;
	LIST_HEAD(, live_read) all; /* lock */
	unsigned alive;		    /* lock: reads and polls that some thread may still work on */
	bool ending;		    /* lock: none is parked any more */
	struct waker *waker;
};

void live_reads_init(struct live_reads *reads);
int live_reads_start(struct live_reads *reads);
/* Once all handles are closed: waits for who still answers somebody. The session must be there. */
void live_reads_stop(struct live_reads *reads);
void live_reads_fini(struct live_reads *reads);

struct fs;
/* Answers all that are parked with ENODEV, and whatever would be from now on. */
void live_reads_end(struct fs *fs);

#endif
