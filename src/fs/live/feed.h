/* SPDX-License-Identifier: MIT */
/*
 * A feed: a view that is read once through, by a handle of its own. That is every view but those of
 * a shard that have a size. At the end of a live feed a read waits for more.
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

/* What a poll has read, or the error that it got, for the next read. */
struct feed_ahead {
	char *text;
	size_t at; /* of the text, what the next read begins with */
	size_t bytes;
	int error;
};

struct feed {
	pthread_mutex_t lock; /* guards all below */
	struct sfs_view *view;
	bool live; /* at its end there may be more later */
	struct feed_ahead ahead;
	struct feed_poll *poll; /* feed_poll.c; NULL before the first poll that waits */
};

int feed_open(const struct view_path *path, struct sfs_stream *stream, struct feed **ret_feed);
/* Its poll must be closed before. NULL is fine. */
void feed_close(struct feed *feed);

/*
 * Reads on. 0 bytes: there is nothing more now; wait if feed->live. After -ESTALE and -EBADMSG the
 * next read goes on behind what is missing.
 */
int feed_take_locked(struct feed *feed, void *buffer, size_t bytes, size_t *ret_bytes);
/* True if a read would not have to wait. What it saw is kept for the next read. */
bool feed_look_ahead_locked(struct feed *feed);

#endif
