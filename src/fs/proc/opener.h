/* SPDX-License-Identifier: MIT */
/*
 * Whether a FLUSH is the close that ends what a program wrote. The kernel sends a FLUSH for every
 * descriptor that goes, also for those that a shell moves about or a child inherited. Only /proc
 * shows the difference.
 */
#ifndef FS_OPENER_H
#define FS_OPENER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The thread that opened a file. Threads come and go, so its process is noted then, too. */
struct opener {
	pid_t thread;  /* 0: hidden from the daemon */
	pid_t process; /* the same as `thread` where it is not known */
};

/* This thread, which is in open(2) now. */
struct opener opener_of(pid_t thread);

/* An open(2), by what /proc shows of its descriptors. */
struct opened {
	const char *tail; /* of the path: "/stream/name" */
	uint64_t ino;	  /* where each open(2) has an inode number of its own; else 0 */
	/* Else the position (below 0: any), and how many other open files have the same. */
	long long position;
	unsigned twins;
	bool shared; /* children of the process count too */
};

/*
 * True if the thread `flusher` belongs to the process that opened the file, and that process has no
 * other descriptor for writing of the same open(2), nor, with `shared`, a child that has one. False
 * where /proc does not show this, or shows more than can be looked through while close(2) waits.
 * The end then comes with the last descriptor.
 */
bool opener_has_closed(const struct opener *opener, pid_t flusher, const struct opened *opened);

/* Whether the thread belongs to the process that opened the file, or to a child of it. */
bool opener_is_kin(const struct opener *opener, pid_t thread);

enum { OPENER_DESCRIPTORS_MAX = 4096 };

#endif
