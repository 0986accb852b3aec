/* SPDX-License-Identifier: MIT */
/*
 * From a write to its read in another process. latency_run() forks: the child reads, the parent
 * writes, one event at a time with a pause after each, so that the reader waits for every one of
 * them. An event begins with the CLOCK_MONOTONIC time of its write, and the reader takes the
 * difference.
 */
#ifndef LATENCY_H
#define LATENCY_H

#include <stddef.h>
#include <stdint.h>

enum { EVENT_BYTES = 119 }; /* without a newline */

struct latency;

struct latency_sides {
	/* In the writer: connects or opens, and returns what write_event gets. */
	void *(*open_writer)(char **arguments);
	/* An event and a newline after it, which is not in EVENT_BYTES. */
	void (*write_event)(void *writer, const char *event);
	/* In the reader: calls latency_ready() once nothing written from now on can be missed, and
	 * latency_take() for each event, until that answers 0. */
	void (*read_events)(struct latency *latency, char **arguments);
};

void latency_ready(struct latency *latency);

/* Returns how many are still to come. */
uint64_t latency_take(struct latency *latency, const char *event);

/* Prints the nanoseconds of the median, the 99th and the 99.9th percentile in a line. */
void latency_run(const struct latency_sides *sides, uint64_t count, char **arguments);

#endif
