/* SPDX-License-Identifier: MIT */
#include "caller.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#include "proc.h"

enum { TRIES = 20 };

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
		if (proc_read(thread, "syscall", text, sizeof(text)) < 0)
			return false;
		if (sscanf(text, "%ld %llx %llx %llx", &number, &args[0], &args[1], &args[2]) == 4)
			return creates(number, args);
		/* "running": the thread has sent its request and is about to wait. */
		nanosleep(&pause, NULL);
	}
	return false;
}

bool caller_is_named(pid_t thread, const char *name)
{
	char comm[32];
	if (proc_read(thread, "comm", comm, sizeof(comm)) < 0)
		return false;
	comm[strcspn(comm, "\n")] = '\0';
	return strcmp(comm, name) == 0;
}
