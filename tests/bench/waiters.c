/* SPDX-License-Identifier: MIT */
/*
 * bench-waiters COUNT SHARD LIVE: COUNT threads wait for a line in LIVE, the live/ view of SHARD,
 * each with a descriptor of its own. After a second one line is appended, and all of them must get
 * it.
 */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum { STACK_BYTES = 64 << 10, DESCRIPTORS = 65536 };

struct waiter {
	pthread_t thread;
	int fd;
};

static void *wait_for_line(void *argument)
{
	const struct waiter *waiter = argument;
	char line[64];

	if (read(waiter->fd, line, sizeof(line)) <= 0)
		die("a reader got nothing");
	return NULL;
}

static void allow_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		die("getrlimit");
	limit.rlim_cur = limit.rlim_max < DESCRIPTORS ? limit.rlim_max : DESCRIPTORS;
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		die("setrlimit");
}

int main(int argc, char **argv)
{
	pthread_attr_t attributes;
	struct waiter *waiters;
	uint64_t count;
	int fd;

	if (argc != 4)
		die("usage: bench-waiters COUNT SHARD LIVE");
	count = number(argv[1]);
	allow_descriptors();
	waiters = calloc(count, sizeof(*waiters));
	fd = open(argv[2], O_WRONLY | O_APPEND | O_CLOEXEC);
	if (!waiters || fd < 0)
		die("%s", argv[2]);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	for (uint64_t i = 0; i < count; i++) {
		waiters[i].fd = open(argv[3], O_RDONLY | O_CLOEXEC);
		if (waiters[i].fd < 0)
			die("%s", argv[3]);
		if (pthread_create(&waiters[i].thread, &attributes, wait_for_line, &waiters[i]) !=
			0)
			die("no thread");
	}
	sleep(1);
	write_once(fd, "line\n", 5);
	for (uint64_t i = 0; i < count; i++)
		pthread_join(waiters[i].thread, NULL);
	close(fd);
	free(waiters);
	return 0;
}
