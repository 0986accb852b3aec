/* SPDX-License-Identifier: MIT */
/*
 * bench-appender COUNT INPUT FILE: opens FILE once to append and gives it COUNT lines of INPUT, one
 * write(2) each. Prints the nanoseconds that one took on average; opening and closing are not in
 * it.
 */
#include "bench.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct input input;
	uint64_t count, start, took;
	int fd;

	if (argc != 4)
		die("usage: bench-appender COUNT INPUT FILE");
	count = number(argv[1]);
	input_load(&input, argv[2]);
	fd = open(argv[3], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0)
		die("%s", argv[3]);

	start = now_ns();
	for (uint64_t i = 0; i < count; i++) {
		size_t bytes;
		const char *line = input_line(&input, &bytes);
		write_once(fd, line, bytes);
	}
	took = now_ns() - start;

	if (close(fd) < 0)
		die("%s", argv[3]);
	printf("%" PRIu64 "\n", took / count);
	return 0;
}
