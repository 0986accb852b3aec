/* SPDX-License-Identifier: MIT */
/*
 * Inode numbers (st_ino): which file it is, whatever nodes the kernel holds of it.
 *
 *   0xxx…  the stream's id above, which file of the stream below; a number is never given again
 *   01xx…  uploads: a counter; these do not outlive the mount
 *   10xx…  blobs and consumers: 62 bits of a hash
 *   11xx…  views: 62 bits of a hash
 */
#ifndef FS_INO_H
#define FS_INO_H

#include <stdint.h>

struct sfs_stream;
struct view_path;

enum {
	INO_STREAM_SHIFT = 24,
	INO_ROOT = 1, /* of stream id 0 */
	INO_CONTROL,
	INO_README,
	INO_VERSION,
	INO_METRICS,
	INO_DEFAULTS,
	INO_LOCAL_DIR = 0, /* of a stream */
	INO_LOCAL_PUT,
	INO_LOCAL_CONFIG,
	INO_LOCAL_STATS,
	INO_LOCAL_DROP,
	INO_LOCAL_BLOBS,
	INO_LOCAL_CONSUMERS,
	INO_LOCAL_TRIM,
	INO_LOCAL_SHARDS = 0x1000, /* plus the shard's number */
};

/* A file of a stream: one of INO_LOCAL_…. */
uint64_t ino_file(const struct sfs_stream *stream, uint32_t local);
/* The directory of a stream by its id; the same as ino_file() of INO_LOCAL_DIR. */
uint64_t ino_stream(uint64_t stream_id);
/* The shard's number that ino_file() was given for a shard. */
uint32_t ino_shard_number(uint64_t ino);
uint64_t ino_upload(uint64_t number);
uint64_t ino_blob(const struct sfs_stream *stream, const char *digest);
uint64_t ino_view(const struct sfs_stream *stream, const struct view_path *path);
uint64_t ino_consumer(const struct sfs_stream *stream, const char *consumer);
uint64_t ino_checkpoint(const struct sfs_stream *stream, const char *consumer, uint32_t number);

/* Not of a file, but of a name in a drop directory: for the table of intents. */
uint64_t ino_upload_name(uint64_t stream_id, const char *name);

#endif
