/* SPDX-License-Identifier: MIT */
/*
 * A queue and the threads that serve it. Items are taken in the order of their submission; with one
 * thread they are also finished in that order. The caller embeds a `struct work` in what it
 * submits (CONTAINER_OF() leads back), so submitting allocates nothing.
 *
 * An item belongs to the worker from worker_submit() until `run` or `drop` is called with it. Then
 * it belongs to that function, which may free it or submit it again. Any thread may submit, also
 * from within `run`. No lock is held while `run` or `drop` is called.
 *
 * The threads block all signals: those of the process are for others.
 */
#ifndef UTIL_WORKER_H
#define UTIL_WORKER_H

#include <bsd/sys/queue.h>
#include <stdbool.h>

enum { WORKER_THREADS_MAX = 8, WORKER_NAME_MAX = 15 };

struct worker;

struct work {
	STAILQ_ENTRY(work) link; /* the worker's own */
};

struct worker_options {
	const char *name; /* of the threads, in /proc; at most WORKER_NAME_MAX bytes; borrowed */
	unsigned threads; /* at most; 0 is 1. One starts at once, the others when items wait */
	void (*run)(void *context, struct work *work);
	/* Called instead of `run`, in a thread of the worker, for what is queued at the stop. NULL:
	 * what is queued is still run. */
	void (*drop)(void *context, struct work *work);
	void *context;
};

/* -ENOMEM, or -EAGAIN when there can be no thread. */
int worker_start(const struct worker_options *options, struct worker **ret_worker);

/* Queues an item. False: the worker has been stopped, and the item stays the caller's. */
bool worker_submit(struct worker *worker, struct work *work);

/*
 * Accepts no more items, runs or drops what is queued, and waits for the threads to end. Not from a
 * thread of the worker. A second call does nothing.
 */
void worker_stop(struct worker *worker);

/* Stops it, if it is not stopped, and frees it. Nobody may submit any more. NULL is fine. */
void worker_free(struct worker *worker);

#endif
