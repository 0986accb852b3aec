/* SPDX-License-Identifier: MIT */
/*
 * Whether a FLUSH is the close that ends what a program wrote. The kernel sends one for every
 * descriptor that goes, also for those that a shell moves about or a child inherited; /proc tells
 * them apart.
 */
#ifndef FS_OPENER_H
#define FS_OPENER_H

#include <stdbool.h>
#include <sys/types.h>

/* Who opened a file. Threads come and go, so the process is to be found out while it opens. */
struct opener {
	pid_t thread;  /* 0: cannot be seen from here */
	pid_t process; /* the same where it could not be found out */
};

/* Fills in the process of the thread. */
void opener_find_process(struct opener *opener);

/*
 * True if the thread `flusher` belongs to the process that opened the file, and that process has no
 * other descriptor of the same open(2): none for writing on a path that ends in `tail`
 * ("/stream/name") and at this file position (below 0: at any), but for `twins` that are other
 * open(2)s' at the same position. The position is what tells the descriptors of several open(2)s
 * apart. When /proc does not tell, or there are too many descriptors to look at all while close(2)
 * waits, false: the end then comes with the last descriptor.
 */
bool opener_has_closed(const struct opener *opener, pid_t flusher, const char *tail,
	long long position, unsigned twins);

enum { OPENER_DESCRIPTORS_MAX = 4096 };

#endif
