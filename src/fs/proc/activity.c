/* SPDX-License-Identifier: MIT */
#include "activity.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "proc.h"

enum activity activity_of(pid_t tid, uint64_t *ret_ran_ns)
{
	char text[512];
	unsigned long long ran_ns;
	if (tid == 0)
		return ACTIVITY_HIDDEN;
	if (proc_read(tid, "stat", text, sizeof(text)) < 0)
		return kill(tid, 0) < 0 && errno == ESRCH ? ACTIVITY_ENDED : ACTIVITY_HIDDEN;
	/* The state is the letter behind the name, which may hold any character itself. */
	const char *name_end = strrchr(text, ')');
	if (!name_end || strncmp(name_end, ") R", 3) != 0)
		return ACTIVITY_ASLEEP;
	/* A kernel that keeps no account shows 0. */
	if (proc_read(tid, "schedstat", text, sizeof(text)) < 0 ||
		sscanf(text, "%llu", &ran_ns) != 1 || ran_ns == 0)
		return ACTIVITY_HIDDEN;
	*ret_ran_ns = ran_ns;
	return ACTIVITY_RUNNING;
}
