/* SPDX-License-Identifier: MIT */
/* The names in a directory as a sorted list, and what kinds of names there are. */
#ifndef STORE_NAMES_H
#define STORE_NAMES_H

#include "buf.h"
#include "vector.h"

#include <stdbool.h>

struct disk;

struct names {
	VECTOR(, const char *) list; /* rising; without "." and ".." */
	struct buf text;	     /* what the list points into */
};

/* Lists directory `path` below `dir`; names_fini() releases. Errors of disk_open(), -ENOMEM. */
int names_read(const struct disk *disk, int dir, const char *path, struct names *ret_names);
void names_fini(struct names *names);

/* Whether the name is a suffix with something before it. */
bool name_ends(const char *name, const char *suffix);
/* Whether it is a file that a write of the store leaves behind when it is cut short. */
bool name_is_temporary(const char *name);

#endif
