/* SPDX-License-Identifier: MIT */
/* A directory's entries as they were at one moment: what readdir's offsets count. */
#ifndef FS_LISTING_H
#define FS_LISTING_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "vector.h"

struct tree;
struct node;

struct listing_entry {
	uint64_t ino;
	mode_t type; /* S_IFDIR or S_IFREG */
	char *name;
};

VECTOR(listing, struct listing_entry);

/* Reads a directory's entries, "." and ".." among them. */
int listing_read(struct tree *tree, struct node *dir, struct listing **ret_listing);
void listing_free(struct listing *listing); /* NULL is fine */

#endif
