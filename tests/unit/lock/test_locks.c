/* SPDX-License-Identifier: MIT */
#include "locks.h"

#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

enum { FILE_A = 11, FILE_B = 12, UNTOLD = 77 };

/* A waiter: the result of its callback, the number of calls, and its place among all callbacks. */
struct wait {
	int result;
	int calls;
	int order;
};

static int told; /* counts callbacks; the tests that use the order have one thread */

static void granted(void *context, int result)
{
	struct wait *w = context;
	w->result = result;
	w->calls++;
	w->order = ++told;
}

static struct lock_range range(uint64_t first, uint64_t last, int type)
{
	return (struct lock_range){.first = first, .last = last, .type = type, .pid = 5};
}

static int set(
	struct lock_table *t, uint64_t ino, uint64_t owner, int type, uint64_t first, uint64_t last)
{
	struct lock_range r = range(first, last, type);
	r.pid = (uint32_t)owner;
	return lock_set(t, ino, LOCK_POSIX, owner, &r, false, NULL, NULL);
}

static int set_wait(struct lock_table *t, uint64_t ino, uint64_t owner, int type, uint64_t first,
	uint64_t last, struct wait *w)
{
	struct lock_range r = range(first, last, type);
	*w = (struct wait){.result = UNTOLD};
	return lock_set(t, ino, LOCK_POSIX, owner, &r, true, granted, w);
}

static int flock_set(struct lock_table *t, uint64_t owner, int type, struct wait *w)
{
	struct lock_range r = range(3, 3, type);
	if (w)
		*w = (struct wait){.result = UNTOLD};
	return lock_set(t, FILE_A, LOCK_FLOCK, owner, &r, w != NULL, granted, w);
}

/* The lock that conflicts with a write lock of `owner` at one byte; F_UNLCK: none. */
static struct lock_range at(struct lock_table *t, uint64_t owner, uint64_t byte)
{
	struct lock_range ask = range(byte, byte, F_WRLCK), found;
	lock_get(t, FILE_A, owner, &ask, &found);
	return found;
}

static void assert_at(struct lock_table *t, uint64_t byte, int type, uint64_t first, uint64_t last)
{
	struct lock_range found = at(t, 999, byte);
	ck_assert_int_eq(found.type, type);
	ck_assert_uint_eq(found.first, first);
	ck_assert_uint_eq(found.last, last);
}

START_TEST(readers_share_and_writers_exclude)
{
	struct lock_table *t = lock_table_new();
	ck_assert_int_eq(set(t, FILE_A, 1, F_RDLCK, 0, 9), 0);
	ck_assert_int_eq(set(t, FILE_A, 2, F_RDLCK, 5, 14), 0);
	ck_assert_int_eq(set(t, FILE_A, 3, F_WRLCK, 14, 20), -EAGAIN);
	ck_assert_int_eq(set(t, FILE_A, 3, F_WRLCK, 15, 20), 0);
	ck_assert_int_eq(set(t, FILE_A, 1, F_RDLCK, 20, 20), -EAGAIN);
	ck_assert_int_eq(set(t, FILE_B, 1, F_WRLCK, 0, 99), 0);
	lock_table_free(t);
}
END_TEST

START_TEST(an_owner_never_conflicts_with_itself)
{
	struct lock_table *t = lock_table_new();
	ck_assert_int_eq(set(t, FILE_A, 1, F_WRLCK, 0, 9), 0);
	ck_assert_int_eq(set(t, FILE_A, 1, F_WRLCK, 5, 15), 0);
	ck_assert_int_eq(at(t, 1, 7).type, F_UNLCK);
	assert_at(t, 7, F_WRLCK, 0, 15);
	lock_table_free(t);
}
END_TEST

START_TEST(unlocking_the_middle_splits)
{
	struct lock_table *t = lock_table_new();
	ck_assert_int_eq(set(t, FILE_A, 1, F_WRLCK, 0, 99), 0);
	ck_assert_int_eq(set(t, FILE_A, 1, F_UNLCK, 40, 59), 0);
	assert_at(t, 39, F_WRLCK, 0, 39);
	assert_at(t, 40, F_UNLCK, 40, 40);
	assert_at(t, 59, F_UNLCK, 59, 59);
	assert_at(t, 60, F_WRLCK, 60, 99);
	ck_assert_int_eq(set(t, FILE_A, 2, F_WRLCK, 40, 59), 0);
	lock_table_free(t);
}
END_TEST

