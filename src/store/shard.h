/* SPDX-License-Identifier: MIT */
/* What the rest of the store does with a shard. shard.c, recover.c, append.c, shard_read.c. */
#ifndef STORE_SHARD_H
#define STORE_SHARD_H

#include "internal.h"

/* A shard of a stream, not opened yet. NULL: no memory. */
struct sfs_shard *shard_new(struct sfs_stream *stream, uint32_t number);
void shard_free(struct sfs_shard *shard); /* NULL is fine */

/*
 * Path of a file of the shard below the streams' directory; the caller holds stream.lock or
 * stream.path_lock, shared at least, for as long as it uses the path.
 */
enum { SHARD_PATH_MAX = SFS_NAME_MAX + 80 };
void shard_path(const struct sfs_shard *shard, char path[SHARD_PATH_MAX], const char *file);
void shard_segment_path(const struct sfs_shard *shard, char path[SHARD_PATH_MAX],
	uint64_t base_offset, const char *suffix);

/*
 * Recovers the shard if this was not done yet: reads its directory and the headers of its last
 * segment, cuts a torn tail (kept aside), notes damage. Blocks. Takes stream.lock shared and
 * append_lock, except the _held form, whose caller has both.
 */
int shard_open(struct sfs_shard *shard);
int shard_open_held(struct sfs_shard *shard);
/* recover.c: the work of shard_open(). */
int shard_recover(struct sfs_shard *shard);
/* Drops the chunks of a last record that has no end from the scan. */
void scan_drop_open_record(struct scan *scan);
/* Sets what is behind the scan's last chunk aside in a file of its own and cuts it off. */
int shard_cut_tail(struct sfs_shard *shard, int fd, uint64_t base, struct scan *scan);

/*
 * Appending: begin, one or more chunks, then commit (they become visible together) or abort (none
 * does). The caller holds stream.lock shared; append_lock is held from begin to commit or abort.
 * -EROFS closed, failed, read-only; -ENOENT the stream was removed. A begin that fails holds no
 * lock. Every chunk that fails must be followed by abort.
 */
int shard_append_begin(struct sfs_shard *shard);
int shard_append_chunk(struct sfs_shard *shard, struct encoder *encoder);
void shard_append_commit(struct sfs_shard *shard);
void shard_append_abort(struct sfs_shard *shard);

/*
 * append.c: the active segment, if it has records, becomes one of the sealed ones: for a shard that
 * takes no more. Takes append_lock; the caller holds stream.lock. Without memory it stays as it is.
 */
void shard_seal(struct sfs_shard *shard);

/* append.c: takes no more records until the store is opened anew. The caller holds shard.lock. */
void shard_fail_locked(struct sfs_shard *shard, const char *what, int error);

/* append.c: counts a sealed segment that the next sync takes along; there must be room for it. */
int shard_add_unsynced_locked(struct sfs_shard *shard, struct segment *segment);

/*
 * write_back.c: writes the chunks of a segment that end above `from_offset` once more, in place,
 * each checked before. For text that a process before this one wrote and did not sync: where its
 * sync failed, the kernel holds it in clean pages, and the next sync would succeed without a write.
 */
int segment_write_back(const struct disk *disk, int fd, uint64_t owner, const struct index *index,
	uint64_t from_offset);

/*
 * shard_read.c: opens a sealed segment, through the store's cache or past it. -EBADMSG: it is gone
 * or is no segment. Takes stream.path_lock, but not to read a segment that has no index.
 */
int shard_sealed_segment(
	struct sfs_shard *shard, uint64_t base_offset, struct segment **ret_segment);
int shard_uncached_segment(
	struct sfs_shard *shard, uint64_t base_offset, struct segment **ret_segment);

/* Neighbouring chunks of one segment, as its index has them. */
enum { SPAN_ITEMS = 64 };
struct span {
	struct segment *segment; /* counted; the span's holder gives it back, whatever came of it */
	uint64_t limit;	 /* text offset at which the next segment begins, or the shard's size */
	size_t count;
	struct index_item items[SPAN_ITEMS];
	uint64_t ends[SPAN_ITEMS]; /* text offset behind each */
	uint64_t json_end; /* JSON offset behind the first */
};
/*
 * shard_read.c: the published chunks that hold [offset, end), at most a span of them. -ENODATA at
 * or behind the end, -ESTALE below the horizon, -EBADMSG where no segment has the text: then up to
 * span->limit none has.
 */
int shard_span(struct sfs_shard *shard, uint64_t offset, uint64_t end, struct span *span);
/* Counts, and the first time reports, that chunk i of a span is damaged. -EBADMSG. */
int shard_note_damage(struct sfs_shard *shard, const struct span *span, size_t i);

/* Where a chunk is. */
struct chunk_place {
	struct segment *segment; /* counted */
	struct index_item item;
	uint64_t end; /* text offset behind it */
};
/* The chunk that has a text offset. -ENODATA behind the end, -ESTALE below the horizon, -EBADMSG. */
int shard_chunk_at(struct sfs_shard *shard, uint64_t offset, struct chunk_place *ret_place);

/* A decoded chunk, counted. */
struct chunk_text {
	atomic_uint refs;
	size_t bytes;
	uint8_t data[];
};
void chunk_text_ref(void *text);
void chunk_text_unref(void *text);

/* Bytes of the JSON lines of all records ever appended. Opens the shard. */
uint64_t shard_json_size(struct sfs_shard *shard);

/* True if no record was ever appended. Opens the shard. */
int shard_is_empty(struct sfs_shard *shard, bool *ret_empty);

#endif
