/* SPDX-License-Identifier: MIT */
#include "node.h"

#include <assert.h>
#include <errno.h>
#include <fuse_lowlevel.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "ino.h"
#include "lock.h"
#include "streamfs/shard.h"
#include "streamfs/stream.h"
#include "upload.h"
#include "view_path.h"

static int node_compare(const struct node *a, const struct node *b)
{
	if (a->id.ino != b->id.ino)
		return a->id.ino < b->id.ino ? -1 : 1;
	if (a->id.tid != b->id.tid)
		return a->id.tid < b->id.tid ? -1 : 1;
	return 0;
}

RB_GENERATE_INTERNAL(node_tree, node, by_identity, node_compare, __attribute__((unused)) static)

void node_identity_fini(struct node_identity *id)
{
	view_path_free(id->view_path);
	sfs_shard_unref(id->shard);
	sfs_stream_unref(id->stream);
	if (id->upload)
		upload_unref(id->upload);
	free(id->consumer);
	*id = (struct node_identity){0};
}

void node_table_init(struct node_table *table)
{
	pthread_mutex_init(&table->lock, NULL);
	RB_INIT(&table->tree);
	LIST_INIT(&table->all);
	table->root = (struct node){.id = {.kind = NODE_ROOT, .ino = INO_ROOT}};
}

static void unlist_locked(struct node_table *table, struct node *node)
{
	ASSERT_LOCKED(&table->lock);
	if (node->listed)
		RB_REMOVE(node_tree, &table->tree, node);
	node->listed = false;
}

static void node_free(struct node *node)
{
	node_identity_fini(&node->id);
	cached_shard_fini(&node->cached_shard);
	free(node);
}

void node_table_fini(struct node_table *table)
{
	struct node *node;
	while ((node = LIST_FIRST(&table->all))) {
		LIST_REMOVE(node, all);
		node_free(node);
	}
	pthread_mutex_destroy(&table->lock);
}

struct node *node_of(struct node_table *table, uint64_t nodeid)
{
	return nodeid == FUSE_ROOT_ID ? &table->root : (struct node *)(uintptr_t)nodeid;
}

uint64_t node_id(struct node_table *table, struct node *node)
{
	return node == &table->root ? FUSE_ROOT_ID : (uintptr_t)node;
}

static bool is_same_consumer(const struct node_identity *a, const struct node_identity *b)
{
	bool same = a->consumer && b->consumer ? strcmp(a->consumer, b->consumer) == 0
					       : a->consumer == b->consumer;
	return same && a->number == b->number;
}

static bool is_same(const struct node *node, const struct node_identity *id)
{
	return node->id.kind == id->kind && node->id.upload == id->upload &&
	       node->id.shard == id->shard && is_same_consumer(&node->id, id) &&
	       strcmp(node->id.digest, id->digest) == 0 &&
	       (!id->view_path || view_path_equal(node->id.view_path, id->view_path));
}

/*
 * Two files of hashed numbers can share one, once in 2^62; a thread's own node can be in use. A
 * view's file is what it was when it was looked up, and a key's is written by many at once.
 */
static bool is_usable(struct node *node, const struct node_identity *id)
{
	if (id->kind == NODE_VIEW)
		return false;
	return is_same(node, id) && (id->tid == 0 || atomic_load(&node->busy) == 0);
}

static struct node *find_locked(struct node_table *table, const struct node_identity *id)
{
	struct node key = {.id = {.ino = id->ino, .tid = id->tid}};
	ASSERT_LOCKED(&table->lock);
	struct node *node = RB_FIND(node_tree, &table->tree, &key);
	if (!node || is_usable(node, id))
		return node;
	unlist_locked(table, node);
	return NULL;
}

static struct node *make_node(struct node_identity *id, uint64_t size_bytes)
{
	struct node *node = calloc(1, sizeof(*node));
	if (!node)
		return NULL;
	node->id = *id;
	*id = (struct node_identity){0};
	cached_shard_init(&node->cached_shard, node->id.shard, (uintptr_t)node, size_bytes);
	return node;
}

