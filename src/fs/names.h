/* SPDX-License-Identifier: MIT */
/* The tree: which names there are in a directory, and what they stand for. */
#ifndef FS_NAMES_H
#define FS_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "node.h"

struct fs;
struct fuse_ctx;

/* A file that a directory always has. */
struct fixed_name {
	const char *name;
	enum node_kind kind;
	uint32_t local; /* inode number within the stream, or the whole of it */
};

/* The fixed names of a directory; none where there are none. */
size_t names_fixed(enum node_kind dir, const struct fixed_name **ret_names);

/*
 * What `name` in `dir` is for this caller. The caller gives the identity back with
 * identity_fini(). -ENOENT, or what the store says.
 */
int names_resolve(struct fs *fs, const struct node *dir, const char *name,
	const struct fuse_ctx *ctx, struct node_identity *ret_id);

enum { NAMES_SHARD_MAX = 32 }; /* bytes of a shard's name and its NUL */
void names_shard(uint32_t number, char name[NAMES_SHARD_MAX]);
/* Each shard has one name: no signs, no more zeros than needed. False: not such a name. */
bool names_parse_shard(const char *name, uint32_t *ret_number);
/* What a consumer and a checkpoint are; the caller's to give back with identity_fini(). */
int names_consumer(const struct node *dir, const char *name, struct node_identity *ret_id);
int names_checkpoint(const struct node *dir, uint32_t number, struct node_identity *ret_id);
uint64_t names_consumer_ino(const struct sfs_stream *stream, const char *consumer);
uint64_t names_checkpoint_ino(
	const struct sfs_stream *stream, const char *consumer, uint32_t number);
/* The inode number of a file of a stream. */
uint64_t names_ino(const struct sfs_stream *stream, uint32_t local);
uint64_t names_blob_ino(const struct sfs_stream *stream, const char *digest);
uint64_t names_place_ino(const struct sfs_stream *stream, const struct place *place);
/* Names an upload for the intent table. */
uint64_t names_upload_key(uint64_t stream_id, const char *name);

#endif
