/* SPDX-License-Identifier: MIT */
/*
 * Replies with a node's attributes. Where they have a shard's size, and it is larger than the one
 * the kernel knows, the notifier sends the reply once the page cache is ready for it.
 */
#ifndef FS_NODE_REPLY_H
#define FS_NODE_REPLY_H

#include <fuse_lowlevel.h>
#include <stdbool.h>
#include <sys/stat.h>

struct fs;
struct node;

/* An entry, as for fuse_reply_entry(). */
struct fuse_entry_param node_reply_param(struct fs *fs, struct node *node, const struct stat *attr);

/* To what counted a lookup of the node; takes it back where the kernel does not get the reply. */
void node_reply_entry(fuse_req_t req, struct node *node, const struct stat *attr);

/* `reading`: a read(2) asks for the size, because it would go past the end that it knows. */
void node_reply_attr(fuse_req_t req, struct node *node, const struct stat *attr, bool reading);

#endif
