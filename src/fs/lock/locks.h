/* SPDX-License-Identifier: MIT */
/*
 * Advisory locks: fcntl(2)'s ranges and flock(2)'s whole files, which do not see each other. A lock
 * that is free is granted at once, as on any Linux filesystem, even past a waiter that it does not
 * suit: programs rely on a second read lock not waiting behind a writer. Waiters get what comes free
 * in their order.
 *
 * Thread-safe. No call blocks: a lock that has to wait leaves a callback.
 */
#ifndef FS_LOCKS_H
#define FS_LOCKS_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>

enum { LOCKS_MAX = 8192 }; /* ranges and waiters of one table; over it -ENOLCK */

struct lock_table;

enum lock_kind { LOCK_POSIX, LOCK_FLOCK };

struct lock_range {
	uint64_t first;
	uint64_t last; /* inclusive */
	int type;      /* F_RDLCK, F_WRLCK, F_UNLCK */
	uint32_t pid;
};

struct lock_table *lock_table_new(void); /* NULL: out of memory */
/* Cancels all waiters. NULL is fine. */
void lock_table_free(struct lock_table *t);

/*
 * Sets, changes or drops a lock. The range of a flock does not matter. As flock(2) documents, a
 * conversion gives the old lock up first, so that it can be lost.
 *   0        done
 *   -EAGAIN  another owner holds it (and !wait)
 *   -EINPROGRESS  with `wait`: `granted` is called exactly once, perhaps before this returns, never
 *            with table locks held. Its result is 0, -EDEADLK (only POSIX locks are searched for
 *            cycles) or that of lock_cancel()
 *   -EINVAL  not a range or type
 *   -ENOLCK  too many locks, or no memory; nothing has changed (but a flock under conversion)
 */
int lock_set(struct lock_table *t, uint64_t ino, enum lock_kind kind, uint64_t owner,
	const struct lock_range *range, bool wait, void (*granted)(void *context, int result),
	void *context);

/* Finds a POSIX lock that keeps `owner` from `range`; its type is F_UNLCK if there is none. */
void lock_get(struct lock_table *t, uint64_t ino, uint64_t owner, const struct lock_range *range,
	struct lock_range *ret_conflict);

/* Ends the wait with this context, if it still waits: calls granted(context, result). */
void lock_cancel(struct lock_table *t, void *context, int result);

/* Drops all locks that `owner` has on the file. Needs no memory, cannot fail. */
void lock_release_owner(struct lock_table *t, uint64_t ino, enum lock_kind kind, uint64_t owner);

#endif
