/* SPDX-License-Identifier: MIT */
/*
 * A feed: a view that one handle reads once, from beginning to end. Every view is read as a feed,
 * except the views of a shard that have a size. At the end of a live feed a read waits for more.
 *
 * Thread-safe, but for feed_close().
 */
#ifndef FS_FEED_H
#define FS_FEED_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

struct feed_poll;
struct sfs_stream;
struct sfs_view;
struct view_path;

/* What a poll has read ahead for the next read, or the error that it got. */
struct feed_ahead {
	char *text;
	size_t at; /* where in the text the next read begins */
	size_t bytes;
	int error;
};

struct feed {
	pthread_mutex_t lock; /* guards all below */
	struct sfs_view *view;
	bool live; /* the view can grow */
	struct feed_ahead ahead;
	struct feed_poll *poll; /* feed_poll.c; NULL before the first poll that waits */
};

int feed_open(const struct view_path *path, struct sfs_stream *stream, struct feed **ret_feed);
/* Close its poll first. NULL is fine. */
void feed_close(struct feed *feed);

/*
 * Reads on. 0 bytes: there is no more now; wait if feed->live. After -ESTALE and -EBADMSG the next
 * read goes on behind the gap.
 */
int feed_take_locked(struct feed *feed, void *buffer, size_t bytes, size_t *ret_bytes);
/* True if a read would not wait. Keeps what it has read for the next read. */
bool feed_look_ahead_locked(struct feed *feed);

#endif
