/* SPDX-License-Identifier: MIT */
/* Polls of feeds. */
#ifndef FS_FEED_POLL_H
#define FS_FEED_POLL_H

struct feed;
struct feeds;
struct fuse_pollhandle;

/*
 * Finds the events that are there now. Takes over `pollhandle`; if there is no event, wakes its
 * poll at the next one. NULL: the program does not wait.
 */
int feed_poll(struct feeds *feeds, struct feed *feed, struct fuse_pollhandle *pollhandle,
	unsigned *ret_events);
void feed_poll_close(struct feed *feed);

#endif
