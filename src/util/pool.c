/* SPDX-License-Identifier: MIT */
#include "pool.h"

#include "cleanup.h"

void pool_init(struct pool *pool)
{
	pthread_mutex_init(&pool->lock, NULL);
	SLIST_INIT(&pool->items);
}

void pool_fini(struct pool *pool)
{
	struct pool_item *item;
	while ((item = pool_take(pool)))
		item->free(item);
	pthread_mutex_destroy(&pool->lock);
}

struct pool_item *pool_take(struct pool *pool)
{
	SCOPED_LOCK(&pool->lock);
	struct pool_item *item = SLIST_FIRST(&pool->items);
	if (item)
		SLIST_REMOVE_HEAD(&pool->items, link);
	return item;
}

void pool_give(struct pool *pool, struct pool_item *item)
{
	SCOPED_LOCK(&pool->lock);
	SLIST_INSERT_HEAD(&pool->items, item, link);
}
