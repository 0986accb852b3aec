/* SPDX-License-Identifier: MIT */
#include "tree.h"

#include <errno.h>

#include "clock.h"
#include "intent.h"

int tree_init(struct tree *tree, struct sfs_store *store)
{
	*tree = (struct tree){.store = store, .mounted_ms = clock_wall_ms()};
	atomic_init(&tree->root_changed_ms, tree->mounted_ms);
	node_table_init(&tree->nodes);
	handle_list_init(&tree->handles, &tree->nodes);
	drop_init(&tree->drop);
	tree->intents = intent_table_new();
	return tree->intents ? 0 : -ENOMEM;
}

void tree_fini(struct tree *tree)
{
	intent_table_free(tree->intents);
	node_table_fini(&tree->nodes);
	drop_fini(&tree->drop);
	handle_list_fini(&tree->handles);
}

void tree_root_changed(struct tree *tree)
{
	atomic_store(&tree->root_changed_ms, clock_wall_ms());
}
