/* SPDX-License-Identifier: MIT */
#include "home.h"

#include <stdio.h>
#include <string.h>

void home_init(struct home *home, const char *name)
{
	snprintf(home->name, sizeof home->name, "%s", name);
	settings_init(&home->settings);
	/* Writers first: a change of settings must not starve behind a steady flow of appends. */
	pthread_rwlockattr_t writers_first;
	pthread_rwlockattr_init(&writers_first);
	pthread_rwlockattr_setkind_np(&writers_first, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&home->lock, &writers_first);
	pthread_rwlockattr_destroy(&writers_first);
	pthread_rwlock_init(&home->path_lock, NULL);
}

void home_fini(struct home *home)
{
	settings_fini(&home->settings);
	pthread_rwlock_destroy(&home->path_lock);
	pthread_rwlock_destroy(&home->lock);
}

void home_name(struct home *home, char name[SFS_NAME_MAX + 1])
{
	pthread_rwlock_rdlock(&home->path_lock);
	memcpy(name, home->name, sizeof home->name);
	pthread_rwlock_unlock(&home->path_lock);
}
