/* SPDX-License-Identifier: MIT */
#include "listing.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cleanup.h"
#include "ino.h"
#include "keyname.h"
#include "dir_names.h"
#include "streamfs/consumer.h"
#include "streamfs/shard.h"
#include "tree.h"
#include "upload.h"
#include "view_path.h"

/* For a stream whose number is not known without reading its settings. */
static const uint64_t unknown_ino = 0xffffffff;

static void cleanup_listing(struct listing **listing)
{
	listing_free(*listing);
}

void listing_free(struct listing *listing)
{
	if (!listing)
		return;
	for (size_t i = 0; i < listing->count; i++)
		free(listing->items[i].name);
	vector_fini(listing);
	free(listing);
}

static int add(struct listing *listing, const char *name, uint64_t ino, mode_t type)
{
	char *copy = strdup(name);
	if (!copy)
		return -ENOMEM;
	int r = vector_push(listing, (struct listing_entry){ino, type, copy});
	if (r < 0)
		free(copy);
	return r;
}

static bool is_dir(enum node_kind kind)
{
	return kind == NODE_CONTROL || kind == NODE_DROP || kind == NODE_BLOBS ||
	       kind == NODE_CONSUMERS;
}

static int add_fixed(struct listing *listing, const struct node *dir)
{
	const struct fixed_name *names;
	size_t count = dir_names_fixed(dir->id.kind, &names);
	int r = 0;
	for (size_t i = 0; i < count && r == 0; i++) {
		uint64_t ino =
			dir->id.stream ? ino_file(dir->id.stream, names[i].local) : names[i].local;
		r = add(listing, names[i].name, ino, is_dir(names[i].kind) ? S_IFDIR : S_IFREG);
	}
	return r;
}

static int add_stream(void *context, const char *name, uint64_t id)
{
	return add(context, name, id ? ino_stream(id) : unknown_ino, S_IFDIR);
}

/* The shards' own files, or a consumer's checkpoints. */
static int add_shards(struct listing *listing, struct sfs_stream *stream, const char *consumer)
{
	_cleanup_free_ uint32_t *numbers = NULL;
	size_t count;
	int r = sfs_stream_shards(stream, &numbers, &count);
	for (size_t i = 0; r == 0 && i < count; i++) {
		char name[SFS_SHARD_NAME_MAX];
		sfs_shard_name(numbers[i], name);
		uint64_t ino = consumer ? ino_checkpoint(stream, consumer, numbers[i])
					: ino_file(stream, INO_LOCAL_SHARDS + numbers[i]);
		r = add(listing, name, ino, S_IFREG);
	}
	return r;
}

/* Uploads of one name show once, and come one after the other. */
static int add_upload(void *context, const struct upload *upload)
{
	const struct listing *listing = context;
	if (strcmp(listing->items[listing->count - 1].name, upload->name) == 0)
		return 0;
	return add(context, upload->name, ino_upload(upload->number), S_IFREG);
}

struct in_stream {
	struct listing *listing;
	struct sfs_stream *stream;
};

static int add_blob(void *context, const char *digest)
{
	struct in_stream *entries = context;
	return add(entries->listing, digest, ino_blob(entries->stream, digest), S_IFREG);
}

static int add_consumer(void *context, const char *name)
{
	struct in_stream *entries = context;
	return add(entries->listing, name, ino_consumer(entries->stream, name), S_IFDIR);
}

static int add_view(struct listing *listing, struct sfs_stream *stream, const struct view_path *dir,
	const char *name)
{
	struct view_path *path;
	int r = view_path_resolve(dir, name, &path);
	if (r < 0)
		return r;
	r = add(listing, name, ino_view(stream, path), view_path_is_dir(path) ? S_IFDIR : S_IFREG);
	view_path_free(path);
	return r;
}

/* The names that are always there. */
static int add_views(
	struct listing *listing, struct sfs_stream *stream, const struct view_path *dir)
{
	int r = 0;
	for (const char *const *names = view_path_names(dir); *names && r == 0; names++)
		r = add_view(listing, stream, dir, *names);
	return r;
}

static int add_view_shards(
	struct listing *listing, struct sfs_stream *stream, const struct view_path *dir)
{
	_cleanup_free_ uint32_t *numbers = NULL;
	size_t count;
	int r = sfs_stream_shards(stream, &numbers, &count);
	for (size_t i = 0; r == 0 && i < count; i++) {
		char name[SFS_SHARD_NAME_MAX];
		sfs_shard_name(numbers[i], name);
		r = add_view(listing, stream, dir, name);
	}
	return r;
}

struct key_listing {
	struct listing *listing;
	const struct node *dir;
};

static int add_key(void *context, const char *key, size_t key_bytes)
{
	const struct key_listing *keys = context;
	char name[KEYNAME_MAX + 1];
	keyname_encode(key, key_bytes, name);
	return add_view(keys->listing, keys->dir->id.stream, keys->dir->id.view_path, name);
}

static int add_view_content(struct listing *listing, const struct node *dir)
{
	const struct view_path *path = dir->id.view_path;
	struct key_listing keys = {listing, dir};
	int r = add_views(listing, dir->id.stream, path);
	if (r < 0)
		return r;
	if (path->kind == VIEW_PATH_TOP)
		return add_view_shards(listing, dir->id.stream, path);
	return path->kind == VIEW_PATH_KEYS ? sfs_stream_keys(dir->id.stream, add_key, &keys) : 0;
}

static int add_content(struct tree *tree, struct node *dir, struct listing *listing)
{
	struct sfs_stream *stream = dir->id.stream;
	struct in_stream entries = {listing, stream};
	switch (dir->id.kind) {
	case NODE_ROOT:
		return sfs_store_list(tree->store, add_stream, listing);
	case NODE_STREAM:
		/*
		 * Not the views: they show the same records again, once for every key, and live/
		 * has no end. grep -r, cp -r and find would not come out of them.
		 */
		return add_shards(listing, stream, NULL);
	case NODE_VIEW_DIR:
		return add_view_content(listing, dir);
	case NODE_DROP:
		return drop_each(&tree->drop, sfs_stream_id(stream), add_upload, listing);
	case NODE_BLOBS:
		return sfs_blob_list(stream, add_blob, &entries);
	case NODE_CONSUMERS:
		return sfs_consumer_list(stream, add_consumer, &entries);
	case NODE_CONSUMER:
		return sfs_consumer_exists(stream, dir->id.consumer)
			       ? add_shards(listing, stream, dir->id.consumer)
			       : -ENOENT;
	default:
		return 0;
	}
}

int listing_read(struct tree *tree, struct node *dir, struct listing **ret_listing)
{
	_cleanup_(cleanup_listing) struct listing *listing = calloc(1, sizeof(*listing));
	if (!listing)
		return -ENOMEM;
	int r = add(listing, ".", dir->id.ino, S_IFDIR);
	if (r == 0)
		r = add(listing, "..", unknown_ino, S_IFDIR);
	if (r == 0)
		r = add_fixed(listing, dir);
	if (r == 0)
		r = add_content(tree, dir, listing);
	if (r < 0)
		return r;
	*ret_listing = listing;
	listing = NULL;
	return 0;
}
