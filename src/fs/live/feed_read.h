/* SPDX-License-Identifier: MIT */
/*
 * Reads of feeds. A read that finds nothing in a live feed is parked: its request is kept, and no
 * thread waits. The append that brings new text replies to the parked read in the appender's
 * thread, before the reply to the append itself. If one append wakes many reads, it replies to the
 * first few, and the waker to the rest (feeds.h). An interrupt (a signal to the reader) and the end
 * of the mount also end a parked read.
 */
#ifndef FS_FEED_READ_H
#define FS_FEED_READ_H

#include <fuse_lowlevel.h>
#include <stdbool.h>

struct feed;
struct feeds;

/* Replies to the read, now or later. */
void feed_read(
	fuse_req_t req, struct feeds *feeds, struct feed *feed, size_t bytes, bool nonblocking);

/* Replies ENODEV to all parked reads, and to every read that would be parked later. */
void feed_read_end_all(struct feeds *feeds);

#endif
