/* SPDX-License-Identifier: MIT */
#include "caller.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "cleanup.h"

enum { TRIES = 20 };

static ssize_t read_syscall(pid_t thread, char *text, size_t bytes)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/syscall", (int)thread);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -1 : read(fd, text, bytes);
}

static bool creates(long number, const unsigned long long args[3])
{
	switch (number) {
#ifdef SYS_creat
	case SYS_creat:
		return true;
#endif
#ifdef SYS_open
	case SYS_open:
		return args[1] & O_CREAT;
#endif
	case SYS_openat:
		return args[2] & O_CREAT;
	default:
		return false;
	}
}

bool caller_creates(pid_t thread)
{
	static const struct timespec pause = {.tv_nsec = 20000};
	char text[256];
	for (int i = 0; thread != 0 && i < TRIES; i++) {
		long number;
		unsigned long long args[3];
		ssize_t n = read_syscall(thread, text, sizeof(text) - 1);
		if (n <= 0)
			return false;
		text[n] = '\0';
		if (sscanf(text, "%ld %llx %llx %llx", &number, &args[0], &args[1], &args[2]) == 4)
			return creates(number, args);
		nanosleep(&pause,
			NULL); /* "running": it has sent its request, and is about to wait */
	}
	return false;
}
