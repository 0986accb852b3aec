/* SPDX-License-Identifier: MIT */
/*
 * A thread that answers those whom one append wakes and who are too many for the appender to answer
 * itself. In the order of their coming.
 */
#ifndef FS_WAKER_H
#define FS_WAKER_H

#include <bsd/sys/queue.h>

struct waker;

struct waker_job {
	STAILQ_ENTRY(waker_job) queue;	    /* the waker's own */
	void (*run)(struct waker_job *job); /* called once, from the waker's thread */
};

int waker_start(struct waker **ret_waker);
void waker_submit(struct waker *waker, struct waker_job *job);
/* Runs what is queued, ends the thread and frees. Nobody may submit any more. NULL is fine. */
void waker_stop(struct waker *waker);

#endif
