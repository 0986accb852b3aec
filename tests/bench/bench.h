/* SPDX-License-Identifier: MIT */
/* What the bench's programs share: a clock, the input in memory, its lines one by one, a way out.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A file's bytes and a place in them. */
struct input {
	char *data;
	size_t bytes;
	size_t at;
};

/* Prints the message and errno's text, then exits with 1: a bench has nothing to save. */
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* CLOCK_MONOTONIC. */
uint64_t now_ns(void);

/* A positive decimal number, or exit. */
uint64_t number(const char *text);

/* Reads the whole file, so that no disk is in the measured part. Dies on failure. */
void input_load(struct input *input, const char *path);

/* The next line with its newline; begins again after the last. Borrowed from the input. */
const char *input_line(struct input *input, size_t *ret_bytes);

/* Writes all of it with one write(2), or dies: a short write would spoil the count. */
void write_once(int fd, const char *data, size_t bytes);

#endif
