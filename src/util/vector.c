/* SPDX-License-Identifier: MIT */
#include "vector.h"

#include <stdint.h>

enum { FIRST_ITEMS = 4 };

/* At least `want` items, and half as many again as before, so that pushing stays cheap. */
static int grow(void *items_field, size_t *capacity, size_t item_bytes, size_t want)
{
	size_t most = SIZE_MAX / 2 / item_bytes;
	if (want > most)
		return -ENOMEM;
	size_t larger = *capacity ? *capacity + *capacity / 2 + 1 : FIRST_ITEMS;
	larger = larger < want ? want : larger;
	larger = larger > most ? most : larger;
	void *items;
	memcpy(&items, items_field, sizeof items);
	items = realloc(items, larger * item_bytes);
	if (!items)
		return -ENOMEM;
	memcpy(items_field, &items, sizeof items);
	*capacity = larger;
	return 0;
}

int vector_reserve_(
	void *items_field, size_t count, size_t *capacity, size_t item_bytes, size_t more)
{
	if (more <= *capacity - count)
		return 0;
	if (more > SIZE_MAX - count)
		return -ENOMEM;
	return grow(items_field, capacity, item_bytes, count + more);
}

int vector_resize_(void *items_field, size_t *count, size_t *capacity, size_t item_bytes, size_t n)
{
	if (n > *count) {
		int r = n > *capacity ? grow(items_field, capacity, item_bytes, n) : 0;
		if (r < 0)
			return r;
		char *items;
		memcpy(&items, items_field, sizeof items);
		memset(items + *count * item_bytes, 0, (n - *count) * item_bytes);
	}
	*count = n;
	return 0;
}