START_TEST(converting_the_middle_splits_in_three)
{
	struct lock_table *t = lock_table_new();
	ck_assert_int_eq(set(t, FILE_A, 1, F_WRLCK, 0, 99), 0);
	ck_assert_int_eq(set(t, FILE_A, 1, F_RDLCK, 40, 59), 0);
	assert_at(t, 0, F_WRLCK, 0, 39);
	assert_at(t, 50, F_RDLCK, 40, 59);
	assert_at(t, 99, F_WRLCK, 60, 99);
	ck_assert_int_eq(set(t, FILE_A, 1, F_WRLCK, 40, 59), 0);
	assert_at(t, 50, F_WRLCK, 0, 99);
	lock_table_free(t);
}
END_TEST

START_TEST(edges_are_cut_and_covered_ranges_go)
{
	struct lock_table *t = lock_table_new();
	ck_assert_int_eq(set(t, FILE_A, 1, F_WRLCK, 10, 19), 0);
	ck_assert_int_eq(set(t, FILE_A, 1, F_WRLCK, 30, 39), 0);
	ck_assert_int_eq(set(t, FILE_A, 1, F_WRLCK, 50, 59), 0);
	ck_assert_int_eq(set(t, FILE_A, 1, F_RDLCK, 15, 54), 0);
	assert_at(t, 14, F_WRLCK, 10, 14);
	assert_at(t, 35, F_RDLCK, 15, 54);
	assert_at(t, 55, F_WRLCK, 55, 59);
	lock_table_free(t);
}
END_TEST

START_TEST(neighbours_of_one_type_merge)
{
	struct lock_table *t = lock_table_new();
	ck_assert_int_eq(set(t, FILE_A, 1, F_RDLCK, 0, 9), 0);
	ck_assert_int_eq(set(t, FILE_A, 1, F_RDLCK, 20, 29), 0);
	ck_assert_int_eq(set(t, FILE_A, 1, F_RDLCK, 10, 19), 0);
	assert_at(t, 15, F_RDLCK, 0, 29);
	lock_table_free(t);
}
END_TEST

START_TEST(ranges_reach_the_last_byte_of_all)
{
	struct lock_table *t = lock_table_new();
	ck_assert_int_eq(set(t, FILE_A, 1, F_WRLCK, 100, UINT64_MAX), 0);
	ck_assert_int_eq(set(t, FILE_A, 1, F_WRLCK, 0, 0), 0);
	assert_at(t, 0, F_WRLCK, 0, 0);
	assert_at(t, UINT64_MAX, F_WRLCK, 100, UINT64_MAX);
	ck_assert_int_eq(set(t, FILE_A, 1, F_UNLCK, 0, UINT64_MAX), 0);
	ck_assert_int_eq(set(t, FILE_A, 2, F_WRLCK, 0, UINT64_MAX), 0);
	lock_table_free(t);
}
END_TEST

START_TEST(upgrade_needs_the_other_readers_gone)
{
	struct lock_table *t = lock_table_new();
	ck_assert_int_eq(set(t, FILE_A, 1, F_RDLCK, 0, 9), 0);
	ck_assert_int_eq(set(t, FILE_A, 2, F_RDLCK, 0, 9), 0);
	ck_assert_int_eq(set(t, FILE_A, 1, F_WRLCK, 0, 9), -EAGAIN);
	assert_at(t, 5, at(t, 999, 5).type, 0, 9);
	ck_assert_int_eq(at(t, 2, 5).type, F_RDLCK); /* the refused upgrade changed nothing */
	ck_assert_int_eq(set(t, FILE_A, 2, F_UNLCK, 0, 9), 0);
	ck_assert_int_eq(set(t, FILE_A, 1, F_WRLCK, 0, 9), 0);
	ck_assert_int_eq(at(t, 2, 5).type, F_WRLCK);
	lock_table_free(t);
}
END_TEST

