/* SPDX-License-Identifier: MIT */
/*
 * A feed: a view that is read once through, by a handle of its own. That is every view but those of
 * a shard that have a size. At the end of a live feed a read waits for more.
 */
#ifndef FS_FEED_H
#define FS_FEED_H

#include <stdbool.h>
#include <stddef.h>

struct handle;

/* Gives a new handle its feed. */
int feed_open(struct handle *handle);
/* A handle without a feed is fine. */
void feed_close(struct handle *handle);

/*
 * Reads on. 0 bytes: there is no more now; handle->live tells whether to wait. After -ESTALE and
 * -EBADMSG the next one goes on behind what is missing.
 */
int feed_take_locked(struct handle *handle, void *buffer, size_t bytes, size_t *ret_bytes);
/* True if a read would not have to wait. What it saw is kept for the next read. */
bool feed_look_ahead_locked(struct handle *handle);

#endif
