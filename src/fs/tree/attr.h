/* SPDX-License-Identifier: MIT */
/* Attributes of every kind of file, and how long the kernel may keep them. */
#ifndef FS_ATTR_H
#define FS_ATTR_H

#include <sys/stat.h>

struct tree;
struct node;

/*
 * The attributes as they are now. The size of a readers' node may be larger than the kernel knows:
 * reply with it by node_reply only.
 */
int attr_fill(struct tree *tree, struct node *node, struct stat *ret_attr);

/* Seconds for which a name may stand for its node without being looked up again. */
double attr_entry_timeout(const struct node *node);

/*
 * Seconds for which attributes hold. Those of directories change by requests of this kernel only,
 * but for the time of a change. put is looked up at each open(2), and its size is always 0, so its
 * attributes may hold for as long as an open(2) takes. All others can change at any time in ways
 * that the kernel does not see, a shard's size above all.
 */
double attr_timeout(const struct node *node);

#endif