int node_enter(struct node_table *table, struct node_identity *id, struct node **ret_node)
{
	uint64_t size_bytes = id->shard ? sfs_shard_size(id->shard) : 0;
	bool anew = id->kind == NODE_SHARD_WRITER && id->tid == 0;
	SCOPED_LOCK(&table->lock);
	struct node *node = anew ? NULL : find_locked(table, id);
	if (!node) {
		node = make_node(id, size_bytes);
		if (!node)
			return -ENOMEM;
		LIST_INSERT_HEAD(&table->all, node, all);
		node->listed = !anew;
		if (!anew)
			RB_INSERT(node_tree, &table->tree, node);
	}
	node->lookups++;
	*ret_node = node;
	return 0;
}

/* Gives lookups and references back. The last one frees the node. */
static void node_put(struct node_table *table, struct node *node, uint64_t lookups, uint64_t refs)
{
	if (node == &table->root)
		return;
	pthread_mutex_lock(&table->lock);
	node->lookups -= lookups < node->lookups ? lookups : node->lookups;
	assert(node->refs >= refs);
	node->refs -= refs;
	bool unknown = node->lookups == 0 && node->refs == 0;
	if (unknown) {
		unlist_locked(table, node);
		LIST_REMOVE(node, all);
	}
	pthread_mutex_unlock(&table->lock);
	if (unknown)
		node_free(node);
}

void node_forget(struct node_table *table, struct node *node, uint64_t lookups)
{
	node_put(table, node, lookups, 0);
}

struct node *node_ref(struct node_table *table, struct node *node)
{
	SCOPED_LOCK(&table->lock);
	node->refs++;
	return node;
}

void node_unref(struct node_table *table, struct node *node)
{
	node_put(table, node, 0, 1);
}

void node_retire_files(struct node_table *table, uint64_t stream_id)
{
	struct node *node, *next;
	SCOPED_LOCK(&table->lock);
	RB_FOREACH_SAFE(node, node_tree, &table->tree, next)
	{
		if (node->id.kind == NODE_SHARD && sfs_stream_id(node->id.stream) == stream_id)
			unlist_locked(table, node);
	}
}

bool node_enter_cache(struct node_table *table, struct node *node)
{
	SCOPED_LOCK(&table->lock);
	node->cached += !node->direct;
	return !node->direct;
}

void node_leave_cache(struct node_table *table, struct node *node)
{
	SCOPED_LOCK(&table->lock);
	assert(node->cached > 0);
	node->cached--;
}

bool node_make_direct(struct node_table *table, struct node *node)
{
	SCOPED_LOCK(&table->lock);
	unlist_locked(table, node);
	node->direct = true;
	return node->cached == 0;
}

/* With a reference, since a FORGET may come meanwhile. */
static struct node *next_reader(
	struct node_table *table, const struct sfs_shard *shard, struct node *after)
{
	SCOPED_LOCK(&table->lock);
	struct node *node = after ? LIST_NEXT(after, all) : LIST_FIRST(&table->all);
	while (node && (node->id.kind != NODE_SHARD || node->id.shard != shard))
		node = LIST_NEXT(node, all);
	if (node)
		node->refs++;
	return node;
}

void node_each_reader(struct node_table *table, const struct sfs_shard *shard,
	void (*each)(void *context, struct node *node), void *context)
{
	struct node *node = next_reader(table, shard, NULL);
	while (node) {
		node_ref(table, node); /* for the callee: it may give it back at once */
		each(context, node);
		struct node *next = next_reader(table, shard, node);
		node_unref(table, node);
		node = next;
	}
}

int node_tail(const struct node *node, char *buffer, size_t bytes)
{
	char stream[SFS_NAME_MAX + 1];
	char name[UPLOAD_NAME_MAX + 1] = "put";
	bool in_drop = node->id.kind == NODE_UPLOAD;
	const struct view_path *path = node->id.view_path;
	sfs_stream_name(node->id.stream, stream);
	if (in_drop)
		upload_name(node->id.upload, name);
	else if (node->id.shard)
		sfs_shard_name(ino_shard_number(node->id.ino), name);
	int n = path ? snprintf(buffer, bytes, "/%s/keys/%s", stream, path->name)
		     : snprintf(buffer, bytes, "/%s%s/%s", stream, in_drop ? "/drop" : "", name);
	return n < 0 || (size_t)n >= bytes ? -ENAMETOOLONG : 0;
}
