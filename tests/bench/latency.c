/* SPDX-License-Identifier: MIT */
#include "latency.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

enum { STAMP_DIGITS = 20, PAUSE_NS = 300000 };

struct latency {
	uint64_t *took_ns;
	uint64_t count;
	uint64_t taken;
	int ready_fd;
};

void latency_ready(struct latency *latency)
{
	write_once(latency->ready_fd, "r", 1);
}

uint64_t latency_take(struct latency *latency, const char *event)
{
	uint64_t now = now_ns();
	char stamp[STAMP_DIGITS + 1] = {0};

	memcpy(stamp, event, STAMP_DIGITS);
	latency->took_ns[latency->taken++] = now - strtoull(stamp, NULL, 10);
	return latency->count - latency->taken;
}

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void print_percentiles(struct latency *latency)
{
	uint64_t last = latency->count - 1;
	const uint64_t *took = latency->took_ns;

	qsort(latency->took_ns, latency->count, sizeof(*took), compare);
	printf("%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", took[last * 500 / 1000],
		took[last * 990 / 1000], took[last * 999 / 1000]);
	fflush(stdout);
}

static void write_events(const struct latency_sides *sides, void *writer, uint64_t count)
{
	const struct timespec pause = {.tv_nsec = PAUSE_NS};
	char event[EVENT_BYTES + 2];

	memset(event, 'x', EVENT_BYTES);
	event[EVENT_BYTES] = '\n';
	event[EVENT_BYTES + 1] = '\0';
	for (uint64_t i = 0; i < count; i++) {
		char stamp[STAMP_DIGITS + 1];
		snprintf(stamp, sizeof(stamp), "%0*" PRIu64, STAMP_DIGITS, now_ns());
		memcpy(event, stamp, STAMP_DIGITS);
		sides->write_event(writer, event);
		nanosleep(&pause, NULL);
	}
}

static void wait_until_ready(int fd)
{
	char byte;

	errno = 0;
	if (read(fd, &byte, 1) != 1)
		die("the reader did not begin");
}

void latency_run(const struct latency_sides *sides, uint64_t count, char **arguments)
{
	struct latency latency = {.count = count};
	int ready[2], status;
	void *writer;
	pid_t reader;

	latency.took_ns = calloc(count, sizeof(*latency.took_ns));
	if (!latency.took_ns || pipe(ready) < 0)
		die("no memory or no pipe");
	latency.ready_fd = ready[1];
	reader = fork();
	if (reader < 0)
		die("fork");
	if (reader == 0) {
		close(ready[0]);
		sides->read_events(&latency, arguments);
		print_percentiles(&latency);
		_exit(0);
	}
	close(ready[1]);
	writer = sides->open_writer(arguments);
	wait_until_ready(ready[0]);
	write_events(sides, writer, count);
	errno = 0;
	if (waitpid(reader, &status, 0) < 0 || status != 0)
		die("the reader failed");
	free(latency.took_ns);
}
