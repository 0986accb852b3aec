/* SPDX-License-Identifier: MIT */
/* A consumer's checkpoint: the file of one shard in the consumer's directory. */
#ifndef FS_CHECKPOINT_H
#define FS_CHECKPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct node;
struct node_identity;
struct tree;

/* The checkpoint of this shard in a consumer's directory; given back by node_identity_fini(). */
int checkpoint_identity(const struct node *dir, uint32_t number, struct node_identity *ret_id);

/* A thread creates a checkpoint's file; the identity as above. */
int checkpoint_create(struct tree *tree, struct node *dir, const char *name, pid_t tid,
	struct node_identity *ret_id);
/* Whether the thread made the consumer and is about to create this checkpoint's file. */
bool checkpoint_is_copied(struct tree *tree, const struct node *dir, uint32_t number, pid_t tid);
/* rm of a checkpoint: it is as new. */
int checkpoint_forget(struct node *dir, const char *name);

/* The text of a checkpoint's file; the caller's to free(). */
int checkpoint_render(const struct node *node, char **ret_text, size_t *ret_bytes);
/* Sets it to a decimal offset. -EINVAL where that cannot be; the log has the reason. */
int checkpoint_set(const struct node *node, const char *text, size_t bytes);

#endif
