/* SPDX-License-Identifier: MIT */
/*
 * What a thread that waits for an answer is about, beyond what its request says.
 */
#ifndef FS_CALLER_H
#define FS_CALLER_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Whether the thread is in an open(2) with O_CREAT: LOOKUP comes before it, and does not tell. It
 * is read in /proc, so false also means that this cannot be told: the daemon may not look into the
 * thread, cannot see it, or it calls openat2(2).
 */
bool caller_creates(pid_t thread);

#endif
