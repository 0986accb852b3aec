/* SPDX-License-Identifier: MIT */
/* The struct that a member stands in, for links and callbacks that carry only the member. */
#ifndef UTIL_CONTAINER_H
#define UTIL_CONTAINER_H

#include <stddef.h>

/* `pointer` is to `member` of a `type`; the result is to that `type`. */
#define CONTAINER_OF(pointer, type, member)                                                        \
	((type *)(void *)((char *)(pointer) - offsetof(type, member)))

#endif
