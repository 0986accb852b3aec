/* SPDX-License-Identifier: MIT */
#include "names.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "caller.h"
#include "consumer_dir.h"
#include "fs.h"
#include "streamfs/consumer.h"

static const struct fixed_name in_root[] = {
	{".streamfs", NODE_CONTROL, INO_CONTROL},
};

static const struct fixed_name in_control[] = {
	{"README", NODE_README, INO_README},
	{"version", NODE_VERSION, INO_VERSION},
	{"metrics", NODE_METRICS, INO_METRICS},
	{"defaults", NODE_DEFAULTS, INO_DEFAULTS},
};

static const struct fixed_name in_stream[] = {
	{"put", NODE_PUT, INO_LOCAL_PUT},
	{"drop", NODE_DROP, INO_LOCAL_DROP},
	{"blobs", NODE_BLOBS, INO_LOCAL_BLOBS},
	{"consumers", NODE_CONSUMERS, INO_LOCAL_CONSUMERS},
	{"config", NODE_CONFIG, INO_LOCAL_CONFIG},
	{"stats", NODE_STATS, INO_LOCAL_STATS},
	{"trim", NODE_TRIM, INO_LOCAL_TRIM},
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

size_t names_fixed(enum node_kind dir, const struct fixed_name **ret_names)
{
	switch (dir) {
	case NODE_ROOT:
		*ret_names = in_root;
		return COUNT_OF(in_root);
	case NODE_CONTROL:
		*ret_names = in_control;
		return COUNT_OF(in_control);
	case NODE_STREAM:
		*ret_names = in_stream;
		return COUNT_OF(in_stream);
	default:
		*ret_names = NULL;
		return 0;
	}
}

static const struct fixed_name *find_fixed(enum node_kind dir, const char *name)
{
	const struct fixed_name *names;
	size_t count = names_fixed(dir, &names);
	for (size_t i = 0; i < count; i++)
		if (strcmp(names[i].name, name) == 0)
			return &names[i];
	return NULL;
}

void names_shard(uint32_t number, char name[NAMES_SHARD_MAX])
{
	snprintf(name, NAMES_SHARD_MAX, "shard-%04u", number);
}

bool names_parse_shard(const char *name, uint32_t *ret_number)
{
	char canonical[NAMES_SHARD_MAX];
	if (strncmp(name, "shard-", 6) != 0)
		return false;
	unsigned long number = strtoul(name + 6, NULL, 10);
	if (number > UINT32_MAX)
		return false;
	names_shard((uint32_t)number, canonical);
	if (strcmp(name, canonical) != 0)
		return false;
	*ret_number = (uint32_t)number;
	return true;
}

static uint64_t ino_of(uint64_t stream_id, uint32_t local)
{
	return stream_id << INO_STREAM_SHIFT | local;
}

uint64_t names_ino(const struct sfs_stream *stream, uint32_t local)
{
	return ino_of(sfs_stream_id(stream), local);
}

uint64_t names_blob_ino(const struct sfs_stream *stream, const char *digest)
{
	char head[17] = {0};
	memcpy(head, digest, 16);
	uint64_t bits = strtoull(head, NULL, 16) >> 2;
	return INO_BLOBS |
	       ((bits ^ sfs_stream_id(stream) * UINT64_C(0x9e3779b97f4a7c15)) & (INO_UPLOADS - 1));
}

uint64_t names_place_ino(const struct sfs_stream *stream, const struct place *place)
{
	return INO_VIEWS | (place_hash(place, sfs_stream_id(stream)) & (INO_UPLOADS - 1));
}

static uint64_t hash_name(uint64_t stream_id, const char *name)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ stream_id; /* FNV-1a */
	for (const char *c = name; *c; c++)
		hash = (hash ^ (unsigned char)*c) * UINT64_C(0x100000001b3);
	return hash;
}

uint64_t names_upload_key(uint64_t stream_id, const char *name)
{
	return hash_name(stream_id, name) | INO_UPLOADS;
}

/* The last step of MurmurHash3, which leaves no two inputs alike. */
static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 33) * UINT64_C(0xff51afd7ed558ccd);
	x = (x ^ x >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
	return x ^ x >> 33;
}

