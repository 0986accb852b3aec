/* SPDX-License-Identifier: MIT */
#include "followers.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "clock.h"

static const uint64_t patience_ns = 250000000;

struct follower {
	LIST_ENTRY(follower) all;
	pid_t tid;
	uint64_t since_ns;
};

void followers_init(struct followers *followers)
{
	pthread_mutex_init(&followers->lock, NULL);
	LIST_INIT(&followers->all);
}

static void drop_locked(struct follower *follower)
{
	LIST_REMOVE(follower, all);
	free(follower);
}

void followers_fini(struct followers *followers)
{
	while (!LIST_EMPTY(&followers->all))
		drop_locked(LIST_FIRST(&followers->all));
	pthread_mutex_destroy(&followers->lock);
}

static struct follower *find_locked(struct followers *followers, pid_t tid)
{
	struct follower *follower;
	LIST_FOREACH(follower, &followers->all, all)
	{
		if (follower->tid == tid)
			return follower;
	}
	return NULL;
}

static void expire_locked(struct followers *followers, uint64_t now_ns)
{
	struct follower *follower, *next;
	LIST_FOREACH_SAFE(follower, &followers->all, all, next)
	{
		if (now_ns - follower->since_ns > patience_ns)
			drop_locked(follower);
	}
}

void followers_add(struct followers *followers, pid_t tid)
{
	uint64_t now_ns = clock_monotonic_ns();
	SCOPED_LOCK(&followers->lock);
	expire_locked(followers, now_ns);
	/* Thread 0 is whoever is in another PID namespace: each counts. */
	struct follower *follower = tid ? find_locked(followers, tid) : NULL;
	if (!follower) {
		follower = calloc(1, sizeof(*follower));
		if (!follower)
			return;
		follower->tid = tid;
		LIST_INSERT_HEAD(&followers->all, follower, all);
	}
	follower->since_ns = now_ns;
}

void followers_remove(struct followers *followers, pid_t tid)
{
	SCOPED_LOCK(&followers->lock);
	struct follower *follower = tid ? find_locked(followers, tid) : NULL;
	if (follower)
		drop_locked(follower);
}

/* The letter in /proc/TID/stat behind the name, which may hold any character itself. */
static bool is_running(pid_t tid)
{
	char path[64], text[512];
	if (tid == 0)
		return true;
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)tid);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ssize_t n = read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return false;
	text[n] = '\0';
	const char *name_end = strrchr(text, ')');
	return name_end && strncmp(name_end, ") R", 3) == 0;
}

bool followers_gone(struct followers *followers, uint64_t before_ns)
{
	struct follower *follower, *next;
	SCOPED_LOCK(&followers->lock);
	expire_locked(followers, clock_monotonic_ns());
	LIST_FOREACH_SAFE(follower, &followers->all, all, next)
	{
		if (follower->since_ns > before_ns)
			continue;
		if (is_running(follower->tid))
			return false;
		drop_locked(follower);
	}
	return true;
}
