/* SPDX-License-Identifier: MIT */
/*
 * Inside sfs_store_check(). check.c walks the store, check_stream.c a stream's directory,
 * check_shard.c a shard's files, check_chunk.c what is in a chunk, check_blob.c the payloads.
 *
 * Functions return 0 when they ran to their end, whatever they found; -ENOMEM ends the check. What
 * the disk refuses to read is a finding like any other.
 */
#ifndef STORE_CHECKER_H
#define STORE_CHECKER_H

#include "json_record.h"
#include "store.h"

#include "streamfs/check.h"

#include <limits.h>

struct check {
	const struct sfs_check_options *options;
	struct sfs_store *store; /* locked, but without services: nothing of it is in use */
	bool has_document;	 /* streamfs.json could be read */
	struct sfs_check_summary summary;
	uint64_t done_bytes, told_bytes, total_bytes;
	struct buf streams; /* struct stream_id[] of those that were read */
};

/* A line that tells of damage; counted. The path is one below the store. */
void check_finding(struct check *check, bool repaired, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* A line that tells of what is no error; not counted. */
void check_note(struct check *check, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* For an error of a call on a file: a finding, but -ENOMEM is the result. */
int check_trouble(struct check *check, const char *path, int error);
void check_progress(struct check *check, uint64_t bytes);

/* The names in a directory, sorted, without "." and "..". */
struct names {
	struct buf text;
	char **list;
	size_t count;
};
void names_fini(struct names *names);
int names_read(struct check *check, int dir, const char *path, struct names *ret_names);
bool name_is_temporary(const char *name);
bool name_ends(const char *name, const char *suffix);

/* What a blob's file was found to be. */
struct blob_seen {
	uint8_t digest[32]; /* first: what they are sorted and looked up by */
	uint64_t payload_bytes;
	bool sound, named;
};

struct stream_check {
	struct check *check;
	struct sfs_stream *stream;
	uint64_t unrepaired_before, repaired_before; /* the summary's when the stream began */
	bool knows_blobs;
	char blob_path[SFS_NAME_MAX + 80]; /* how findings name their directory */
	struct buf blobs;		   /* struct blob_seen[] */
	struct buf leftovers;		   /* paths below streams/, each ended by a NUL */
};

static inline bool stream_is_sound(const struct stream_check *s)
{
	return s->check->summary.unrepaired == s->unrepaired_before &&
	       s->check->summary.repaired == s->repaired_before;
}

/* A stream's directory below streams/. */
int check_stream(struct check *check, const char *name);
/* Streams of one id, or with one that is to be given yet. */
void check_stream_ids(struct check *check);

/* Verifies every blob of the stream and keeps in mind what there is. */
int check_blobs(struct stream_check *s);
/* Blobs that no record names; the ordinary sweep takes the old ones if the stream is sound. */
int check_orphans(struct stream_check *s);
/* NULL: there is none. */
struct blob_seen *find_blob(const struct stream_check *s, const uint8_t digest[32]);

int check_shard(struct stream_check *s, struct sfs_shard *shard);

/* A shard while its chunks go by. */
struct shard_check {
	struct stream_check *stream;
	struct sfs_shard *shard;
	struct watermark mark;
	bool has_mark, bad_mark;
	uint64_t findings;	      /* of this shard */
	char path[SFS_NAME_MAX + 96]; /* of the segment, below the store */
	int fd;
	bool last; /* the segment may have a torn end */
	/* What the next chunk goes on from: */
	bool knows_end, knows_sequence, knows_first;
	uint64_t first_sequence; /* of the first segment */
	uint64_t first_json_offset;
	uint64_t end_offset, end_sequence, end_json_offset, last_arrival_ms;
	bool open_record;
	bool knows_record; /* the open record was seen from its beginning: */
	uint64_t record_offset;
	struct json_scan record_scan;
	struct buf stored, meta, text;
};
/* A finding at an offset of the segment. */
void shard_finding(struct shard_check *s, bool repaired, uint64_t offset, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* One chunk of a segment, as the walk of its headers found it. */
int check_chunk(struct shard_check *s, const struct index_item *item, uint64_t text_bytes);

#endif
