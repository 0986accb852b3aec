/* SPDX-License-Identifier: MIT */
/*
 * bench-latency_live COUNT SHARD LIVE: appends COUNT events to SHARD, one write(2) each, while
 * another process reads LIVE, its live/ view. Prints what latency_run() does.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"
#include "latency.h"

struct shard_writer {
	int fd;
};

static void *open_writer(char **arguments)
{
	static struct shard_writer writer;

	writer.fd = open(arguments[0], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (writer.fd < 0)
		die("%s", arguments[0]);
	return &writer;
}

static void write_event(void *argument, const char *event)
{
	struct shard_writer *writer = argument;

	write_once(writer->fd, event, EVENT_BYTES + 1);
}

static void read_events(struct latency *latency, char **arguments)
{
	FILE *live = fopen(arguments[1], "re");
	char *line = NULL;
	size_t size = 0;

	if (!live)
		die("%s", arguments[1]);
	latency_ready(latency);
	do {
		if (getline(&line, &size, live) < EVENT_BYTES)
			die("%s ends", arguments[1]);
	} while (latency_take(latency, line) > 0);
	free(line);
	fclose(live);
}

int main(int argc, char **argv)
{
	static const struct latency_sides sides = {open_writer, write_event, read_events};

	if (argc != 4)
		die("usage: bench-latency_live COUNT SHARD LIVE");
	latency_run(&sides, number(argv[1]), argv + 2);
	return 0;
}
