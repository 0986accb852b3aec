/* SPDX-License-Identifier: MIT */
/* What a thread is doing at this moment: whether it sleeps, runs, and for how long it has run. */
#ifndef FS_ACTIVITY_H
#define FS_ACTIVITY_H

#include <stdint.h>
#include <sys/types.h>

enum activity {
	ACTIVITY_HIDDEN, /* /proc does not show it */
	ACTIVITY_ENDED,
	ACTIVITY_ASLEEP,
	ACTIVITY_RUNNING, /* or about to */
};

/*
 * Sets `ret_ran_ns`, the processor time that the thread has had, for ACTIVITY_RUNNING only. The
 * kernel brings that time up to date when the thread stops running and at the clock's ticks.
 */
enum activity activity_of(pid_t tid, uint64_t *ret_ran_ns);

#endif
