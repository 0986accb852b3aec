/* SPDX-License-Identifier: MIT */
/*
 * bench-syncer COUNT WRITERS INPUT FILE: WRITERS threads open FILE to append, and each gives it its
 * own line of INPUT, again and again, with an fdatasync(2) after each, COUNT times in all. Prints
 * the nanoseconds from one synced line to the next, whoever wrote it.
 */
#include "bench.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

enum { WRITERS_MAX = 256 };

struct writer {
	pthread_t thread;
	const char *path;
	const char *line;
	size_t bytes;
	uint64_t count;
};

static void *append_and_sync(void *argument)
{
	struct writer *writer = argument;
	int fd = open(writer->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

	if (fd < 0)
		die("%s", writer->path);
	for (uint64_t i = 0; i < writer->count; i++) {
		write_once(fd, writer->line, writer->bytes);
		if (fdatasync(fd) < 0)
			die("%s", writer->path);
	}
	if (close(fd) < 0)
		die("%s", writer->path);
	return NULL;
}

int main(int argc, char **argv)
{
	struct writer writers[WRITERS_MAX];
	struct input input;
	uint64_t count, each, start;
	size_t writer_count;

	if (argc != 5)
		die("usage: bench-syncer COUNT WRITERS INPUT FILE");
	writer_count = number(argv[2]);
	if (writer_count > WRITERS_MAX)
		die("at most %d writers", WRITERS_MAX);
	each = (number(argv[1]) + writer_count - 1) / writer_count;
	count = each * writer_count;
	input_load(&input, argv[3]);

	start = now_ns();
	for (size_t i = 0; i < writer_count; i++) {
		writers[i] = (struct writer){.path = argv[4], .count = each};
		writers[i].line = input_line(&input, &writers[i].bytes);
		if (pthread_create(&writers[i].thread, NULL, append_and_sync, &writers[i]) != 0)
			die("no thread");
	}
	for (size_t i = 0; i < writer_count; i++)
		pthread_join(writers[i].thread, NULL);
	printf("%" PRIu64 "\n", (now_ns() - start) / count);
	return 0;
}
