/* SPDX-License-Identifier: MIT */
/* Fills a caller's diagnostic: the reason why its input was refused. */
#ifndef RULES_DIAG_H
#define RULES_DIAG_H

#include "streamfs/store.h"

/* Does nothing if `diag` is NULL. */
void diag_set(struct sfs_diag *diag, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
