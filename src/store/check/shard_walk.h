/* SPDX-License-Identifier: MIT */
/*
 * A shard while its segments and chunks go by: where the check is, and what it goes on from.
 *
 *  1. `end` is where the next chunk should begin. Its offset is valid if `knows_end`; its sequence
 *     number and JSON offset, and `open_record`, if `knows_sequence`.
 *  2. After damage `knows_sequence` is not set, until a good chunk's header is read.
 *  3. `record` is the open record, if it was seen from its beginning.
 */
#ifndef STORE_SHARD_WALK_H
#define STORE_SHARD_WALK_H

#include "check_blob.h"
#include "checker.h"
#include "leftovers.h"
#include "shard.h"

struct shard_walk {
	struct checker *checker;
	struct blob_check *blobs;
	struct leftovers *leftovers;
	struct sfs_shard *shard;
	uint64_t findings; /* of this shard */

	struct watermark mark;
	bool has_mark; /* it could be read */
	bool bad_mark; /* there is a file, but no good slot in it */

	/* The segment at hand. */
	char path[SFS_NAME_MAX + 96]; /* below the store */
	int fd;
	bool last; /* it may have a torn end */

	bool knows_first;
	struct position first; /* of the first segment; beyond its offset if `knows_first` */
	bool knows_end, knows_sequence;
	struct position end;
	uint64_t last_arrival_ms;
	bool open_record; /* a record goes on in the next chunk */
	struct {
		bool known;
		uint64_t offset;
		struct json_scan scan; /* of the text so far */
	} record;

	struct buf stored, meta, text; /* of the chunk at hand */
};

void walk_init(struct shard_walk *walk, struct checker *checker, struct sfs_shard *shard);
void walk_fini(struct shard_walk *walk);

static inline const struct disk *walk_disk(const struct shard_walk *walk)
{
	return checker_disk(walk->checker);
}

static inline int walk_streams(const struct shard_walk *walk)
{
	return checker_streams(walk->checker);
}

static inline bool walk_repairs(const struct shard_walk *walk)
{
	return walk->checker->options->repair;
}

/* A finding at an offset of the segment at hand. */
void walk_finding(struct shard_walk *walk, bool repaired, uint64_t offset, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* A finding about the file or directory `path` of the shard, below streams/. */
void walk_file_finding(struct shard_walk *walk, bool repaired, const char *path, const char *format,
	...) __attribute__((format(printf, 4, 5)));

/* A chunk cannot be read: the next one is not measured by what came before. */
static inline void walk_lose_sequence(struct shard_walk *walk)
{
	walk->knows_sequence = walk->record.known = false;
}

#endif
