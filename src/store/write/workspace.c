/* SPDX-License-Identifier: MIT */
#include "workspace.h"

#include "container.h"
#include "lock.h"
#include "stream_blobs.h"
#include "trace.h"

enum {
	KEEP_TEXT_BYTES = 3 << 20, /* of all buffers of a workspace at rest */
	KEEP_BATCHES = 64,
	KEEP_PUTS = 2048,
};

static void free_idle(struct workspace *workspace)
{
	while (!SLIST_EMPTY(&workspace->idle)) {
		struct batch *batch = SLIST_FIRST(&workspace->idle);
		SLIST_REMOVE_HEAD(&workspace->idle, link);
		batch_free(batch);
	}
}

static void workspace_free(struct workspace *workspace)
{
	assert(SLIST_EMPTY(&workspace->used));
	free_idle(workspace);
	vector_fini(&workspace->by_route);
	vector_fini(&workspace->puts);
	buf_fini(&workspace->head);
	buf_fini(&workspace->meta);
	encoder_free(workspace->encoder);
	free(workspace);
}

static void free_pooled(struct pool_item *item)
{
	workspace_free(CONTAINER_OF(item, struct workspace, pooled));
}

static struct workspace *workspace_new(void)
{
	struct workspace *workspace = calloc(1, sizeof *workspace);
	if (!workspace)
		return NULL;
	workspace->pooled.free = free_pooled;
	SLIST_INIT(&workspace->used);
	SLIST_INIT(&workspace->idle);
	workspace->encoder = encoder_new();
	if (!workspace->encoder) {
		free(workspace);
		return NULL;
	}
	return workspace;
}

struct workspace *workspace_take(struct sfs_store *store)
{
	struct pool_item *pooled = pool_take(&store->workspaces);
	return pooled ? CONTAINER_OF(pooled, struct workspace, pooled) : workspace_new();
}

/* Makes the batches in use idle, and frees those that are too many or too large to keep. */
static void release_batches(struct workspace *workspace)
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
		batch_reset(batch);
		SLIST_INSERT_HEAD(&workspace->idle, batch, link);
	}
	vector_clear(&workspace->by_route);
}

void workspace_give(struct workspace *workspace, struct sfs_store *store)
{
	assert(!workspace->puts.count);
	release_batches(workspace);
	workspace->due = NULL;
	workspace->meta.size = 0;
	buf_reset(&workspace->head, KEEP_TEXT_BYTES);
	pool_give(&store->workspaces, &workspace->pooled);
}

static struct batch *use_batch(struct workspace *workspace, struct sfs_shard *shard)
{
	struct batch *batch = SLIST_FIRST(&workspace->idle);
	if (batch)
		SLIST_REMOVE_HEAD(&workspace->idle, link);
	else
		batch = batch_new();
	if (!batch)
		return NULL;
	batch->shard = shard;
	SLIST_INSERT_HEAD(&workspace->used, batch, link);
	return batch;
}

struct batch *workspace_batch(
	struct workspace *workspace, const struct routes *routes, size_t route)
{
	assert(route < routes->count);
	if (workspace->by_route.count != routes->count &&
		vector_resize(&workspace->by_route, routes->count) < 0)
		return NULL;
	struct batch **batch = &workspace->by_route.items[route];
	if (!*batch)
		*batch = use_batch(workspace, routes->shards[route]);
	return *batch;
}

struct batch *workspace_shard_batch(struct workspace *workspace, struct sfs_shard *shard)
{
	struct batch *batch = SLIST_FIRST(&workspace->used);
	assert(!batch || batch->shard == shard);
	return batch ? batch : use_batch(workspace, shard);
}

int workspace_put_blob(struct workspace *workspace, struct sfs_stream *stream,
	const struct payload *payload, struct claim *ret_claim)
{
	ASSERT_RDLOCKED(&stream->home.lock);
	struct digest digest;
	int r = stream_blobs_open(stream, true);
	if (r == 0)
		r = vector_reserve(&workspace->puts, 1);
	if (r == 0)
		r = blobs_put(
			&stream->blobs, payload, stream->home.settings.compression, digest.bytes);
	if (r < 0)
		return r;
	(void)vector_push(&workspace->puts, digest);
	metric_add(&stream->home.metrics.claims, 1);
	*ret_claim = (struct claim){.payload_bytes = payload->size_bytes};
	memcpy(ret_claim->digest, digest.bytes, sizeof ret_claim->digest);
	return 0;
}

void workspace_settle(struct workspace *workspace, struct sfs_stream *stream)
{
	for (size_t i = 0; i < workspace->puts.count; i++)
		blobs_put_done(&stream->blobs, workspace->puts.items[i].bytes);
	vector_clear(&workspace->puts);
	if (workspace->puts.capacity > KEEP_PUTS)
		vector_fini(&workspace->puts);
}
