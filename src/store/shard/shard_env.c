/* SPDX-License-Identifier: MIT */
#include "shard_env.h"

#include <stdarg.h>
#include <stdio.h>

void env_report(struct shard_env *env, enum sfs_severity severity, const char *format, ...)
{
	if (!env->report)
		return;
	char line[512];
	va_list args;
	va_start(args, format);
	vsnprintf(line, sizeof line, format, args);
	va_end(args);
	env->report(env->report_context, severity, line);
}
