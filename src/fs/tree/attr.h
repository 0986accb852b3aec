/* SPDX-License-Identifier: MIT */
/* Attributes of every kind of file, and how long the kernel may keep what it was told. */
#ifndef FS_ATTR_H
#define FS_ATTR_H

#include <sys/stat.h>

struct tree;
struct node;

/*
 * The attributes as they are now; of a shard, st_size is what is published, which for a readers'
 * node may be told only through the notifier.
 */
int attr_fill(struct tree *tree, struct node *node, struct stat *ret_attr);

/* Seconds for which a name may stand for its node without being looked up again. */
double attr_entry_timeout(const struct node *node);

/*
 * Seconds for which attributes hold. Those of directories change by requests of this kernel only,
 * which tell it, but for the time of a change. put, whose size is 0, is looked up at each opening,
 * which tells them; they hold for no longer than it takes to open the file then. All else can
 * change at any time by ways that the kernel does not see, a shard's size above all.
 */
double attr_timeout(const struct node *node);

#endif
