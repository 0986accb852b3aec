/* SPDX-License-Identifier: MIT */
#include "ino.h"

#include <stdlib.h>
#include <string.h>

#include "streamfs/stream.h"
#include "view_path.h"

/* The two highest bits are the kind. */
#define INO_UPLOADS (UINT64_C(1) << 62)
#define INO_BLOBS (UINT64_C(1) << 63)
#define INO_CONSUMERS INO_BLOBS
#define INO_VIEWS (INO_BLOBS | INO_UPLOADS)
#define INO_REST (INO_UPLOADS - 1)

uint64_t ino_stream(uint64_t stream_id)
{
	return stream_id << INO_STREAM_SHIFT | INO_LOCAL_DIR;
}

uint64_t ino_file(const struct sfs_stream *stream, uint32_t local)
{
	return ino_stream(sfs_stream_id(stream)) | local;
}

uint32_t ino_shard_number(uint64_t ino)
{
	return (uint32_t)(ino & ((UINT64_C(1) << INO_STREAM_SHIFT) - 1)) - INO_LOCAL_SHARDS;
}

uint64_t ino_upload(uint64_t number)
{
	return INO_UPLOADS | number;
}

uint64_t ino_blob(const struct sfs_stream *stream, const char *digest)
{
	char head[17] = {0};
	memcpy(head, digest, 16);
	uint64_t bits = strtoull(head, NULL, 16) >> 2;
	return INO_BLOBS |
	       ((bits ^ sfs_stream_id(stream) * UINT64_C(0x9e3779b97f4a7c15)) & INO_REST);
}

uint64_t ino_view(const struct sfs_stream *stream, const struct view_path *path)
{
	return INO_VIEWS | (view_path_hash(path, sfs_stream_id(stream)) & INO_REST);
}

static uint64_t hash_name(uint64_t stream_id, const char *name)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ stream_id; /* FNV-1a */
	for (const char *c = name; *c; c++)
		hash = (hash ^ (unsigned char)*c) * UINT64_C(0x100000001b3);
	return hash;
}

/* The last step of MurmurHash3, which leaves no two inputs alike. */
static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 33) * UINT64_C(0xff51afd7ed558ccd);
	x = (x ^ x >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
	return x ^ x >> 33;
}

uint64_t ino_consumer(const struct sfs_stream *stream, const char *consumer)
{
	return INO_CONSUMERS | (mix(hash_name(sfs_stream_id(stream), consumer)) & INO_REST);
}

uint64_t ino_checkpoint(const struct sfs_stream *stream, const char *consumer, uint32_t number)
{
	uint64_t hash = hash_name(sfs_stream_id(stream), consumer);
	return INO_CONSUMERS | (mix(mix(hash) + number + 1) & INO_REST);
}

uint64_t ino_upload_name(uint64_t stream_id, const char *name)
{
	return hash_name(stream_id, name) | INO_UPLOADS;
}
