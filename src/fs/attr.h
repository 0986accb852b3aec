/* SPDX-License-Identifier: MIT */
/* Attributes of every kind of file, and how long the kernel may keep what it was told. */
#ifndef FS_ATTR_H
#define FS_ATTR_H

#include <sys/stat.h>

struct fs;
struct node;

/*
 * The attributes as they are now; of a shard, st_size is what is published, which for a readers'
 * node may be told only through the notifier.
 */
int attr_fill(struct fs *fs, struct node *node, struct stat *ret_attr);

/* Seconds for which a name may stand for its node without being looked up again. */
double attr_entry_timeout(const struct node *node);

/* Attributes can change at any time, by other ways than this kernel's. */
#define ATTR_TIMEOUT 0.0

#endif
