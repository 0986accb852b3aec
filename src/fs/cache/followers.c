/* SPDX-License-Identifier: MIT */
#include "followers.h"

#include <stdlib.h>

#include "activity.h"
#include "cleanup.h"
#include "clock.h"
#include "lock.h"

static const uint64_t unseen_patience_ns = 250000000;
static const uint64_t patience_ns = 10000000000;
static const uint64_t enough_ns = 1000000;

/* What is known of the time that a thread has run. */
enum sight {
	NOT_SEEN,
	SEEN,	 /* once; part of the time before may be missing */
	COUNTED, /* it has changed since */
};

struct follower {
	TAILQ_ENTRY(follower) all;
	pid_t tid;
	uint64_t since_ns;
	enum sight sight;
	uint64_t ran_ns; /* SEEN, COUNTED: as it was then */
};

void followers_init(struct followers *followers)
{
	pthread_mutex_init(&followers->lock, NULL);
	TAILQ_INIT(&followers->all);
}

static void drop_locked(struct followers *followers, struct follower *follower)
{
	ASSERT_LOCKED(&followers->lock);
	TAILQ_REMOVE(&followers->all, follower, all);
	free(follower);
}

void followers_fini(struct followers *followers)
{
	pthread_mutex_lock(&followers->lock);
	while (!TAILQ_EMPTY(&followers->all))
		drop_locked(followers, TAILQ_FIRST(&followers->all));
	pthread_mutex_unlock(&followers->lock);
	pthread_mutex_destroy(&followers->lock);
}

/* Whether it has run for long enough since its time first changed. */
static bool has_run(struct follower *follower, uint64_t ran_ns)
{
	if (follower->sight == COUNTED)
		return ran_ns - follower->ran_ns > enough_ns;
	if (follower->sight == NOT_SEEN)
		follower->sight = SEEN;
	else if (follower->ran_ns != ran_ns)
		follower->sight = COUNTED;
	follower->ran_ns = ran_ns;
	return false;
}

static bool has_gone_on(struct follower *follower, uint64_t now_ns)
{
	uint64_t ran_ns;
	switch (activity_of(follower->tid, &ran_ns)) {
	case ACTIVITY_HIDDEN:
		return now_ns - follower->since_ns > unseen_patience_ns;
	case ACTIVITY_RUNNING:
		return has_run(follower, ran_ns) || now_ns - follower->since_ns > patience_ns;
	default:
		return true;
	}
}

static struct follower *find_locked(struct followers *followers, pid_t tid)
{
	struct follower *follower;
	ASSERT_LOCKED(&followers->lock);
	TAILQ_FOREACH(follower, &followers->all, all)
	{
		if (follower->tid == tid)
			return follower;
	}
	return NULL;
}

/* Keeps the list short where nothing is ever appended. */
static void expire_locked(struct followers *followers, uint64_t now_ns)
{
	ASSERT_LOCKED(&followers->lock);
	struct follower *oldest = TAILQ_LAST(&followers->all, follower_list);
	if (oldest && now_ns - oldest->since_ns > unseen_patience_ns && has_gone_on(oldest, now_ns))
		drop_locked(followers, oldest);
}

void followers_add(struct followers *followers, pid_t tid)
{
	uint64_t now_ns = clock_monotonic_ns();
	SCOPED_LOCK(&followers->lock);
	expire_locked(followers, now_ns);
	/* Thread 0 stands for all that are in another PID namespace: each is noted. */
	struct follower *follower = tid ? find_locked(followers, tid) : NULL;
	if (follower)
		drop_locked(followers, follower);
	follower = calloc(1, sizeof(*follower));
	if (!follower)
		return;
	follower->tid = tid;
	follower->since_ns = now_ns;
	TAILQ_INSERT_HEAD(&followers->all, follower, all);
}

void followers_remove(struct followers *followers, pid_t tid)
{
	SCOPED_LOCK(&followers->lock);
	struct follower *follower = tid ? find_locked(followers, tid) : NULL;
	if (follower)
		drop_locked(followers, follower);
}

bool followers_gone(struct followers *followers, uint64_t before_ns)
{
	uint64_t now_ns = clock_monotonic_ns();
	struct follower *follower, *next;
	SCOPED_LOCK(&followers->lock);
	TAILQ_FOREACH_SAFE(follower, &followers->all, all, next)
	{
		if (follower->since_ns > before_ns)
			continue;
		if (!has_gone_on(follower, now_ns))
			return false;
		drop_locked(followers, follower);
	}
	return true;
}
