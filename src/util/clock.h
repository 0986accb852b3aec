/* SPDX-License-Identifier: MIT */
/* The time. Any thread may call; nothing fails. */
#ifndef UTIL_CLOCK_H
#define UTIL_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Milliseconds since 1970. Can step back. */
uint64_t clock_wall_ms(void);
/* Nanoseconds that never step back, from an arbitrary start. */
uint64_t clock_monotonic_ns(void);
/* A deadline on CLOCK_MONOTONIC: for condition variables made with that clock. */
struct timespec clock_deadline(uint64_t from_now_ms);

#endif
