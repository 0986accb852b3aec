/* SPDX-License-Identifier: MIT */
/*
 * A small cache of reference-counted objects, each under a pair of numbers. The least recently used
 * one goes first. Any thread may call. A lookup walks the slots: use tens of them, not thousands.
 */
#ifndef UTIL_LRU_H
#define UTIL_LRU_H

#include <stddef.h>
#include <stdint.h>

struct lru;
/* `ref` counts one more holder, `unref` one less; both are called under the cache's lock. */
struct lru *lru_new(size_t slots, size_t max_weight, void (*ref)(void *), void (*unref)(void *));
void lru_free(struct lru *lru); /* NULL is fine */

/* A counted reference, or NULL. */
void *lru_get(struct lru *lru, uint64_t a, uint64_t b);
/* Keeps a reference of its own, unless the pair is there already or is too heavy. */
void lru_put(struct lru *lru, uint64_t a, uint64_t b, void *object, size_t weight);
void lru_drop(struct lru *lru, uint64_t a, uint64_t b);

#endif
