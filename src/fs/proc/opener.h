/* SPDX-License-Identifier: MIT */
/*
 * Whether a FLUSH comes from the close(2) with which a program completes a file. The kernel sends a
 * FLUSH for every descriptor that is closed, also for one that a shell has moved or a child has
 * inherited. Only /proc shows the difference.
 */
#ifndef FS_OPENER_H
#define FS_OPENER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The thread that opened a file, and its process, since the thread may end before the close. */
struct opener {
	pid_t thread;  /* 0: hidden from the daemon */
	pid_t process; /* equal to `thread` if it is not known */
};

/* This thread, which is in open(2) now. */
struct opener opener_of(pid_t thread);

/* One open(2), described by what /proc shows of its descriptors. */
struct opened {
	const char *tail; /* of the path: "/stream/name" */
	uint64_t ino;	  /* 0: the open(2) has no inode number of its own */
	/* If ino is 0: the position (below 0: any), and how many other open files have the same. */
	long long position;
	unsigned twins;
	bool shared; /* descriptors of the process's children count too */
};

/*
 * True if the thread `flusher` belongs to the process that opened the file, and this was the last
 * descriptor for writing of that open(2) in the process (with `shared`: and in its children). False
 * also if /proc does not show this, or if there are too many descriptors to search while close(2)
 * waits. In these cases the file is complete when its last descriptor is closed.
 */
bool opener_has_closed(const struct opener *opener, pid_t flusher, const struct opened *opened);

/* Whether the thread belongs to the process that opened the file, or to a child of that. */
bool opener_is_kin(const struct opener *opener, pid_t thread);

enum { OPENER_DESCRIPTORS_MAX = 4096 };

#endif
