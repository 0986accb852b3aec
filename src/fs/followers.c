/* SPDX-License-Identifier: MIT */
#include "followers.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "clock.h"

static const uint64_t unseen_patience_ns = 250000000;
static const uint64_t patience_ns = 10000000000;
static const uint64_t enough_ns = 1000000;

/* What is known of how long a thread has run. */
enum sight {
	NOT_SEEN,
	SEEN,	 /* once; what it ran before may be missing */
	COUNTED, /* a change of it */
};

struct follower {
	TAILQ_ENTRY(follower) all;
	pid_t tid;
	uint64_t since_ns;
	enum sight sight;
	uint64_t ran_ns; /* SEEN, COUNTED: as it was then */
};

enum activity {
	HIDDEN,
	ENDED,
	ASLEEP,
	RUNNING, /* or about to */
};

void followers_init(struct followers *followers)
{
	pthread_mutex_init(&followers->lock, NULL);
	TAILQ_INIT(&followers->all);
}

static void drop_locked(struct followers *followers, struct follower *follower)
{
	TAILQ_REMOVE(&followers->all, follower, all);
	free(follower);
}

void followers_fini(struct followers *followers)
{
	while (!TAILQ_EMPTY(&followers->all))
		drop_locked(followers, TAILQ_FIRST(&followers->all));
	pthread_mutex_destroy(&followers->lock);
}

static int read_proc(pid_t tid, const char *name, char *text, size_t bytes)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/%s", (int)tid, name);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ssize_t n = read(fd, text, bytes - 1);
	if (n <= 0)
		return n < 0 ? -errno : -ESRCH;
	text[n] = '\0';
	return 0;
}

/* The state is the letter behind the name, which may hold any character itself. */
static enum activity look_at(pid_t tid, uint64_t *ret_ran_ns)
{
	char text[512];
	unsigned long long ran_ns;
	if (tid == 0)
		return HIDDEN;
	if (read_proc(tid, "stat", text, sizeof(text)) < 0)
		return kill(tid, 0) < 0 && errno == ESRCH ? ENDED : HIDDEN;
	const char *name_end = strrchr(text, ')');
	if (!name_end || strncmp(name_end, ") R", 3) != 0)
		return ASLEEP;
	/* A kernel that keeps no account says 0. */
	if (read_proc(tid, "schedstat", text, sizeof(text)) < 0 ||
		sscanf(text, "%llu", &ran_ns) != 1 || ran_ns == 0)
		return HIDDEN;
	*ret_ran_ns = ran_ns;
	return RUNNING;
}

/* Whether it has run for long enough, as far as it was seen. */
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
	switch (look_at(follower->tid, &ran_ns)) {
	case HIDDEN:
		return now_ns - follower->since_ns > unseen_patience_ns;
	case RUNNING:
		return has_run(follower, ran_ns) || now_ns - follower->since_ns > patience_ns;
	default:
		return true;
	}
}

static struct follower *find_locked(struct followers *followers, pid_t tid)
{
	struct follower *follower;
	TAILQ_FOREACH(follower, &followers->all, all)
	{
		if (follower->tid == tid)
			return follower;
	}
	return NULL;
}

/* Keeps the list from growing where nothing is ever appended. */
static void expire_locked(struct followers *followers, uint64_t now_ns)
{
	struct follower *oldest = TAILQ_LAST(&followers->all, follower_list);
	if (oldest && now_ns - oldest->since_ns > unseen_patience_ns && has_gone_on(oldest, now_ns))
		drop_locked(followers, oldest);
}

void followers_add(struct followers *followers, pid_t tid)
{
	uint64_t now_ns = clock_monotonic_ns();
	SCOPED_LOCK(&followers->lock);
	expire_locked(followers, now_ns);
	/* Thread 0 is whoever is in another PID namespace: each counts. */
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
