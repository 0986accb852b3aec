/* SPDX-License-Identifier: MIT */
/*
 * Ends a session when SIGHUP, SIGINT or SIGTERM asks for it. First the notifier stops, while all
 * threads go on serving: its last job may wait for a page, and that page for a read, which
 * libfuse's threads would not serve once the session is to end.
 *
 * One at a time in a process, as its signals are.
 */
#ifndef FS_STOPPER_H
#define FS_STOPPER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct fuse_session;
struct notifier;

struct stopper {
	int fd; /* an eventfd that the signals write to */
	struct fuse_session *session;
	struct notifier *notifier;
	pthread_t server; /* the thread in fuse_session_loop_mt() */
	pthread_t thread;
	atomic_bool ended; /* the loop has returned */
	bool signalled;	   /* valid after stopper_end() */
};

/* From here on the signals wake the stopper instead of killing. Ignored ones stay ignored. */
int stopper_catch(struct stopper *stopper);
void stopper_release(struct stopper *stopper);

/* The thread that is going to serve calls this. Both are borrowed until stopper_end(). */
int stopper_start(struct stopper *stopper, struct fuse_session *session, struct notifier *notifier);
/* The loop has returned. Afterwards the notifier has stopped. */
void stopper_end(struct stopper *stopper);

#endif
