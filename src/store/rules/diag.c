/* SPDX-License-Identifier: MIT */
#include "diag.h"

#include <stdarg.h>
#include <stdio.h>

void diag_set(struct sfs_diag *diag, const char *format, ...)
{
	if (!diag)
		return;
	va_list args;
	va_start(args, format);
	vsnprintf(diag->text, sizeof diag->text, format, args);
	va_end(args);
}
