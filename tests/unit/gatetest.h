/* SPDX-License-Identifier: MIT */
/* A gate for background threads, and the use of a stream meanwhile. */
#ifndef TESTS_GATETEST_H
#define TESTS_GATETEST_H

#include "clock.h"
#include "storetest.h"

#include <semaphore.h>
#include <time.h>

enum { LINES = 40, PAD = 40, WAIT_S = 60 };

/*
 * While closed, holds up calls of one kind in all threads but the test's own. Counts these calls,
 * and the bytes of all reads.
 */
static struct gate {
	struct disk_hook hook; /* first */
	pthread_t own;
	atomic_bool closed;
	atomic_int op;
	sem_t arrived, opened;
	atomic_bool gave_up; /* a thread waited too long at the gate and went on */
	atomic_uint calls;
	atomic_size_t read_bytes;
} gate;

static inline bool wait_for(sem_t *semaphore)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += WAIT_S;
	int r;
	while ((r = sem_timedwait(semaphore, &until)) < 0 && errno == EINTR)
		;
	return r == 0;
}

static inline int gate_before(struct disk_hook *hook, const struct disk_call *call, size_t *limit)
{
	(void)hook;
	(void)limit;
	if (pthread_equal(pthread_self(), gate.own))
		return 0;
	if (call->op == DISK_READ)
		atomic_fetch_add(&gate.read_bytes, call->bytes);
	if ((int)call->op != atomic_load(&gate.op))
		return 0;
	atomic_fetch_add(&gate.calls, 1);
	if (!atomic_load(&gate.closed))
		return 0;
	sem_post(&gate.arrived);
	if (!wait_for(&gate.opened))
		atomic_store(&gate.gave_up, true);
	return 0;
}

static inline void gate_init(enum disk_op op)
{
	gate = (struct gate){.hook = {.before = gate_before}, .own = pthread_self(), .op = (int)op};
	sem_init(&gate.arrived, 0, 0);
	sem_init(&gate.opened, 0, 0);
	options.disk_hook = &gate.hook;
}

static inline void gate_close(enum disk_op op)
{
	atomic_store(&gate.op, (int)op);
	atomic_store(&gate.closed, true);
}

static inline void gate_open(void)
{
	atomic_store(&gate.closed, false);
	sem_post(&gate.opened);
}

/* Uses a stream as programs do. Background work must not block it. */
static inline void use_stream(unsigned first)
{
	struct sfs_owner owner = {0750, 0, 0};
	ck_assert_int_eq(sfs_stream_set_owner(stream, &owner), 0); /* locks exclusively */
	append_lines_one_by_one(first, 3, PAD);
	ck_assert_int_eq(read_one(0), 1);
	ck_assert(!atomic_load(&gate.gave_up));
}

static inline void *close_in_thread(void *context)
{
	(void)context;
	close_all();
	return NULL;
}

/* Closes the store while the tidier waits at the gate. Returns the number of its later calls. */
static inline unsigned calls_while_closing(void)
{
	struct sfs_store *closing = store;
	pthread_t thread;
	ck_assert(wait_for(&gate.arrived));
	ck_assert_int_eq(pthread_create(&thread, NULL, close_in_thread, NULL), 0);
	while (!atomic_load(&closing->env.closing))
		usleep(1000);
	unsigned before = gate.calls;
	gate_open();
	pthread_join(thread, NULL);
	ck_assert(!gate.gave_up);
	return gate.calls - before;
}

#endif
