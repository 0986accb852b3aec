/* SPDX-License-Identifier: MIT */
/*
 * Temporary files that writes of a stream left behind. They are collected while the stream is
 * checked, and go at the end: beside damage they stay, because what was being written may be all
 * that is left of something.
 */
#ifndef STORE_LEFTOVERS_H
#define STORE_LEFTOVERS_H

#include "checker.h"

struct leftovers {
	struct buf paths; /* below streams/, each ended by a NUL */
};

void leftovers_fini(struct leftovers *leftovers);
/* 0 or -ENOMEM. */
int leftovers_add(struct leftovers *leftovers, const char *path);
/* Reports each, and removes it if `remove`. */
void leftovers_report(const struct leftovers *leftovers, struct checker *checker, bool remove);

#endif
