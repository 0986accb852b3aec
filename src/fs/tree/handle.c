/* SPDX-License-Identifier: MIT */
#include "handle.h"

#include <errno.h>
#include <stdlib.h>

#include "cleanup.h"
#include "listing.h"
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
	handle->opener = (struct opener){.thread = opener, .process = opener};
	if (kind == HANDLE_WRITER || kind == HANDLE_UPLOAD)
		opener_find_process(&handle->opener);
	handle->node = node_ref(list->nodes, node);
	pthread_mutex_init(&handle->lock, NULL);
	SCOPED_LOCK(&list->lock);
	LIST_INSERT_HEAD(&list->all, handle, all);
	return handle;
}

int handle_free(struct handle_list *list, struct handle *handle)
{
	pthread_mutex_lock(&list->lock);
	LIST_REMOVE(handle, all);
	pthread_mutex_unlock(&list->lock);
	int r = sfs_writer_close(handle->writer);
	handle_set_busy_locked(handle, false);
	if (handle->kind == HANDLE_SHARD && handle->cached)
		node_leave_cache(list->nodes, handle->node);
	listing_free(handle->listing);
	sfs_blob_close(handle->blob);
	free(handle->text);
	free(handle->lock_owners);
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

static bool is_twin(const struct handle *a, const struct handle *b)
{
	return a != b && a->kind == HANDLE_WRITER && a->opener.process == b->opener.process &&
	       a->node->id.ino == b->node->id.ino &&
	       atomic_load(&a->position) == atomic_load(&b->position);
}

unsigned handle_twins(struct handle_list *list, const struct handle *handle)
{
	unsigned count = 0;
	const struct handle *other;
	SCOPED_LOCK(&list->lock);
	LIST_FOREACH(other, &list->all, all)
	count += is_twin(other, handle);
	return count;
}

int handle_note_lock_owner(struct handle *handle, uint64_t owner)
{
	SCOPED_LOCK(&handle->lock);
	for (size_t i = 0; i < handle->lock_owner_count; i++)
		if (handle->lock_owners[i] == owner)
			return 0;
	uint64_t *owners =
		reallocarray(handle->lock_owners, handle->lock_owner_count + 1, sizeof(*owners));
	if (!owners)
		return -ENOMEM;
	owners[handle->lock_owner_count++] = owner;
	handle->lock_owners = owners;
	return 0;
}

void handle_forget_lock_owner(struct handle *handle, uint64_t owner)
{
	size_t kept = 0;
	SCOPED_LOCK(&handle->lock);
	for (size_t i = 0; i < handle->lock_owner_count; i++)
		if (handle->lock_owners[i] != owner)
			handle->lock_owners[kept++] = handle->lock_owners[i];
	handle->lock_owner_count = kept;
}

void handle_set_busy_locked(struct handle *handle, bool busy)
{
	if (handle->busy == busy)
		return;
	handle->busy = busy;
	if (busy)
		atomic_fetch_add(&handle->node->busy, 1);
	else
		atomic_fetch_sub(&handle->node->busy, 1);
}
