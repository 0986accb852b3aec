/* SPDX-License-Identifier: MIT */
#include "workspace.h"

#include "cleanup.h"

#include <stddef.h>

enum {
	KEEP_TEXT_BYTES = 3 << 20, /* of all buffers of a workspace at rest */
	KEEP_BATCHES = 64,
};

static void batch_free(struct batch *batch)
{
	buf_fini(&batch->text);
	meta_writer_fini(&batch->meta);
	free(batch);
}

static void workspace_free(struct workspace *workspace)
{
	workspace_reset(workspace);
	while (!SLIST_EMPTY(&workspace->idle)) {
		struct batch *batch = SLIST_FIRST(&workspace->idle);
		SLIST_REMOVE_HEAD(&workspace->idle, link);
		batch_free(batch);
	}
	buf_fini(&workspace->slots);
	buf_fini(&workspace->head);
	buf_fini(&workspace->meta);
	buf_fini(&workspace->puts);
	encoder_free(workspace->encoder);
	free(workspace);
}

static struct workspace *of_pooled(struct pool_item *item)
{
	return (struct workspace *)(void *)((char *)item - offsetof(struct workspace, pooled));
}

static void free_pooled(struct pool_item *item)
{
	workspace_free(of_pooled(item));
}

struct workspace *workspace_get(struct sfs_store *store)
{
	struct pool_item *pooled = pool_take(&store->workspaces);
	if (pooled)
		return of_pooled(pooled);
	struct workspace *w = calloc(1, sizeof *w);
	if (!w)
		return NULL;
	w->pooled.free = free_pooled;
	SLIST_INIT(&w->used);
	SLIST_INIT(&w->idle);
	w->encoder = encoder_new();
	if (!w->encoder) {
		free(w);
		return NULL;
	}
	return w;
}

void workspace_put(struct sfs_store *store, struct workspace *workspace)
{
	workspace_reset(workspace);
	pool_give(&store->workspaces, &workspace->pooled);
}

struct batch *workspace_new_batch(struct workspace *workspace, struct sfs_shard *shard)
{
	struct batch *batch = SLIST_FIRST(&workspace->idle);
	if (batch)
		SLIST_REMOVE_HEAD(&workspace->idle, link);
	else
		batch = calloc(1, sizeof *batch);
	if (!batch)
		return NULL;
	batch->shard = shard;
	SLIST_INSERT_HEAD(&workspace->used, batch, link);
	return batch;
}

struct batch *workspace_batch(
	struct workspace *workspace, const struct routes *routes, size_t route)
{
	size_t bytes = routes->count * sizeof(struct batch *);
	if (workspace->slots.size != bytes) {
		workspace->slots.size = 0;
		if (buf_reserve(&workspace->slots, bytes) < 0)
			return NULL;
		workspace->slots.size = bytes;
		memset(workspace->slots.data, 0, bytes);
	}
	struct batch **slot = (struct batch **)(void *)workspace->slots.data + route;
	if (!*slot)
		*slot = workspace_new_batch(workspace, routes->shards[route]);
	return *slot;
}

void workspace_reset(struct workspace *workspace)
{
	size_t kept_bytes = 0, kept = 0;
	struct batch *batch;
	SLIST_FOREACH(batch, &workspace->idle, link)
	{
		kept_bytes += batch->text.capacity;
		kept++;
	}
	while (!SLIST_EMPTY(&workspace->used)) {
		batch = SLIST_FIRST(&workspace->used);
		SLIST_REMOVE_HEAD(&workspace->used, link);
		kept_bytes += batch->text.capacity;
		if (kept++ >= KEEP_BATCHES || kept_bytes > KEEP_TEXT_BYTES) {
			batch_free(batch);
			continue;
		}
		batch->text.size = 0;
		meta_writer_reset(&batch->meta);
		batch->shard = NULL;
		batch->has_meta = false;
		batch->records = 0;
		batch->json_bytes = 0;
		SLIST_INSERT_HEAD(&workspace->idle, batch, link);
	}
	workspace->due = NULL;
	workspace->slots.size = 0;
	workspace->meta.size = 0;
	buf_reset(&workspace->head, KEEP_TEXT_BYTES);
}
