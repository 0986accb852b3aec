/* SPDX-License-Identifier: MIT */
/*
 * The program's log: standard error in the foreground, syslog in the background. For the edge
 * (src/fs, src/cli); the store reports through its callers.
 */
#ifndef UTIL_LOG_H
#define UTIL_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* What is above this level is not written. With the trace's areas the only mutable global. */
void log_set_level(enum log_level level);
/* From now on to syslog (facility daemon), under this borrowed name. */
void log_to_syslog(const char *name);
/* A line of the trace (trace.h), without its newline: written at any level, in one call. */
void log_trace(const char *line);
/* One line, without its newline. */
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