START_TEST(a_conflict_is_told_with_its_owner)
{
	struct lock_table *t = lock_table_new();
	ck_assert_int_eq(set(t, FILE_A, 41, F_RDLCK, 10, 19), 0);
	ck_assert_uint_eq(at(t, 2, 15).pid, 41);
	struct lock_range ask = range(0, 30, F_RDLCK), found;
	lock_get(t, FILE_A, 2, &ask, &found);
	ck_assert_int_eq(found.type, F_UNLCK); /* read locks do not conflict */
	lock_get(t, FILE_B, 2, &ask, &found);
	ck_assert_int_eq(found.type, F_UNLCK);
	lock_table_free(t);
}
END_TEST

START_TEST(nonsense_is_refused)
{
	struct lock_table *t = lock_table_new();
	ck_assert_int_eq(set(t, FILE_A, 1, F_WRLCK, 10, 9), -EINVAL);
	ck_assert_int_eq(set(t, FILE_A, 1, 99, 0, 9), -EINVAL);
	ck_assert_int_eq(set(t, FILE_A, 1, F_UNLCK, 0, 9), 0); /* no lock held: still fine */
	lock_table_free(t);
	lock_table_free(NULL);
}
END_TEST

START_TEST(waiters_are_granted_in_order)
{
	struct lock_table *t = lock_table_new();
	struct wait a, b, c;
	told = 0;
	ck_assert_int_eq(set(t, FILE_A, 1, F_WRLCK, 0, 9), 0);
	ck_assert_int_eq(set_wait(t, FILE_A, 2, F_WRLCK, 0, 9, &a), -EINPROGRESS);
	ck_assert_int_eq(set_wait(t, FILE_A, 3, F_RDLCK, 0, 9, &b), -EINPROGRESS);
	ck_assert_int_eq(set_wait(t, FILE_A, 4, F_RDLCK, 0, 9, &c), -EINPROGRESS);
	ck_assert_int_eq(a.calls + b.calls + c.calls, 0);
	lock_release_owner(t, FILE_A, LOCK_POSIX, 1);
	ck_assert_int_eq(a.result, 0);
	ck_assert_int_eq(b.calls + c.calls, 0);
	ck_assert_int_eq(set(t, FILE_A, 2, F_RDLCK, 0, 9), 0); /* a downgrade lets readers in */
	ck_assert_int_eq(b.result, 0);
	ck_assert_int_eq(c.result, 0);
	ck_assert_int_eq(b.order, 2);
	ck_assert_int_eq(c.order, 3);
	ck_assert_int_eq(a.calls + b.calls + c.calls, 3);
	lock_table_free(t);
}
END_TEST

START_TEST(a_free_lock_is_given_at_once_to_who_would_wait)
{
	struct lock_table *t = lock_table_new();
	struct wait w;
	ck_assert_int_eq(set_wait(t, FILE_A, 1, F_WRLCK, 0, 9, &w), 0);
	ck_assert_int_eq(w.calls, 0);
	ck_assert_int_eq(at(t, 2, 0).type, F_WRLCK);
	lock_table_free(t);
}
END_TEST

START_TEST(freeing_part_of_a_range_wakes_only_who_fits)
{
	struct lock_table *t = lock_table_new();
	struct wait low, high;
	ck_assert_int_eq(set(t, FILE_A, 1, F_WRLCK, 0, 99), 0);
	ck_assert_int_eq(set_wait(t, FILE_A, 2, F_WRLCK, 0, 49, &low), -EINPROGRESS);
	ck_assert_int_eq(set_wait(t, FILE_A, 3, F_WRLCK, 50, 99, &high), -EINPROGRESS);
	ck_assert_int_eq(set(t, FILE_A, 1, F_UNLCK, 50, 99), 0);
	ck_assert_int_eq(low.calls, 0);
	ck_assert_int_eq(high.result, 0);
	lock_table_free(t);
	ck_assert_int_eq(low.result, -EINTR); /* freeing the table calls back too */
	ck_assert_int_eq(low.calls, 1);
}
END_TEST

START_TEST(a_cancelled_waiter_is_told_once_and_gets_nothing)
{
	struct lock_table *t = lock_table_new();
	struct wait w, other;
	ck_assert_int_eq(set(t, FILE_A, 1, F_WRLCK, 0, 9), 0);
	ck_assert_int_eq(set_wait(t, FILE_A, 2, F_WRLCK, 0, 9, &w), -EINPROGRESS);
	ck_assert_int_eq(set_wait(t, FILE_A, 3, F_WRLCK, 0, 9, &other), -EINPROGRESS);
	lock_cancel(t, &w, -EINTR);
	lock_cancel(t, &w, -EINTR);
	ck_assert_int_eq(w.result, -EINTR);
	lock_release_owner(t, FILE_A, LOCK_POSIX, 1);
	ck_assert_int_eq(w.calls, 1);
	ck_assert_int_eq(other.result, 0);
	lock_cancel(t, &other, -EINTR); /* too late: it has the lock */
	ck_assert_int_eq(other.calls, 1);
	ck_assert_int_eq(at(t, 1, 0).type, F_WRLCK);
	lock_table_free(t);
}
END_TEST

