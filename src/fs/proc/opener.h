/* SPDX-License-Identifier: MIT */
/*
 * Whether a FLUSH is the close that ends what a program wrote. The kernel sends one for every
 * descriptor that goes, also for those that a shell moves about or a child inherited; /proc tells
 * them apart.
 */
#ifndef FS_OPENER_H
#define FS_OPENER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Who opened a file. Threads come and go, so the process is to be found out while it opens. */
struct opener {
	pid_t thread;  /* 0: cannot be seen from here */
	pid_t process; /* the same where it could not be found out */
};

/* This thread, which is in open(2) now. */
struct opener opener_of(pid_t thread);

/* Which open(2) it is about: what /proc tells descriptors apart by. */
struct opened {
	const char *tail; /* of the path: "/stream/name" */
	uint64_t ino;	  /* where each open(2) has a file of its own; else 0 */
	/* Else the file's position, below 0 for any, and how many others stand at the same. */
	long long position;
	unsigned twins;
	bool shared; /* it also counts who is a child of the process, and has a descriptor */
};

/*
 * True if the thread `flusher` belongs to the process that opened the file, and that process has no
 * other descriptor for writing of the same open(2), nor, where it is `shared`, a child that has
 * one. When /proc does not tell, or there is too much to look at all while close(2) waits, false:
 * the end then comes with the last descriptor.
 */
bool opener_has_closed(const struct opener *opener, pid_t flusher, const struct opened *opened);

/* Whether the thread belongs to the process that opened the file, or to a child of that. */
bool opener_is_kin(const struct opener *opener, pid_t thread);

enum { OPENER_DESCRIPTORS_MAX = 4096 };

#endif
