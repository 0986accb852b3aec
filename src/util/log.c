/* SPDX-License-Identifier: MIT */
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <syslog.h>

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