START_TEST(two_that_wait_for_each_other_are_a_deadlock)
{
	struct lock_table *t = lock_table_new();
	struct wait one, two;
	ck_assert_int_eq(set(t, FILE_A, 1, F_WRLCK, 0, 0), 0);
	ck_assert_int_eq(set(t, FILE_B, 2, F_WRLCK, 0, 0), 0);
	ck_assert_int_eq(set_wait(t, FILE_B, 1, F_WRLCK, 0, 0, &one), -EINPROGRESS);
	ck_assert_int_eq(set_wait(t, FILE_A, 2, F_WRLCK, 0, 0, &two), -EINPROGRESS);
	ck_assert_int_eq(two.result, -EDEADLK);
	ck_assert_int_eq(one.calls, 0);
	lock_release_owner(t, FILE_B, LOCK_POSIX, 2);
	ck_assert_int_eq(one.result, 0);
	ck_assert_int_eq(two.calls, 1);
	lock_table_free(t);
}
END_TEST

START_TEST(two_readers_that_both_upgrade_are_a_deadlock)
{
	struct lock_table *t = lock_table_new();
	struct wait one, two;
	ck_assert_int_eq(set(t, FILE_A, 1, F_RDLCK, 0, 9), 0);
	ck_assert_int_eq(set(t, FILE_A, 2, F_RDLCK, 0, 9), 0);
	ck_assert_int_eq(set_wait(t, FILE_A, 1, F_WRLCK, 0, 9, &one), -EINPROGRESS);
	ck_assert_int_eq(set_wait(t, FILE_A, 2, F_WRLCK, 0, 9, &two), -EINPROGRESS);
	ck_assert_int_eq(two.result, -EDEADLK);
	ck_assert_int_eq(at(t, 1, 5).type, F_RDLCK); /* the loser keeps its lock */
	lock_release_owner(t, FILE_A, LOCK_POSIX, 2);
	ck_assert_int_eq(one.result, 0);
	lock_table_free(t);
}
END_TEST

START_TEST(a_ring_of_many_is_found_through_every_blocker)
{
	enum { RING = 40 };
	struct lock_table *t = lock_table_new();
	struct wait waits[RING + 1];
	for (uint64_t i = 1; i <= RING; i++)
		ck_assert_int_eq(set(t, FILE_A, i, F_RDLCK, i, i), 0);
	/* Owners that wait for nothing come before the one that closes the ring. */
	for (uint64_t i = 1; i <= RING; i++)
		ck_assert_int_eq(set(t, FILE_A, RING + i, F_RDLCK, i, i), 0);
	for (uint64_t i = 1; i < RING; i++)
		ck_assert_int_eq(
			set_wait(t, FILE_A, i, F_WRLCK, i + 1, i + 1, &waits[i]), -EINPROGRESS);
	for (uint64_t i = 1; i < RING; i++)
		ck_assert_int_eq(waits[i].calls, 0);
	ck_assert_int_eq(set_wait(t, FILE_A, RING, F_WRLCK, 1, 1, &waits[RING]), -EINPROGRESS);
	ck_assert_int_eq(waits[RING].result, -EDEADLK);
	lock_table_free(t);
}
END_TEST

