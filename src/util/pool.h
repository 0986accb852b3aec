/* SPDX-License-Identifier: MIT */
/*
 * A pool of idle objects of one kind: those that are expensive to make go back to it and are taken
 * again, the last one first. Each object embeds a struct pool_item. Thread-safe.
 */
#ifndef UTIL_POOL_H
#define UTIL_POOL_H

#include <bsd/sys/queue.h>
#include <pthread.h>

struct pool_item {
	SLIST_ENTRY(pool_item) link;
	void (*free)(struct pool_item *item); /* for pool_fini() */
};

struct pool {
	pthread_mutex_t lock;
	SLIST_HEAD(, pool_item) items;
};

void pool_init(struct pool *pool);
/* Frees what is in the pool. Objects that are out stay their holders'. */
void pool_fini(struct pool *pool);
/* NULL: the pool is empty. */
struct pool_item *pool_take(struct pool *pool);
void pool_give(struct pool *pool, struct pool_item *item);

#endif
