/* SPDX-License-Identifier: MIT */
/* Which names there are in a directory, and what they stand for. */
#ifndef FS_DIR_NAMES_H
#define FS_DIR_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "node.h"

struct tree;
struct fuse_ctx;

/* A file that a directory always has. */
struct fixed_name {
	const char *name;
	enum node_kind kind;
	uint32_t local; /* inode number within the stream, or the whole of it */
};

/* The fixed names of a directory; none where there are none. */
size_t dir_names_fixed(enum node_kind dir, const struct fixed_name **ret_names);

/*
 * What `name` in `dir` is for this caller. The caller gives the identity back with
 * node_identity_fini(). -ENOENT, or an error of the store.
 */
int dir_names_resolve(struct tree *tree, const struct node *dir, const char *name,
	const struct fuse_ctx *ctx, struct node_identity *ret_id);

#endif
