/* SPDX-License-Identifier: MIT */
/*
 * A trace of the steps that the program takes: off by default, chosen by area. While an area is
 * off, a TRACE() in it costs one branch, and its arguments are not evaluated.
 *
 *     TRACE(append, "%s shard %u: %zu bytes at %" PRIu64, name, number, bytes, offset);
 *
 * Every layer may trace, the store too. A line goes where the log goes, whatever its level, in one
 * call, so lines of different threads do not mix:
 *
 *     trace 81234.123456 [4711] append: orders shard 2: 87 bytes at 52100
 *
 * That is: seconds of CLOCK_MONOTONIC, the thread, the area. A line is cut at TRACE_LINE_MAX bytes;
 * control characters in it become '?'. Errno stays as it was. Any thread may trace, also with locks
 * held. Never trace the text of a record, a partition key or a payload: logs are not as private.
 */
#ifndef UTIL_TRACE_H
#define UTIL_TRACE_H

#include <stdatomic.h>

enum { TRACE_LINE_MAX = 512 };

/* clang-format off */
#define TRACE_AREAS(X)                                                                             \
	X(append)  /* the life of an append: taken, encoded, written, published */                 \
	X(read)    /* reads of shards and views */                                                 \
	X(sync)    /* what becomes durable, when, and the watermark */                             \
	X(recover) /* what is found and repaired when a shard or the store is opened */            \
	X(shard)   /* states: opened, closed, removed, failed */                                   \
	X(trim)    /* horizons that move, segments that go */                                      \
	X(merge)   /* small chunks and segments made into large ones */                            \
	X(reshard) /* shards that close and follow */                                              \
	X(blob)    /* payloads: committed, read, swept */                                          \
	X(drop)    /* files in drop/ */                                                            \
	X(consumer) /* consumers and their checkpoints */                                          \
	X(request) /* FUSE requests as they arrive */                                              \
	X(live)    /* reads and polls that wait, and what wakes them */                            \
	X(lock)    /* advisory locks */                                                            \
	X(notify)  /* what the kernel's cache is made to forget or to know */
/* clang-format on */

#define TRACE_ENUM_(area) TRACE_##area,
enum trace_area { TRACE_AREAS(TRACE_ENUM_) TRACE_AREA_COUNT };

/* Bit `1 << area`: that area is on. With the log's level the only mutable global. */
extern atomic_uint trace_areas;

#define TRACE_IS_ON(area)                                                                          \
	__builtin_expect(                                                                          \
		atomic_load_explicit(&trace_areas, memory_order_relaxed) & 1u << TRACE_##area, 0)
#define TRACE(area, ...)                                                                           \
	do {                                                                                       \
		if (TRACE_IS_ON(area))                                                             \
			trace_line(TRACE_##area, __VA_ARGS__);                                     \
	} while (0)

/*
 * Turns on the areas of a list ("append,sync"; '+' separates as well, for lists that stand in a
 * mount option; "all") and every other one off. "" turns the trace off. -EINVAL for an unknown
 * area, and then nothing changes.
 */
int trace_set(const char *areas);

/* The areas that there are, separated by commas. */
extern const char trace_area_list[];

/* For TRACE(). */
void trace_line(enum trace_area area, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
