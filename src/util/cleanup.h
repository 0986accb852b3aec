/* SPDX-License-Identifier: MIT */
/*
 * Scoped release: `_cleanup_(fn)` calls fn(&variable) when the variable goes out of scope. Errno
 * stays as it was. Initialise the variable where it is declared. NULL, or a negative descriptor,
 * has nothing to release: set it so to hand the object on.
 */
#ifndef UTIL_CLEANUP_H
#define UTIL_CLEANUP_H

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
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

static inline void cleanup_closedir(DIR *const *dir)
{
	if (*dir) {
		int saved = errno;
		closedir(*dir);
		errno = saved;
	}
}

/* For files that are read: an error of fclose(3) is lost. */
static inline void cleanup_fclose(FILE *const *file)
{
	if (*file) {
		int saved = errno;
		fclose(*file);
		errno = saved;
	}
}

static inline void cleanup_unlock(pthread_mutex_t **mutex)
{
	if (*mutex)
		pthread_mutex_unlock(*mutex);
}

static inline void cleanup_rwunlock(pthread_rwlock_t **rwlock)
{
	if (*rwlock)
		pthread_rwlock_unlock(*rwlock);
}

#define _cleanup_free_ _cleanup_(cleanup_free)
#define _cleanup_close_ _cleanup_(cleanup_close)
#define _cleanup_closedir_ _cleanup_(cleanup_closedir)
#define _cleanup_fclose_ _cleanup_(cleanup_fclose)

/* Holds a lock to the end of the scope: a mutex, a rwlock shared, a rwlock exclusively. */
#define SCOPED_LOCK_CAT_(a, b) a##b
#define SCOPED_LOCK_NAME_(line) SCOPED_LOCK_CAT_(scoped_lock_, line)
#define SCOPED_LOCK_(type, release)                                                                \
	_cleanup_(release) __attribute__((unused)) type *SCOPED_LOCK_NAME_(__LINE__)
#define SCOPED_LOCK(mutex)                                                                         \
	SCOPED_LOCK_(pthread_mutex_t, cleanup_unlock) = (pthread_mutex_lock(mutex), (mutex))
#define SCOPED_RDLOCK(rwlock)                                                                      \
	SCOPED_LOCK_(pthread_rwlock_t, cleanup_rwunlock) = (pthread_rwlock_rdlock(rwlock), (rwlock))
#define SCOPED_WRLOCK(rwlock)                                                                      \
	SCOPED_LOCK_(pthread_rwlock_t, cleanup_rwunlock) = (pthread_rwlock_wrlock(rwlock), (rwlock))

#endif
