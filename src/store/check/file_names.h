/* SPDX-License-Identifier: MIT */
/* The names in a directory as a sorted list, and what kinds of names there are. */
#ifndef CHECK_FILE_NAMES_H
#define CHECK_FILE_NAMES_H

#include "buf.h"
#include "vector.h"

#include <stdbool.h>

struct disk;

struct file_names {
	VECTOR(, const char *) list; /* rising; without "." and ".." */
	struct buf text;	     /* what the list points into */
};

/* Lists directory `path` below `dir`; file_names_fini() releases. Errors of disk_open(), -ENOMEM. */
int file_names_read(
	const struct disk *disk, int dir, const char *path, struct file_names *ret_names);
void file_names_fini(struct file_names *names);

/* Whether the name is a suffix with something before it. */
bool file_name_ends(const char *name, const char *suffix);
/* Whether it is a file that a write of the store leaves behind when it is cut short. */
bool file_name_is_temporary(const char *name);

#endif
