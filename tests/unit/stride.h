/* SPDX-License-Identifier: MIT */
/* How many of the points that a test could try it does try. */
#ifndef TESTS_STRIDE_H
#define TESTS_STRIDE_H

#include <stdlib.h>

/*
 * Tests that try every point (each call that may fail, each byte that may flip) try them all in a
 * plain build. STREAMFS_STRIDE=N, as under the sanitizers, is for every N-th.
 */
static inline unsigned stride(void)
{
	const char *value = getenv("STREAMFS_STRIDE");
	unsigned long n = value ? strtoul(value, NULL, 10) : 1;
	return n ? (unsigned)n : 1;
}

/* Of `count` random runs: all, or one in N, and at least one. */
static inline int sampled(int count)
{
	return (count - 1) / (int)stride() + 1;
}

#endif
