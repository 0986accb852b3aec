/* SPDX-License-Identifier: MIT */
/*
 * The directory consumers/ of a stream and the consumers in it, which are directories too.
 *
 * A checkpoint's file exists as soon as its consumer does. cp -r does not expect that: in a
 * directory that it has made itself, it creates each file and takes one that exists for an error.
 * So a checkpoint stays hidden from the thread that made its consumer, while that thread is about
 * to create the checkpoint's file and nothing was set in it (checkpoint.h).
 */
#ifndef FS_CONSUMER_DIR_H
#define FS_CONSUMER_DIR_H

#include <stdbool.h>
#include <sys/types.h>

struct node;
struct node_identity;
struct tree;

/* Of the consumer `name` in consumers/; the caller gives it back by node_identity_fini(). */
int consumer_dir_identity(const struct node *dir, const char *name, struct node_identity *ret_id);

/* Makes a consumer for this thread; the identity as above. */
int consumer_dir_make(struct tree *tree, struct node *dir, const char *name, pid_t tid,
	struct node_identity *ret_id);
/* rename(2) within the directory. */
int consumer_dir_rename(struct node *dir, const char *name, const char *to, bool noreplace);

#endif
