/* SPDX-License-Identifier: MIT */
#include "lru.h"

#include "cleanup.h"

struct slot {
	uint64_t a, b;
	uint64_t used; /* the clock at the last use */
	size_t weight;
	void *object; /* NULL: free */
};

struct lru {
	pthread_mutex_t lock; /* guards all below */
	void (*ref)(void *);
	void (*unref)(void *);
	uint64_t clock;
	size_t weight, max_weight;
	size_t slot_count;
	struct slot slots[];
};

struct lru *lru_new(size_t slots, size_t max_weight, void (*ref)(void *), void (*unref)(void *))
{
	struct lru *lru = calloc(1, sizeof *lru + slots * sizeof lru->slots[0]);
	if (!lru)
		return NULL;
	pthread_mutex_init(&lru->lock, NULL);
	lru->ref = ref;
	lru->unref = unref;
	lru->max_weight = max_weight;
	lru->slot_count = slots;
	return lru;
}

static void evict_locked(struct lru *lru, struct slot *slot)
{
	if (!slot->object)
		return;
	lru->weight -= slot->weight;
	lru->unref(slot->object);
	*slot = (struct slot){0};
}

void lru_free(struct lru *lru)
{
	if (!lru)
		return;
	for (size_t i = 0; i < lru->slot_count; i++)
		evict_locked(lru, &lru->slots[i]);
	pthread_mutex_destroy(&lru->lock);
	free(lru);
}

static struct slot *find_locked(struct lru *lru, uint64_t a, uint64_t b)
{
	for (size_t i = 0; i < lru->slot_count; i++) {
		struct slot *s = &lru->slots[i];
		if (s->object && s->a == a && s->b == b)
			return s;
	}
	return NULL;
}

void *lru_get(struct lru *lru, uint64_t a, uint64_t b)
{
	SCOPED_LOCK(&lru->lock);
	struct slot *s = find_locked(lru, a, b);
	if (!s)
		return NULL;
	s->used = ++lru->clock;
	lru->ref(s->object);
	return s->object;
}

/* The slot to reuse next: a free one if there is any; with `occupied`, the least recently used. */
static struct slot *victim_locked(struct lru *lru, int occupied)
{
	struct slot *victim = NULL;
	for (size_t i = 0; i < lru->slot_count; i++) {
		struct slot *s = &lru->slots[i];
		if (!s->object && !occupied)
			return s;
		if (s->object && (!victim || s->used < victim->used))
			victim = s;
	}
	return victim;
}

void lru_put(struct lru *lru, uint64_t a, uint64_t b, void *object, size_t weight)
{
	SCOPED_LOCK(&lru->lock);
	if (weight > lru->max_weight || find_locked(lru, a, b))
		return;
	while (weight > lru->max_weight - lru->weight)
		evict_locked(lru, victim_locked(lru, 1));
	struct slot *slot = victim_locked(lru, 0);
	evict_locked(lru, slot);
	lru->ref(object);
	*slot = (struct slot){a, b, ++lru->clock, weight, object};
	lru->weight += weight;
}

void lru_drop(struct lru *lru, uint64_t a, uint64_t b)
{
	SCOPED_LOCK(&lru->lock);
	struct slot *s = find_locked(lru, a, b);
	if (s)
		evict_locked(lru, s);
}
