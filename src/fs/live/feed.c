/* SPDX-License-Identifier: MIT */
#include "feed.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lock.h"
#include "streamfs/view.h"
#include "view_path.h"

enum { AHEAD_BYTES = 64 * 1024 };

int feed_open(const struct view_path *path, struct sfs_stream *stream, struct feed **ret_feed)
{
	struct feed *feed = calloc(1, sizeof(*feed));
	if (!feed)
		return -ENOMEM;
	int r = view_path_open_view(path, stream, &feed->view);
	if (r < 0) {
		free(feed);
		return r;
	}
	feed->live = view_path_is_live(path);
	pthread_mutex_init(&feed->lock, NULL);
	*ret_feed = feed;
	return 0;
}

void feed_close(struct feed *feed)
{
	if (!feed)
		return;
	assert(!feed->poll);
	sfs_view_close(feed->view);
	free(feed->ahead.text);
	pthread_mutex_destroy(&feed->lock);
	free(feed);
}

/* Past the text that was read ahead. A feed that no records can come to any more is not live. */
static int read_view_locked(struct feed *feed, void *buffer, size_t bytes, size_t *ret_bytes)
{
	size_t n = 0;
	ASSERT_LOCKED(&feed->lock);
	int r = sfs_view_read(feed->view, buffer, bytes, &n);
	if (r == -EPIPE) {
		feed->live = false;
		r = 0;
	}
	if (r == -ESTALE || r == -EBADMSG) {
		int skipped = sfs_view_skip(feed->view);
		return skipped < 0 ? skipped : r;
	}
	if (r < 0)
		return r;
	*ret_bytes = n;
	return 0;
}

/* A thousand feeds that are polled do not keep it. */
static void drop_ahead(struct feed_ahead *ahead)
{
	free(ahead->text);
	*ahead = (struct feed_ahead){.error = ahead->error};
}

static size_t take_ahead(struct feed_ahead *ahead, void *buffer, size_t bytes)
{
	size_t left = ahead->bytes - ahead->at;
	size_t n = left < bytes ? left : bytes;
	memcpy(buffer, ahead->text + ahead->at, n);
	ahead->at += n;
	if (n == left)
		drop_ahead(ahead);
	return n;
}

int feed_take_locked(struct feed *feed, void *buffer, size_t bytes, size_t *ret_bytes)
{
	struct feed_ahead *ahead = &feed->ahead;
	ASSERT_LOCKED(&feed->lock);
	int error = ahead->error;
	if (error < 0) {
		ahead->error = 0;
		return error;
	}
	if (ahead->at == ahead->bytes)
		return read_view_locked(feed, buffer, bytes, ret_bytes);
	*ret_bytes = take_ahead(ahead, buffer, bytes);
	return 0;
}

bool feed_look_ahead_locked(struct feed *feed)
{
	struct feed_ahead *ahead = &feed->ahead;
	ASSERT_LOCKED(&feed->lock);
	if (ahead->error < 0 || ahead->at < ahead->bytes || !feed->live)
		return true;
	ahead->text = malloc(AHEAD_BYTES);
	if (!ahead->text)
		return true;
	ahead->error = read_view_locked(feed, ahead->text, AHEAD_BYTES, &ahead->bytes);
	if (!ahead->bytes)
		drop_ahead(ahead);
	return ahead->error < 0 || ahead->bytes > 0 || !feed->live;
}
