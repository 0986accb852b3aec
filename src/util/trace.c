/* SPDX-License-Identifier: MIT */
#include "trace.h"

#include "clock.h"
#include "log.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static_assert(TRACE_AREA_COUNT <= 32, "an area is a bit of trace_areas");

atomic_uint trace_areas;

#define NAME_(area) #area,
static const char *const names[] = {TRACE_AREAS(NAME_)};
#define LIST_(area) #area ","
const char trace_area_list[] = TRACE_AREAS(LIST_) "all";

/* The bits of one name; 0 if there is no such area. */
static unsigned find(const char *name, size_t bytes)
{
	if (bytes == 3 && memcmp(name, "all", bytes) == 0)
		return (1u << TRACE_AREA_COUNT) - 1;
	for (unsigned i = 0; i < TRACE_AREA_COUNT; i++)
		if (strlen(names[i]) == bytes && memcmp(name, names[i], bytes) == 0)
			return 1u << i;
	return 0;
}

int trace_set(const char *areas)
{
	unsigned bits = 0;
	while (*areas) {
		size_t bytes = strcspn(areas, ",+");
		unsigned found = find(areas, bytes);
		if (!found)
			return -EINVAL;
		bits |= found;
		areas += bytes;
		if (*areas && !*++areas) /* nothing behind a separator */
			return -EINVAL;
	}
	atomic_store(&trace_areas, bits);
	return 0;
}

void trace_line(enum trace_area area, const char *format, ...)
{
	int saved = errno;
	char line[TRACE_LINE_MAX];
	uint64_t us = clock_monotonic_ns() / 1000;
	int n = snprintf(line, sizeof line,
		"trace %llu.%06u [%d] %s: ", (unsigned long long)(us / 1000000),
		(unsigned)(us % 1000000), (int)gettid(), names[area]);
	va_list args;
	va_start(args, format);
	vsnprintf(line + n, sizeof line - (size_t)n, format, args);
	va_end(args);
	for (char *c = line; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	log_trace(line);
	errno = saved;
}
