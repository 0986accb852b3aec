/* SPDX-License-Identifier: MIT */
/* Polls of feeds. */
#ifndef FS_FEED_POLL_H
#define FS_FEED_POLL_H

struct feed;
struct feeds;
struct fuse_pollhandle;

/*
 * The events of a poll. Once there are some, wakes the poll that `pollhandle` stands for, which is
 * taken over; NULL: the program does not wait.
 */
int feed_poll(struct feeds *feeds, struct feed *feed, struct fuse_pollhandle *pollhandle,
	unsigned *ret_events);
void feed_poll_close(struct feed *feed);

#endif
