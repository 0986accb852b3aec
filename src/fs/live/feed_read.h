/* SPDX-License-Identifier: MIT */
/*
 * Reads of feeds. A read that finds nothing in a live feed is parked: its request is kept, and no
 * thread waits. The append that brings it something answers it, in the appender's thread, before
 * the append itself is answered. Where one append wakes many reads, it answers the first few so,
 * and the waker the rest (feeds.h). An interrupt (a signal to the reader) and the end of the mount
 * answer a parked read too.
 */
#ifndef FS_FEED_READ_H
#define FS_FEED_READ_H

#include <fuse_lowlevel.h>
#include <stdbool.h>

struct feed;
struct feeds;

/* Answers the read, now or later. */
void feed_read(
	fuse_req_t req, struct feeds *feeds, struct feed *feed, size_t bytes, bool nonblocking);

/* Answers all parked reads with ENODEV, and every read that would be parked from now on. */
void feed_read_end_all(struct feeds *feeds);

#endif
