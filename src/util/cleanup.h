/* SPDX-License-Identifier: MIT */
/* Scoped release: `_cleanup_(fn)` calls fn(&variable) when the variable goes out of scope. */
#ifndef UTIL_CLEANUP_H
#define UTIL_CLEANUP_H

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(fn) __attribute__((cleanup(fn)))

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_close(const int *fd)
{
	if (*fd >= 0) {
		int saved = errno;
		close(*fd);
		errno = saved;
	}
}

static inline void cleanup_unlock(pthread_mutex_t **mutex)
{
	if (*mutex)
		pthread_mutex_unlock(*mutex);
}

#define _cleanup_free_ _cleanup_(cleanup_free)
#define _cleanup_close_ _cleanup_(cleanup_close)

/* Holds a mutex to the end of the scope. */
#define SCOPED_LOCK_CAT_(a, b) a##b
#define SCOPED_LOCK_NAME_(line) SCOPED_LOCK_CAT_(scoped_lock_, line)
#define SCOPED_LOCK(mutex)                                                                         \
	_cleanup_(cleanup_unlock) __attribute__((unused))                                          \
	pthread_mutex_t *SCOPED_LOCK_NAME_(__LINE__) = (pthread_mutex_lock(mutex), (mutex))

#endif
