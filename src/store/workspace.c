/* SPDX-License-Identifier: MIT */
#include "workspace.h"

#include "cleanup.h"

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

struct workspace *workspace_get(struct sfs_store *store)
{
	pthread_mutex_lock(&store->pool_lock);
	struct workspace *w = store->pool;
	if (w)
		store->pool = w->next;
	pthread_mutex_unlock(&store->pool_lock);
	if (w)
		return w;
	w = calloc(1, sizeof *w);
	if (!w)
		return NULL;
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
	SCOPED_LOCK(&store->pool_lock);
	workspace->next = store->pool;
	store->pool = workspace;
}

void workspace_pool_free(struct sfs_store *store)
{
	while (store->pool) {
		struct workspace *w = store->pool;
		store->pool = w->next;
		workspace_free(w);
	}
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
	SLIST_FOREACH (batch, &workspace->idle, link) {
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