uint64_t names_consumer_ino(const struct sfs_stream *stream, const char *consumer)
{
	return INO_CONSUMERS |
	       (mix(hash_name(sfs_stream_id(stream), consumer)) & (INO_UPLOADS - 1));
}

uint64_t names_checkpoint_ino(
	const struct sfs_stream *stream, const char *consumer, uint32_t number)
{
	uint64_t hash = hash_name(sfs_stream_id(stream), consumer);
	return INO_CONSUMERS | (mix(mix(hash) + number + 1) & (INO_UPLOADS - 1));
}

static int resolve_stream(struct fs *fs, const char *name, struct node_identity *ret_id)
{
	if (!sfs_stream_name_valid(name))
		return -ENOENT; /* so that a mkdir of it gets to say EINVAL */
	struct node_identity id = {.kind = NODE_STREAM};
	int r = sfs_stream_lookup(fs->store, name, &id.stream);
	if (r < 0)
		return r;
	id.ino = names_ino(id.stream, INO_LOCAL_DIR);
	*ret_id = id;
	return 0;
}

static int resolve_shard(struct fs *fs, const struct node *dir, uint32_t number, pid_t tid,
	struct node_identity *ret_id)
{
	struct node_identity id = {.kind = NODE_SHARD};
	int r = sfs_stream_shard(dir->id.stream, number, &id.shard);
	if (r < 0)
		return r;
	id.stream = sfs_stream_ref(dir->id.stream);
	id.ino = names_ino(id.stream, INO_LOCAL_SHARDS + number);
	if (tid == 0 || intent_get(fs->intents, tid, id.ino) == INTENT_WRITE) {
		id.kind = NODE_SHARD_WRITER;
		id.tid = tid;
	}
	*ret_id = id;
	return 0;
}

/* A view with a size has it from its own start on, which is found now. */
static int open_shard_view(
	struct place *place, struct sfs_stream *stream, struct sfs_shard **ret_shard)
{
	if (place->kind != PLACE_SHARD)
		return 0;
	int r = sfs_stream_shard(stream, place->shard, ret_shard);
	if (r < 0 || !place_has_size(place))
		return r;
	r = place_open_view(place, stream, &place->view);
	if (r < 0)
		sfs_shard_unref(*ret_shard);
	return r;
}

static int resolve_place(const struct node *dir, const char *name, struct node_identity *ret_id)
{
	struct place *place;
	struct sfs_shard *shard = NULL;
	int r = place_resolve(dir->id.place, name, &place);
	if (r < 0)
		return r;
	r = open_shard_view(place, dir->id.stream, &shard);
	if (r < 0) {
		place_free(place);
		return r;
	}
	*ret_id = (struct node_identity){
		.kind = place_is_dir(place) ? NODE_VIEW_DIR : NODE_VIEW,
		.ino = names_place_ino(dir->id.stream, place),
		.stream = sfs_stream_ref(dir->id.stream),
		.shard = shard,
		.place = place,
	};
	return 0;
}

static int resolve_in_stream(struct fs *fs, const struct node *dir, const char *name, pid_t tid,
	struct node_identity *ret_id)
{
	uint32_t number;
	const struct fixed_name *fixed = find_fixed(NODE_STREAM, name);
	if (fixed) {
		*ret_id = (struct node_identity){
			.kind = fixed->kind,
			.ino = names_ino(dir->id.stream, fixed->local),
			.tid = fixed->kind == NODE_PUT ? tid : 0,
			.stream = sfs_stream_ref(dir->id.stream),
		};
		return 0;
	}
	if (!names_parse_shard(name, &number))
		return resolve_place(dir, name, ret_id);
	return resolve_shard(fs, dir, number, tid, ret_id);
}

/*
 * A thread that creates a file for itself is not shown another's of that name, nor what it has
 * closed before: O_EXCL, mv and install would take it for one in their way.
 */
static bool is_hidden(
	struct fs *fs, uint64_t stream_id, const char *name, pid_t tid, struct upload *upload)
{
	if (intent_get(fs->intents, tid, names_upload_key(stream_id, name)) == INTENT_CREATE)
		return true;
	return !upload_is_free(upload) && caller_creates(tid);
}

