/* SPDX-License-Identifier: MIT */
#include "checker.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { LINE_BYTES = 1024, PROGRESS_STEP_BYTES = 1 << 20 };

/* Names come from the disk and lines go to a terminal: control characters become '?'. */
static void report(struct checker *checker, bool repaired, const char *prefix, const char *format,
	va_list args)
{
	char line[LINE_BYTES];
	int n = snprintf(line, sizeof line, "%s", prefix);
	vsnprintf(line + n, sizeof line - (size_t)n, format, args);
	for (char *p = line; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	checker->options->finding(checker->options->context, line, repaired);
}

void checker_finding(struct checker *checker, bool repaired, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	report(checker, repaired, "", format, args);
	va_end(args);
	if (repaired)
		checker->summary.repaired++;
	else
		checker->summary.unrepaired++;
}

void checker_note(struct checker *checker, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	report(checker, false, "note: ", format, args);
	va_end(args);
}

int checker_trouble(struct checker *checker, const char *path, int error)
{
	if (error == -ENOMEM)
		return error;
	checker_finding(checker, false, "%s: %s", path,
		error == -ELOOP	    ? "a link in place of a file or directory"
		: error == -EBADMSG ? "not a file"
		: error == -ENOTDIR ? "not a directory"
				    : strerror(-error));
	return 0;
}

void checker_progress(struct checker *checker, uint64_t bytes)
{
	checker->done_bytes += bytes;
	if (!checker->options->progress ||
		checker->done_bytes - checker->shown_bytes < PROGRESS_STEP_BYTES)
		return;
	checker->shown_bytes = checker->done_bytes;
	checker->options->progress(checker->options->context,
		checker->done_bytes < checker->total_bytes ? checker->done_bytes
							   : checker->total_bytes,
		checker->total_bytes);
}
