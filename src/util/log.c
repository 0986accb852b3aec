/* SPDX-License-Identifier: MIT */
#include "log.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <syslog.h>
#include <unistd.h>

/* Where the log goes and how much of it: set once at start, before there are threads. */
static struct {
	enum log_level level;
	_Bool syslog;
} log_state = {.level = LOG_LEVEL_INFO};

void log_set_level(enum log_level level)
{
	log_state.level = level;
}

void log_to_syslog(const char *name)
{
	openlog(name, LOG_PID | LOG_NDELAY, LOG_DAEMON);
	log_state.syslog = 1;
}

void log_trace(const char *line)
{
	if (log_state.syslog) {
		syslog(LOG_DEBUG, "%s", line);
		return;
	}
	struct iovec whole[] = {
		{.iov_base = (void *)(uintptr_t)line, .iov_len = strlen(line)},
		{.iov_base = "\n", .iov_len = 1},
	};
	ssize_t n = writev(STDERR_FILENO, whole, 2);
	(void)n; /* nowhere else to go */
}

void log_line(enum log_level level, const char *format, ...)
{
	static const int priority[] = {LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG};
	if (level > log_state.level)
		return;
	char line[1024];
	va_list args;
	va_start(args, format);
	vsnprintf(line, sizeof line, format, args);
	va_end(args);
	if (log_state.syslog)
		syslog(priority[level], "%s", line);
	else
		fprintf(stderr, "streamfs: %s\n", line);
}
