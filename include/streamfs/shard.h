/* SPDX-License-Identifier: MIT */
/*
 * A shard: an append-only sequence of records, seen as bytes. A record is its payload and a
 * newline. Offsets count the bytes ever written, from 0, and are for ever. Sequence numbers count
 * the records from 0, without gaps. What is published (its append returned) never changes.
 */
#ifndef STREAMFS_SHARD_H
#define STREAMFS_SHARD_H

#include "streamfs/stream.h"

enum sfs_shard_state {
	SFS_SHARD_OPEN,
	SFS_SHARD_CLOSED, /* resharded: readable, takes no records */
	SFS_SHARD_FAILED, /* a disk write or sync failed: readable until the store is opened anew */
};

struct sfs_shard_info {
	uint32_t number;
	enum sfs_shard_state state;
	uint64_t size_bytes;	    /* published text, exact, never shrinks */
	uint64_t horizon_offset;    /* the first retained byte */
	uint64_t first_sequence;    /* of the first retained record */
	uint64_t next_sequence;	    /* that the next record will get */
	uint64_t synced_offset;	    /* text before it is durable */
	uint64_t last_arrival_ms;   /* of the last record; without one, when the shard was made */
	uint64_t stored_bytes;	    /* what its segments take on disk */
	uint64_t quarantined_bytes; /* text that is known to be damaged: reads get -EBADMSG */
	char hash_first[33];	    /* hash range, inclusive, as 32 hex digits */
	char hash_last[33];
	uint32_t parent_count; /* sfs_shard_parents() has their numbers */
};

/*
 * The name of a shard is its number with four digits at least: "shard-0007", "shard-12345". Only
 * that form is parsed; -EINVAL for any other text.
 */
enum { SFS_SHARD_NAME_MAX = 20 }; /* bytes, with the NUL */
SFS_API void sfs_shard_name(uint32_t number, char name[SFS_SHARD_NAME_MAX]);
SFS_API int sfs_shard_parse_name(const char *name, uint32_t *ret_number);

/* The part of it that changes with every append and trim. */
struct sfs_shard_extent {
	uint64_t size_bytes;
	uint64_t horizon_offset;
	uint64_t last_arrival_ms;
	uint64_t stored_bytes;
	uint64_t quarantined_bytes;
};

SFS_API struct sfs_shard *sfs_shard_ref(struct sfs_shard *shard);
SFS_API void sfs_shard_unref(struct sfs_shard *shard); /* NULL is fine */

/* Of a shard that cannot be recovered, size and offsets are 0. */
SFS_API void sfs_shard_info(struct sfs_shard *shard, struct sfs_shard_info *ret_info);
/*
 * Numbers, rising, of the shards that this one follows on. They are closed, and all their records
 * came before its first. Some may be gone. The array is the caller's to free().
 */
SFS_API int sfs_shard_parents(
	const struct sfs_shard *shard, uint32_t **ret_numbers, size_t *ret_count);
/* As sfs_shard_info(), but cheap. All figures are of one moment. */
SFS_API void sfs_shard_extent(struct sfs_shard *shard, struct sfs_shard_extent *ret_extent);
/* Bytes of published text. The cheapest. */
SFS_API uint64_t sfs_shard_size(struct sfs_shard *shard);

/*
 * Reads published text: exactly min(bytes, size - offset) bytes, none at or past the end. -EBADMSG
 * where the first chunk touched is damaged; a good part before a damaged one is returned short.
 * -ESTALE below the trim horizon; -ENOENT the stream was removed.
 */
SFS_API int sfs_shard_read(
	struct sfs_shard *shard, uint64_t offset, void *buffer, size_t bytes, size_t *ret_bytes);

/*
 * The same for a cache that is filled in pages of SFS_PAGE_BYTES, for a reader that began before a
 * trim: of the page in which the horizon lies, the text before the horizon is still served.
 */
enum { SFS_PAGE_BYTES = 4096 };
SFS_API int sfs_shard_read_page(
	struct sfs_shard *shard, uint64_t offset, void *buffer, size_t bytes, size_t *ret_bytes);

/*
 * Waits until the shard has text past `offset`, `timeout_ms` at most (-1: no limit). Returns 0,
 * -ETIMEDOUT, or -EPIPE if the shard is closed or removed and will have none. To follow a shard:
 * read, wait, read.
 */
SFS_API int sfs_shard_wait(struct sfs_shard *shard, uint64_t offset, int timeout_ms);

/* Makes everything published before the call durable. Blocks. -EIO once a sync has failed. */
SFS_API int sfs_shard_sync(struct sfs_shard *shard);

#endif
