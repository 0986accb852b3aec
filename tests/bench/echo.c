/* SPDX-License-Identifier: MIT */
/*
 * bench-echo COUNT INPUT FILE: for each of COUNT lines of INPUT opens FILE to append, writes the
 * line and closes it again: the system calls of `echo line >> FILE` without a shell around them.
 * Prints the nanoseconds that one took on average.
 */
#include "bench.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

static void echo(const char *path, const char *line, size_t bytes)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0666);

	if (fd < 0)
		die("%s", path);
	write_once(fd, line, bytes);
	if (close(fd) < 0)
		die("%s", path);
}

int main(int argc, char **argv)
{
	struct input input;
	uint64_t count, start;

	if (argc != 4)
		die("usage: bench-echo COUNT INPUT FILE");
	count = number(argv[1]);
	input_load(&input, argv[2]);
	start = now_ns();
	for (uint64_t i = 0; i < count; i++) {
		size_t bytes;
		const char *line = input_line(&input, &bytes);
		echo(argv[3], line, bytes);
	}
	printf("%" PRIu64 "\n", (now_ns() - start) / count);
	return 0;
}
