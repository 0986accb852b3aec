/* SPDX-License-Identifier: MIT */
/* The tree of one mount: what its rooms and operations share. */
#ifndef FS_TREE_H
#define FS_TREE_H

#include <stdatomic.h>
#include <stdint.h>

#include "drop.h"
#include "handle.h"
#include "node.h"

struct intent_table;
struct sfs_store;

struct tree {
	struct sfs_store *store; /* borrowed */
	struct node_table nodes;
	struct handle_list handles;
	struct drop drop;
	struct intent_table *intents;
	uint64_t mounted_ms;
	_Atomic uint64_t root_changed_ms; /* when a stream came, went or was renamed */
};

/* -ENOMEM; tree_fini() is due in any case. */
int tree_init(struct tree *tree, struct sfs_store *store);
/* Once all handles are closed. Frees all nodes, whatever the kernel still knew. */
void tree_fini(struct tree *tree);

/* A stream came, went or was renamed, now. */
void tree_root_changed(struct tree *tree);

#endif
