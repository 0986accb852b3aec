/* SPDX-License-Identifier: MIT */
/*
 * A typed growable array. `VECTOR(name, type)` declares `struct name`; the name may be empty, as
 * with the lists of <bsd/sys/queue.h>:
 *
 *     VECTOR(offsets, uint64_t);          struct offsets bases = {0};
 *     VECTOR(, struct record) records;    a member without a type name
 *
 * A vector that is all zero is empty and valid. Its items are `items[0]` to `items[count - 1]`.
 * They move when the vector grows, so a pointer to one lasts until the next push or reserve.
 * vector_fini() frees the array; whatever the items point to is the owner's to release. To hand a
 * vector over, assign the struct and zero the old one. Locking is the owner's business.
 *
 * These are macros: `v` is a pointer to a vector without side effects, because it is evaluated more
 * than once. What can fail returns 0 or -ENOMEM and leaves the vector as it was; a size that
 * overflows is -ENOMEM too.
 */
#ifndef UTIL_VECTOR_H
#define UTIL_VECTOR_H

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define VECTOR(name, type)                                                                         \
	struct name {                                                                              \
		type *items;                                                                       \
		size_t count;	 /* items in use */                                                \
		size_t capacity; /* items allocated */                                             \
	}

/* Room for `more` items behind those in use. */
#define vector_reserve(v, more)                                                                    \
	vector_reserve_(&(v)->items, (v)->count, &(v)->capacity, sizeof *(v)->items, (more))

/* Adds an item at the end; a compound literal will do: vector_push(&points, (struct point){1, 2})
 */
#define vector_push(v, ...)                                                                        \
	(vector_reserve((v), 1) < 0 ? -ENOMEM : ((v)->items[(v)->count++] = (__VA_ARGS__), 0))

/* Makes it `n` items long; new ones are zero. Shrinking keeps the memory and cannot fail. */
#define vector_resize(v, n)                                                                        \
	vector_resize_(&(v)->items, &(v)->count, &(v)->capacity, sizeof *(v)->items, (n))

/* Forgets the items, keeps the memory. */
#define vector_clear(v) ((void)((v)->count = 0))

/* Takes out the item at `index`; those behind it move up. */
#define vector_remove(v, index) vector_remove_((v)->items, &(v)->count, sizeof *(v)->items, (index))

/* Sorts with a comparison as for qsort(3). */
#define vector_sort(v, compare) vector_sort_((v)->items, (v)->count, sizeof *(v)->items, (compare))

/* Frees the memory and leaves an empty vector. */
#define vector_fini(v) (free((v)->items), (v)->items = NULL, (void)((v)->count = (v)->capacity = 0))

/* What the macros call. `items_field` points to the vector's `items`, whatever their type. */
int vector_reserve_(void *items_field, size_t count, size_t *capacity, size_t item_bytes,
	size_t more) __attribute__((warn_unused_result));
int vector_resize_(void *items_field, size_t *count, size_t *capacity, size_t item_bytes, size_t n)
	__attribute__((warn_unused_result));

static inline void vector_remove_(void *items, size_t *count, size_t item_bytes, size_t index)
{
	assert(index < *count);
	char *at = (char *)items + index * item_bytes;
	memmove(at, at + item_bytes, (--*count - index) * item_bytes);
}

static inline void vector_sort_(
	void *items, size_t count, size_t item_bytes, int (*compare)(const void *, const void *))
{
	if (count)
		qsort(items, count, item_bytes, compare);
}

#endif
