/* SPDX-License-Identifier: MIT */
#include "checkpoint.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "caller.h"
#include "ino.h"
#include "intent.h"
#include "log.h"
#include "number.h"
#include "streamfs/consumer.h"
#include "streamfs/shard.h"
#include "tree.h"

int checkpoint_identity(const struct node *dir, uint32_t number, struct node_identity *ret_id)
{
	struct node_identity id = {
		.kind = NODE_CHECKPOINT, .number = number, .consumer = strdup(dir->id.consumer)};
	if (!id.consumer)
		return -ENOMEM;
	id.stream = sfs_stream_ref(dir->id.stream);
	id.ino = ino_checkpoint(id.stream, id.consumer, number);
	*ret_id = id;
	return 0;
}

int checkpoint_forget(struct node *dir, const char *name)
{
	uint32_t number;
	uint64_t offset;
	if (sfs_shard_parse_name(name, &number) < 0)
		return -ENOENT;
	int r = sfs_consumer_get(dir->id.stream, dir->id.consumer, number, &offset);
	if (r == -EBADMSG)
		return 0; /* so that rm -r gets rid of a damaged one */
	if (r < 0 || !offset)
		return r;
	return sfs_consumer_set(dir->id.stream, dir->id.consumer, number, 0);
}

int checkpoint_create(struct tree *tree, struct node *dir, const char *name, pid_t tid,
	struct node_identity *ret_id)
{
	uint32_t number;
	if (sfs_shard_parse_name(name, &number) < 0 ||
		!sfs_stream_has_shard(dir->id.stream, number))
		return -EPERM;
	if (!sfs_consumer_exists(dir->id.stream, dir->id.consumer))
		return -ENOENT;
	int r = checkpoint_identity(dir, number, ret_id);
	if (r == 0)
		intent_note(tree->intents, tid, ret_id->ino, INTENT_WRITE);
	return r;
}

bool checkpoint_is_copied(struct tree *tree, const struct node *dir, uint32_t number, pid_t tid)
{
	uint64_t offset;
	if (tid == 0 || intent_get(tree->intents, tid, dir->id.ino) != INTENT_CREATE)
		return false;
	uint64_t ino = ino_checkpoint(dir->id.stream, dir->id.consumer, number);
	if (intent_get(tree->intents, tid, ino) == INTENT_WRITE ||
		!(caller_creates(tid) || caller_is_named(tid, "cp")))
		return false;
	return sfs_consumer_get(dir->id.stream, dir->id.consumer, number, &offset) == 0 && !offset;
}

int checkpoint_render(const struct node *node, char **ret_text, size_t *ret_bytes)
{
	uint64_t offset;
	int r = sfs_consumer_get(node->id.stream, node->id.consumer, node->id.number, &offset);
	if (r < 0)
		return r;
	int n = asprintf(ret_text, "%" PRIu64 "\n", offset);
	if (n < 0)
		return -ENOMEM;
	*ret_bytes = (size_t)n;
	return 0;
}

/* One decimal number, with white space around it or not. */
static int parse_offset(const char *text, size_t bytes, uint64_t *ret_offset)
{
	const char *end = text + bytes;
	uint64_t offset;
	while (text < end && isspace((unsigned char)*text))
		text++;
	int r = number_take(&text, end, UINT64_MAX, &offset);
	if (r < 0)
		return r;
	while (text < end && isspace((unsigned char)*text))
		text++;
	if (text < end)
		return -EINVAL;
	*ret_offset = offset;
	return 0;
}

static void log_refusal(const struct node *node, const char *reason)
{
	char stream[SFS_NAME_MAX + 1], shard[SFS_SHARD_NAME_MAX];
	sfs_stream_name(node->id.stream, stream);
	sfs_shard_name(node->id.number, shard);
	log_warning("%s/consumers/%s/%s: %s", stream, node->id.consumer, shard, reason);
}

int checkpoint_set(const struct node *node, const char *text, size_t bytes)
{
	uint64_t offset;
	int r = parse_offset(text, bytes, &offset);
	if (r < 0) {
		log_refusal(node, "what was written is not a decimal number");
		return r;
	}
	r = sfs_consumer_set(node->id.stream, node->id.consumer, node->id.number, offset);
	if (r == -EINVAL) {
		char reason[80];
		snprintf(reason, sizeof(reason),
			"%" PRIu64 " is past the end, or no record begins there", offset);
		log_refusal(node, reason);
	}
	return r;
}