static int resolve_upload(struct fs *fs, const struct node *dir, const char *name,
	const struct fuse_ctx *ctx, struct node_identity *ret_id)
{
	uint64_t stream_id = sfs_stream_id(dir->id.stream);
	struct drop_caller caller = {ctx->pid, ctx->uid};
	struct upload *upload = drop_find(&fs->drop, stream_id, name, &caller);
	if (!upload)
		return -ENOENT;
	if (is_hidden(fs, stream_id, name, ctx->pid, upload)) {
		upload_unref(upload);
		return -ENOENT;
	}
	*ret_id = (struct node_identity){
		.kind = NODE_UPLOAD,
		.ino = upload->ino,
		.stream = sfs_stream_ref(dir->id.stream),
		.upload = upload,
	};
	return 0;
}

static int resolve_blob(const struct node *dir, const char *name, struct node_identity *ret_id)
{
	struct sfs_blob *blob;
	int r = sfs_blob_open(dir->id.stream, name, &blob);
	if (r < 0)
		return r;
	struct node_identity id = {
		.kind = NODE_BLOB,
		.ino = names_blob_ino(dir->id.stream, name),
		.stream = sfs_stream_ref(dir->id.stream),
		.blob =
			{
				.size_bytes = sfs_blob_size(blob),
				.stored_bytes = sfs_blob_stored(blob),
				.time_ms = sfs_blob_time_ms(blob),
			},
	};
	sfs_blob_close(blob);
	memcpy(id.digest, name, SFS_DIGEST_HEX);
	*ret_id = id;
	return 0;
}

int names_consumer(const struct node *dir, const char *name, struct node_identity *ret_id)
{
	struct node_identity id = {.kind = NODE_CONSUMER, .consumer = strdup(name)};
	if (!id.consumer)
		return -ENOMEM;
	id.stream = sfs_stream_ref(dir->id.stream);
	id.ino = names_consumer_ino(id.stream, name);
	*ret_id = id;
	return 0;
}

int names_checkpoint(const struct node *dir, uint32_t number, struct node_identity *ret_id)
{
	struct node_identity id = {
		.kind = NODE_CHECKPOINT, .number = number, .consumer = strdup(dir->id.consumer)};
	if (!id.consumer)
		return -ENOMEM;
	id.stream = sfs_stream_ref(dir->id.stream);
	id.ino = names_checkpoint_ino(id.stream, id.consumer, number);
	*ret_id = id;
	return 0;
}

static int resolve_checkpoint(struct fs *fs, const struct node *dir, const char *name, pid_t tid,
	struct node_identity *ret_id)
{
	uint32_t number;
	if (!names_parse_shard(name, &number) || !sfs_stream_has_shard(dir->id.stream, number) ||
		!sfs_consumer_exists(dir->id.stream, dir->id.consumer))
		return -ENOENT;
	if (consumer_is_copied(fs, dir, number, tid))
		return -ENOENT;
	return names_checkpoint(dir, number, ret_id);
}

int names_resolve(struct fs *fs, const struct node *dir, const char *name,
	const struct fuse_ctx *ctx, struct node_identity *ret_id)
{
	const struct fixed_name *fixed;
	switch (dir->id.kind) {
	case NODE_ROOT:
	case NODE_CONTROL:
		fixed = find_fixed(dir->id.kind, name);
		if (!fixed)
			return dir->id.kind == NODE_ROOT ? resolve_stream(fs, name, ret_id)
							 : -ENOENT;
		*ret_id = (struct node_identity){.kind = fixed->kind, .ino = fixed->local};
		return 0;
	case NODE_STREAM:
		return resolve_in_stream(fs, dir, name, ctx->pid, ret_id);
	case NODE_DROP:
		return resolve_upload(fs, dir, name, ctx, ret_id);
	case NODE_BLOBS:
		return resolve_blob(dir, name, ret_id);
	case NODE_CONSUMERS:
		return sfs_consumer_exists(dir->id.stream, name) ? names_consumer(dir, name, ret_id)
								 : -ENOENT;
	case NODE_CONSUMER:
		return resolve_checkpoint(fs, dir, name, ctx->pid, ret_id);
	case NODE_VIEW_DIR:
		return resolve_place(dir, name, ret_id);
	default:
		return -ENOTDIR;
	}
}
