/* SPDX-License-Identifier: MIT */
/*
 * Advisory locks: ranges by fcntl(2) and whole files by flock(2). The two kinds never conflict. A
 * free lock is granted at once, as on any Linux filesystem, even while a waiter needs a conflicting
 * one: programs rely on a second read lock not waiting behind a writer. Waiters get freed locks in
 * the order in which they came.
 *
 * Thread-safe. No call blocks: a lock that has to wait is granted through a callback.
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
 * Sets, changes or drops a lock. The range of a flock does not matter. A conversion of a flock
 * gives up the old lock first, so the old lock can be lost: see flock(2).
 *   0        done
 *   -EAGAIN  another owner holds it (and !wait)
 *   -EINPROGRESS  with `wait`: `granted` is called exactly once, perhaps before this returns, never
 *            with table locks held. Its result is 0, -EDEADLK (only POSIX locks are searched for
 *            cycles) or the result given to lock_cancel()
 *   -EINVAL  not a range or type
 *   -ENOLCK  too many locks, or no memory; nothing has changed, except that a flock under
 *            conversion is lost
 */
int lock_set(struct lock_table *t, uint64_t ino, enum lock_kind kind, uint64_t owner,
	const struct lock_range *range, bool wait, void (*granted)(void *context, int result),
	void *context);

/* Finds a POSIX lock that conflicts with `range` for `owner`. If none does, its type is F_UNLCK. */
void lock_get(struct lock_table *t, uint64_t ino, uint64_t owner, const struct lock_range *range,
	struct lock_range *ret_conflict);

/* Ends the wait with this context if it has not ended: calls granted(context, result). */
void lock_cancel(struct lock_table *t, void *context, int result);

/* Drops all locks that `owner` has on the file. Needs no memory, cannot fail. */
void lock_release_owner(struct lock_table *t, uint64_t ino, enum lock_kind kind, uint64_t owner);

#endif
