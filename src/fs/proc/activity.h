/* SPDX-License-Identifier: MIT */
/* Whether a thread sleeps or runs at this moment, and for how long it has run. */
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
 * Sets `ret_ran_ns`, the processor time that the thread has used, for ACTIVITY_RUNNING only. The
 * kernel updates that time when the thread stops running and at each clock tick.
 */
enum activity activity_of(pid_t tid, uint64_t *ret_ran_ns);

#endif
