/* SPDX-License-Identifier: MIT */
/* What /proc shows of a thread that waits for a reply, and its request does not. */
#ifndef FS_CALLER_H
#define FS_CALLER_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Whether the thread is in an open(2) with O_CREAT. The LOOKUP of such an open does not carry its
 * flags; only /proc shows them. Also false where /proc does not: the daemon lacks the right to see
 * the thread's system call, the thread is hidden, or it calls openat2(2).
 */
bool caller_creates(pid_t thread);

/* Whether the thread's name (/proc/TID/comm) is this one. */
bool caller_is_named(pid_t thread, const char *name);

#endif