START_TEST(a_grant_that_closes_a_ring_ends_the_wait)
{
	/* 2 and 3 wait for 1's lock, and 2 has another thread that waits for 3: when 2 gets the
	 * lock, 3 waits for 2 and 2 for 3. */
	struct lock_table *t = lock_table_new();
	struct wait two, three, thread;
	ck_assert_int_eq(set(t, FILE_A, 1, F_WRLCK, 0, 0), 0);
	ck_assert_int_eq(set(t, FILE_B, 3, F_WRLCK, 0, 0), 0);
	ck_assert_int_eq(set_wait(t, FILE_A, 2, F_WRLCK, 0, 0, &two), -EINPROGRESS);
	ck_assert_int_eq(set_wait(t, FILE_A, 3, F_WRLCK, 0, 0, &three), -EINPROGRESS);
	ck_assert_int_eq(set_wait(t, FILE_B, 2, F_WRLCK, 0, 0, &thread), -EINPROGRESS);
	lock_release_owner(t, FILE_A, LOCK_POSIX, 1);
	ck_assert_int_eq(two.result, 0);
	ck_assert_int_eq(three.result, -EDEADLK);
	ck_assert_int_eq(thread.calls, 0);
	lock_release_owner(t, FILE_B, LOCK_POSIX, 3);
	ck_assert_int_eq(thread.result, 0);
	lock_table_free(t);
}
END_TEST

START_TEST(a_chain_without_a_ring_is_no_deadlock)
{
	struct lock_table *t = lock_table_new();
	struct wait two, three;
	ck_assert_int_eq(set(t, FILE_A, 1, F_WRLCK, 0, 0), 0);
	ck_assert_int_eq(set(t, FILE_B, 2, F_WRLCK, 0, 0), 0);
	ck_assert_int_eq(set_wait(t, FILE_A, 2, F_WRLCK, 0, 0, &two), -EINPROGRESS);
	ck_assert_int_eq(set_wait(t, FILE_B, 3, F_WRLCK, 0, 0, &three), -EINPROGRESS);
	ck_assert_int_eq(two.calls + three.calls, 0);
	lock_release_owner(t, FILE_A, LOCK_POSIX, 1);
	lock_release_owner(t, FILE_B, LOCK_POSIX, 2);
	ck_assert_int_eq(two.result, 0);
	ck_assert_int_eq(three.result, 0);
	lock_table_free(t);
}
END_TEST

START_TEST(flock_takes_the_whole_file)
{
	struct lock_table *t = lock_table_new();
	struct wait w;
	ck_assert_int_eq(flock_set(t, 1, F_RDLCK, NULL), 0);
	ck_assert_int_eq(flock_set(t, 2, F_RDLCK, NULL), 0);
	ck_assert_int_eq(flock_set(t, 3, F_WRLCK, NULL), -EAGAIN);
	ck_assert_int_eq(flock_set(t, 3, F_WRLCK, &w), -EINPROGRESS);
	ck_assert_int_eq(flock_set(t, 1, F_UNLCK, NULL), 0);
	ck_assert_int_eq(w.calls, 0);
	lock_release_owner(t, FILE_A, LOCK_FLOCK, 2);
	ck_assert_int_eq(w.result, 0);
	ck_assert_int_eq(flock_set(t, 1, F_RDLCK, NULL), -EAGAIN);
	lock_table_free(t);
}
END_TEST

START_TEST(flock_and_posix_locks_do_not_meet)
{
	struct lock_table *t = lock_table_new();
	ck_assert_int_eq(flock_set(t, 1, F_WRLCK, NULL), 0);
	ck_assert_int_eq(set(t, FILE_A, 2, F_WRLCK, 0, UINT64_MAX), 0);
	lock_release_owner(t, FILE_A, LOCK_POSIX, 1);
	ck_assert_int_eq(flock_set(t, 3, F_RDLCK, NULL), -EAGAIN);
	lock_release_owner(t, FILE_A, LOCK_FLOCK, 1);
	ck_assert_int_eq(flock_set(t, 3, F_RDLCK, NULL), 0);
	ck_assert_int_eq(at(t, 1, 0).type, F_WRLCK);
	lock_table_free(t);
}
END_TEST

START_TEST(a_refused_flock_conversion_loses_the_old_lock)
{
	struct lock_table *t = lock_table_new();
	ck_assert_int_eq(flock_set(t, 1, F_RDLCK, NULL), 0);
	ck_assert_int_eq(flock_set(t, 2, F_RDLCK, NULL), 0);
	ck_assert_int_eq(flock_set(t, 1, F_WRLCK, NULL), -EAGAIN);
	ck_assert_int_eq(flock_set(t, 2, F_WRLCK, NULL), 0);
	lock_table_free(t);
}
END_TEST

