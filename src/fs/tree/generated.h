/* SPDX-License-Identifier: MIT */
/* Files whose content is made when they are opened, and what can be written to some of them. */
#ifndef FS_GENERATED_H
#define FS_GENERATED_H

#include <stddef.h>

#include "node.h"

struct tree;

/* The content now; the caller's to free(). */
int generated_render(
	struct tree *tree, const struct node *node, char **ret_text, size_t *ret_bytes);
/* True for config, trim, defaults and checkpoints. */
bool generated_is_setting(enum node_kind kind);
/* Takes one JSON object, position or checkpoint. -EINVAL: it is wrong; the log has the reason. */
int generated_patch(struct tree *tree, const struct node *node, const char *text, size_t bytes);

#endif
