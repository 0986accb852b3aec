/* SPDX-License-Identifier: MIT */
#include "handle.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "cleanup.h"
#include "lock.h"
#include "node.h"
#include "streamfs/blob.h"
#include "streamfs/writer.h"

void handle_list_init(struct handle_list *list, struct node_table *nodes)
{
	pthread_mutex_init(&list->lock, NULL);
	LIST_INIT(&list->all);
	list->nodes = nodes;
}

void handle_list_fini(struct handle_list *list)
{
	pthread_mutex_destroy(&list->lock);
}

struct handle *handle_new(
	struct handle_list *list, enum handle_kind kind, struct node *node, int flags, pid_t opener)
{
	struct handle *handle = calloc(1, sizeof(*handle));
	if (!handle)
		return NULL;
	handle->kind = kind;
	handle->flags = flags;
	if (kind == HANDLE_WRITER)
		handle->writer.opener = opener_of(opener);
	else if (kind == HANDLE_UPLOAD)
		handle->upload.opener = opener_of(opener);
	handle->node = node_ref(list->nodes, node);
	pthread_mutex_init(&handle->lock, NULL);
	SCOPED_LOCK(&list->lock);
	LIST_INSERT_HEAD(&list->all, handle, all);
	return handle;
}

static int release_writer(struct handle *handle)
{
	int r = sfs_writer_close(handle->writer.writer);
	SCOPED_LOCK(&handle->lock);
	handle_set_busy_locked(handle, false);
	return r;
}

/* Releases what its kind has. */
static int release(struct handle_list *list, struct handle *handle)
{
	switch (handle->kind) {
	case HANDLE_SHARD:
		if (handle->shard.cached)
			node_leave_cache(list->nodes, handle->node);
		return 0;
	case HANDLE_WRITER:
		return release_writer(handle);
	case HANDLE_TEXT:
		free(handle->text.text);
		return 0;
	case HANDLE_BLOB:
		sfs_blob_close(handle->blob);
		return 0;
	default:
		return 0;
	}
}

int handle_free(struct handle_list *list, struct handle *handle)
{
	pthread_mutex_lock(&list->lock);
	LIST_REMOVE(handle, all);
	pthread_mutex_unlock(&list->lock);
	int r = release(list, handle);
	vector_fini(&handle->lock_owners);
	node_unref(list->nodes, handle->node);
	pthread_mutex_destroy(&handle->lock);
	free(handle);
	return r;
}

struct handle *handle_first(struct handle_list *list)
{
	SCOPED_LOCK(&list->lock);
	return LIST_FIRST(&list->all);
}

bool handle_is_cached(const struct handle *handle)
{
	return handle->kind == HANDLE_BLOB ||
	       (handle->kind == HANDLE_SHARD && handle->shard.cached);
}

static bool is_twin(const struct handle *a, const struct handle *b)
{
	return a != b && a->kind == HANDLE_WRITER &&
	       a->writer.opener.process == b->writer.opener.process &&
	       a->node->id.ino == b->node->id.ino &&
	       atomic_load(&a->writer.position) == atomic_load(&b->writer.position);
}

unsigned handle_twins(struct handle_list *list, const struct handle *handle)
{
	unsigned count = 0;
	const struct handle *other;
	assert(handle->kind == HANDLE_WRITER);
	SCOPED_LOCK(&list->lock);
	LIST_FOREACH(other, &list->all, all)
	count += is_twin(other, handle);
	return count;
}

int handle_note_lock_owner(struct handle *handle, uint64_t owner)
{
	SCOPED_LOCK(&handle->lock);
	for (size_t i = 0; i < handle->lock_owners.count; i++)
		if (handle->lock_owners.items[i] == owner)
			return 0;
	atomic_store(&handle->lock_noted, true);
	return vector_push(&handle->lock_owners, owner);
}

void handle_forget_lock_owner(struct handle *handle, uint64_t owner)
{
	/* The owner's own lock was noted before the close that makes it forget. */
	if (!atomic_load(&handle->lock_noted))
		return;
	SCOPED_LOCK(&handle->lock);
	for (size_t i = handle->lock_owners.count; i-- > 0;)
		if (handle->lock_owners.items[i] == owner)
			vector_remove(&handle->lock_owners, i);
}

void handle_set_busy_locked(struct handle *handle, bool busy)
{
	assert(handle->kind == HANDLE_WRITER);
	ASSERT_LOCKED(&handle->lock);
	if (handle->writer.busy == busy)
		return;
	handle->writer.busy = busy;
	if (busy)
		atomic_fetch_add(&handle->node->busy, 1);
	else
		atomic_fetch_sub(&handle->node->busy, 1);
}
