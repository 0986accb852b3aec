/* SPDX-License-Identifier: MIT */
/*
 * Assertions that the calling thread holds a lock, for functions that rely on it (`…_locked`). They
 * exist in debug builds with glibc, which notes a lock's holder; anywhere else they are nothing and
 * do not evaluate their argument. Sanitizer builds are debug builds.
 *
 *     ASSERT_LOCKED(&shard->lock);        a mutex
 *     ASSERT_RDLOCKED(&set->lock);        a rwlock, shared or exclusive
 *     ASSERT_WRLOCKED(&set->lock);        a rwlock, exclusive
 *
 * glibc does not note which threads share a rwlock: ASSERT_RDLOCKED() passes when any thread does.
 */
#ifndef UTIL_LOCK_H
#define UTIL_LOCK_H

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <unistd.h>

#if defined(DEBUG_LOCKS) && defined(__GLIBC__)

/* The low bits of glibc's __readers are flags. */
enum { RWLOCK_READER_SHIFT = 3 };

static inline bool lock_is_held(const pthread_mutex_t *mutex)
{
	return mutex->__data.__owner == gettid();
}

static inline bool lock_is_exclusive(const pthread_rwlock_t *rwlock)
{
	return rwlock->__data.__cur_writer == gettid();
}

static inline bool lock_is_shared(const pthread_rwlock_t *rwlock)
{
	return rwlock->__data.__readers >> RWLOCK_READER_SHIFT != 0;
}

#define ASSERT_LOCKED(mutex) assert(lock_is_held(mutex))
#define ASSERT_RDLOCKED(rwlock) assert(lock_is_shared(rwlock) || lock_is_exclusive(rwlock))
#define ASSERT_WRLOCKED(rwlock) assert(lock_is_exclusive(rwlock))

#else

#define ASSERT_LOCKED(mutex) ((void)sizeof(mutex))
#define ASSERT_RDLOCKED(rwlock) ((void)sizeof(rwlock))
#define ASSERT_WRLOCKED(rwlock) ((void)sizeof(rwlock))

#endif
#endif
