/* SPDX-License-Identifier: MIT */
/*
 * bench-probe COUNT FROM TO FILE: COUNT times opens FILE, reads one byte at a random offset from
 * FROM (1 is its first byte) to TO, both inclusive, and closes it. Prints the nanoseconds that one
 * took on average.
 */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void probe(const char *path, off_t offset)
{
	char byte;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		die("%s", path);
	errno = 0;
	if (pread(fd, &byte, 1, offset) != 1)
		die("%s: nothing at %lld", path, (long long)offset);
	close(fd);
}

int main(int argc, char **argv)
{
	uint64_t count, from, range, start;

	if (argc != 5)
		die("usage: bench-probe COUNT FROM TO FILE");
	count = number(argv[1]);
	from = number(argv[2]);
	range = number(argv[3]) - from + 1;
	srand48((long)now_ns());

	start = now_ns();
	for (uint64_t i = 0; i < count; i++)
		probe(argv[4], (off_t)(from - 1 + (uint64_t)(drand48() * (double)range)));
	printf("%" PRIu64 "\n", (now_ns() - start) / count);
	return 0;
}
