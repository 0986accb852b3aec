/* SPDX-License-Identifier: MIT */
#include "view_waiters.h"

#include "cleanup.h"
#include "lock.h"
#include "stream.h"
#include "store.h"

#include "streamfs/view.h"

void view_waiters_init(struct view_waiters *waiters)
{
	atomic_init(&waiters->count, 0);
	pthread_mutex_init(&waiters->lock, NULL);
	LIST_INIT(&waiters->any);
}

void view_waiters_fini(struct view_waiters *waiters)
{
	pthread_mutex_destroy(&waiters->lock);
}

void view_waiters_add(struct sfs_waiter *waiter, struct sfs_stream *stream, struct sfs_shard *shard)
{
	struct view_waiters *waiters = &stream->waiters;
	SCOPED_LOCK(&waiters->lock);
	assert(!waiter->waiting);
	waiter->stream = stream;
	waiter->shard = shard;
	waiter->waiting = true;
	LIST_INSERT_HEAD(shard ? &shard->view_waiters : &waiters->any, waiter, link);
	atomic_fetch_add(&waiters->count, 1);
}

static void remove_locked(struct view_waiters *waiters, struct sfs_waiter *waiter)
{
	ASSERT_LOCKED(&waiters->lock);
	assert(waiter->waiting);
	LIST_REMOVE(waiter, link);
	waiter->waiting = false;
	atomic_fetch_sub(&waiters->count, 1);
}

bool view_waiters_remove(struct sfs_waiter *waiter)
{
	if (!waiter->stream)
		return false;
	struct view_waiters *waiters = &waiter->stream->waiters;
	SCOPED_LOCK(&waiters->lock);
	bool waiting = waiter->waiting;
	if (waiting)
		remove_locked(waiters, waiter);
	return waiting;
}

static void take_locked(
	struct view_waiters *waiters, struct waiter_list *list, struct waiter_list *due)
{
	struct sfs_waiter *waiter;
	while ((waiter = LIST_FIRST(list))) {
		remove_locked(waiters, waiter);
		LIST_INSERT_HEAD(due, waiter, link);
	}
}

void view_waiters_take(struct sfs_shard *shard, struct waiter_list *due)
{
	struct view_waiters *waiters = &shard->stream->waiters;
	if (!atomic_load(&waiters->count))
		return;
	SCOPED_LOCK(&waiters->lock);
	take_locked(waiters, &shard->view_waiters, due);
	take_locked(waiters, &waiters->any, due);
}

void view_waiters_wake(struct waiter_list *due)
{
	struct sfs_waiter *waiter;
	for (unsigned turn = 0; (waiter = LIST_FIRST(due)); turn++) {
		LIST_REMOVE(waiter, link);
		waiter->turn = turn;
		waiter->wake(waiter); /* which may be the end of it */
	}
}

void view_waiters_wake_all(struct sfs_stream *stream)
{
	struct waiter_list due = LIST_HEAD_INITIALIZER(due);
	struct view_waiters *waiters = &stream->waiters;
	atomic_fetch_add(&stream->shape, 1);
	if (!atomic_load(&waiters->count))
		return;
	pthread_rwlock_rdlock(&stream->home.lock);
	pthread_mutex_lock(&waiters->lock);
	take_locked(waiters, &waiters->any, &due);
	for (size_t i = 0; i < stream->table.count; i++)
		take_locked(waiters, &stream->table.shards[i]->view_waiters, &due);
	for (size_t i = 0; i < stream->retired.count; i++)
		take_locked(waiters, &stream->retired.items[i]->view_waiters, &due);
	pthread_mutex_unlock(&waiters->lock);
	pthread_rwlock_unlock(&stream->home.lock);
	view_waiters_wake(&due);
}
