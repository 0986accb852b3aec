/* SPDX-License-Identifier: MIT */
#include "consumer_dir.h"

#include <errno.h>
#include <string.h>

#include "ino.h"
#include "intent.h"
#include "streamfs/consumer.h"
#include "tree.h"

int consumer_dir_identity(const struct node *dir, const char *name, struct node_identity *ret_id)
{
	struct node_identity id = {.kind = NODE_CONSUMER, .consumer = strdup(name)};
	if (!id.consumer)
		return -ENOMEM;
	id.stream = sfs_stream_ref(dir->id.stream);
	id.ino = ino_consumer(id.stream, name);
	*ret_id = id;
	return 0;
}

int consumer_dir_make(struct tree *tree, struct node *dir, const char *name, pid_t tid,
	struct node_identity *ret_id)
{
	int r = sfs_consumer_create(dir->id.stream, name);
	if (r == 0)
		r = consumer_dir_identity(dir, name, ret_id);
	if (r == 0)
		intent_note(tree->intents, tid, ret_id->ino, INTENT_CREATE);
	return r;
}

/* rename(2) may replace an empty directory, which no consumer ever is. */
int consumer_dir_rename(struct node *dir, const char *name, const char *to, bool noreplace)
{
	int r = sfs_consumer_rename(dir->id.stream, name, to);
	return r == -EEXIST && !noreplace ? -ENOTEMPTY : r;
}