START_TEST(a_flock_conversion_lets_waiters_pass)
{
	struct lock_table *t = lock_table_new();
	struct wait waiter, converter;
	ck_assert_int_eq(flock_set(t, 1, F_RDLCK, NULL), 0);
	ck_assert_int_eq(flock_set(t, 2, F_WRLCK, &waiter), -EINPROGRESS);
	ck_assert_int_eq(flock_set(t, 1, F_WRLCK, &converter), -EINPROGRESS);
	ck_assert_int_eq(waiter.result, 0);
	ck_assert_int_eq(converter.calls, 0);
	ck_assert_int_eq(flock_set(t, 2, F_UNLCK, NULL), 0);
	ck_assert_int_eq(converter.result, 0);
	lock_table_free(t);
}
END_TEST

START_TEST(taking_the_same_flock_again_changes_nothing)
{
	struct lock_table *t = lock_table_new();
	struct wait w;
	ck_assert_int_eq(flock_set(t, 1, F_WRLCK, NULL), 0);
	ck_assert_int_eq(flock_set(t, 2, F_WRLCK, &w), -EINPROGRESS);
	ck_assert_int_eq(flock_set(t, 1, F_WRLCK, NULL), 0);
	ck_assert_int_eq(w.calls, 0);
	lock_table_free(t);
}
END_TEST

START_TEST(a_full_table_refuses_locks_but_not_unlocking)
{
	struct lock_table *t = lock_table_new();
	uint64_t at_byte = 0;
	int r;
	while ((r = set(t, FILE_A, 1, F_WRLCK, at_byte, at_byte)) == 0)
		at_byte += 2; /* never neighbours, so that they do not merge */
	ck_assert_int_eq(r, -ENOLCK);
	ck_assert_uint_le(at_byte, 2 * LOCKS_MAX);
	ck_assert_uint_ge(at_byte, LOCKS_MAX);
	ck_assert_int_eq(set(t, FILE_A, 1, F_UNLCK, 0, 9), 0);
	ck_assert_int_eq(set(t, FILE_A, 2, F_WRLCK, 0, 9), 0);
	lock_table_free(t);
}
END_TEST

/* Random calls, compared with a simple model: a type for each byte and owner. */
START_TEST(random_ranges_agree_with_a_byte_map)
{
	enum { BYTES = 24, OWNERS = 4, ROUNDS = 20000 };
	struct lock_table *t = lock_table_new();
	int map[OWNERS][BYTES];
	for (int o = 0; o < OWNERS; o++)
		for (int b = 0; b < BYTES; b++)
			map[o][b] = F_UNLCK;
	srandom(7);
	for (int round = 0; round < ROUNDS; round++) {
		static const int types[] = {F_RDLCK, F_WRLCK, F_UNLCK, F_UNLCK};
		int owner = (int)(random() % OWNERS), type = types[random() % 4];
		int first = (int)(random() % BYTES);
		int last = first + (int)(random() % (BYTES - first));
		bool meets = false;
		for (int o = 0; o < OWNERS; o++)
			for (int b = first; b <= last; b++)
				meets |= o != owner && type != F_UNLCK && map[o][b] != F_UNLCK &&
					 (type == F_WRLCK || map[o][b] == F_WRLCK);
		int r = set(t, FILE_A, (uint64_t)owner, type, (uint64_t)first, (uint64_t)last);
		ck_assert_int_eq(r, meets ? -EAGAIN : 0);
		for (int b = first; b <= last && !meets; b++)
			map[owner][b] = type;
		for (int b = 0; b < BYTES; b++) {
			bool held = false;
			for (int o = 0; o < OWNERS; o++)
				held |= map[o][b] != F_UNLCK;
			ck_assert_int_eq(at(t, 999, (uint64_t)b).type != F_UNLCK, held);
		}
	}
	lock_table_free(t);
}
END_TEST

/* Threads that take turns by the lock alone. They share only the counter. */
struct turns {
	struct lock_table *table;
	pthread_mutex_t mutex; /* guards the waits of all */
	pthread_cond_t changed;
	int inside;
	int count;
};

struct turn {
	struct turns *all;
	uint64_t owner;
	bool told;
};

static void turn_granted(void *context, int result)
{
	struct turn *turn = context;
	pthread_mutex_lock(&turn->all->mutex);
	turn->told = result == 0;
	pthread_cond_broadcast(&turn->all->changed);
	pthread_mutex_unlock(&turn->all->mutex);
}

