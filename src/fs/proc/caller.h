/* SPDX-License-Identifier: MIT */
/* What a thread that waits for an answer is about, beyond what its request shows. */
#ifndef FS_CALLER_H
#define FS_CALLER_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Whether the thread is in an open(2) with O_CREAT. LOOKUP comes before that open and does not
 * carry its flags, so /proc has to answer. False also where /proc cannot: the daemon may not look
 * into the thread, cannot see it, or the thread calls openat2(2).
 */
bool caller_creates(pid_t thread);

/* Whether the thread's name (/proc/TID/comm) is this one. */
bool caller_is_named(pid_t thread, const char *name);

#endif
