/* SPDX-License-Identifier: MIT */
#ifndef STREAM_REMOVE_TREE_H
#define STREAM_REMOVE_TREE_H

struct disk;

/* Removes a directory and what is in it. Follows no link. Nothing is durable. */
int remove_tree(const struct disk *disk, int at, const char *name);

#endif