static void take_turn(struct turn *turn)
{
	struct turns *all = turn->all;
	struct lock_range r = range(0, 9, F_WRLCK);
	turn->told = false;
	int result =
		lock_set(all->table, FILE_A, LOCK_POSIX, turn->owner, &r, true, turn_granted, turn);
	pthread_mutex_lock(&all->mutex);
	while (result == -EINPROGRESS && !turn->told)
		pthread_cond_wait(&all->changed, &all->mutex);
	all->inside++;
	ck_assert_int_eq(all->inside, 1);
	all->count++;
	all->inside--;
	pthread_mutex_unlock(&all->mutex);
	lock_release_owner(all->table, FILE_A, LOCK_POSIX, turn->owner);
}

static void *run_turns(void *context)
{
	for (int i = 0; i < 500; i++)
		take_turn(context);
	return NULL;
}

START_TEST(threads_that_wait_all_get_their_turns)
{
	enum { THREADS = 6 };
	struct turns all = {.table = lock_table_new(),
		.mutex = PTHREAD_MUTEX_INITIALIZER,
		.changed = PTHREAD_COND_INITIALIZER};
	struct turn turns[THREADS];
	pthread_t threads[THREADS];
	for (int i = 0; i < THREADS; i++) {
		turns[i] = (struct turn){.all = &all, .owner = (uint64_t)i};
		ck_assert_int_eq(pthread_create(&threads[i], NULL, run_turns, &turns[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	ck_assert_int_eq(all.count, THREADS * 500);
	ck_assert_int_eq(set(all.table, FILE_A, 1, F_WRLCK, 0, 9), 0);
	lock_table_free(all.table);
}
END_TEST

static TCase *posix_case(void)
{
	TCase *c = tcase_create("posix");
	tcase_add_test(c, readers_share_and_writers_exclude);
	tcase_add_test(c, an_owner_never_conflicts_with_itself);
	tcase_add_test(c, unlocking_the_middle_splits);
	tcase_add_test(c, converting_the_middle_splits_in_three);
	tcase_add_test(c, edges_are_cut_and_covered_ranges_go);
	tcase_add_test(c, neighbours_of_one_type_merge);
	tcase_add_test(c, ranges_reach_the_last_byte_of_all);
	tcase_add_test(c, upgrade_needs_the_other_readers_gone);
	tcase_add_test(c, a_conflict_is_told_with_its_owner);
	tcase_add_test(c, nonsense_is_refused);
	tcase_add_test(c, a_full_table_refuses_locks_but_not_unlocking);
	tcase_add_test(c, random_ranges_agree_with_a_byte_map);
	tcase_set_timeout(c, 120);
	return c;
}

static TCase *waiting_case(void)
{
	TCase *c = tcase_create("waiting");
	tcase_add_test(c, waiters_are_granted_in_order);
	tcase_add_test(c, a_free_lock_is_given_at_once_to_who_would_wait);
	tcase_add_test(c, freeing_part_of_a_range_wakes_only_who_fits);
	tcase_add_test(c, a_cancelled_waiter_is_told_once_and_gets_nothing);
	tcase_add_test(c, two_that_wait_for_each_other_are_a_deadlock);
	tcase_add_test(c, two_readers_that_both_upgrade_are_a_deadlock);
	tcase_add_test(c, a_ring_of_many_is_found_through_every_blocker);
	tcase_add_test(c, a_grant_that_closes_a_ring_ends_the_wait);
	tcase_add_test(c, a_chain_without_a_ring_is_no_deadlock);
	tcase_add_test(c, threads_that_wait_all_get_their_turns);
	tcase_set_timeout(c, 120);
	return c;
}

static TCase *flock_case(void)
{
	TCase *c = tcase_create("flock");
	tcase_add_test(c, flock_takes_the_whole_file);
	tcase_add_test(c, flock_and_posix_locks_do_not_meet);
	tcase_add_test(c, a_refused_flock_conversion_loses_the_old_lock);
	tcase_add_test(c, a_flock_conversion_lets_waiters_pass);
	tcase_add_test(c, taking_the_same_flock_again_changes_nothing);
	return c;
}

int main(void)
{
	Suite *suite = suite_create("locks");
	suite_add_tcase(suite, posix_case());
	suite_add_tcase(suite, waiting_case());
	suite_add_tcase(suite, flock_case());
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
