/* SPDX-License-Identifier: MIT */
#include "lock_waits.h"

#include <errno.h>
#include <stdlib.h>

#include "cleanup.h"
#include "lock.h"
#include "locks.h"

void lock_waits_init(struct lock_waits *waits)
{
	pthread_mutex_init(&waits->lock, NULL);
	LIST_INIT(&waits->all);
}

void lock_waits_fini(struct lock_waits *waits)
{
	struct lock_wait *wait;
	while ((wait = LIST_FIRST(&waits->all))) {
		LIST_REMOVE(wait, all);
		free(wait);
	}
	pthread_mutex_destroy(&waits->lock);
}

static struct lock_wait *find_free_locked(struct lock_waits *waits)
{
	struct lock_wait *wait;
	ASSERT_LOCKED(&waits->lock);
	LIST_FOREACH(wait, &waits->all, all)
	{
		if (!wait->req)
			return wait;
	}
	wait = calloc(1, sizeof(*wait));
	if (!wait)
		return NULL;
	wait->waits = waits;
	LIST_INSERT_HEAD(&waits->all, wait, all);
	return wait;
}

struct lock_wait *lock_wait_take(struct lock_waits *waits, fuse_req_t req)
{
	SCOPED_LOCK(&waits->lock);
	struct lock_wait *wait = find_free_locked(waits);
	if (!wait)
		return NULL;
	wait->req = req;
	wait->refs = 2;
	wait->interrupted = false;
	return wait;
}

void lock_wait_put(struct lock_wait *wait, unsigned refs)
{
	SCOPED_LOCK(&wait->waits->lock);
	wait->refs -= refs;
	if (wait->refs == 0)
		wait->req = NULL;
}

bool lock_wait_interrupted(struct lock_wait *wait)
{
	SCOPED_LOCK(&wait->waits->lock);
	return wait->interrupted;
}

bool lock_wait_interrupt(struct lock_wait *wait, fuse_req_t req)
{
	SCOPED_LOCK(&wait->waits->lock);
	if (wait->req != req)
		return false;
	wait->interrupted = true;
	wait->refs++;
	return true;
}

static struct lock_wait *first_waiting(struct lock_waits *waits)
{
	struct lock_wait *wait;
	SCOPED_LOCK(&waits->lock);
	LIST_FOREACH(wait, &waits->all, all)
	{
		if (wait->req && !wait->interrupted) {
			wait->interrupted = true;
			wait->refs++;
			return wait;
		}
	}
	return NULL;
}

/* Not EINTR: the kernel would turn it into a restart, which a program sees as errno 512. */
void lock_waits_cancel(struct lock_waits *waits, struct lock_table *locks)
{
	struct lock_wait *wait;
	while ((wait = first_waiting(waits))) {
		lock_cancel(locks, wait, -ECONNABORTED);
		lock_wait_put(wait, 1);
	}
}
