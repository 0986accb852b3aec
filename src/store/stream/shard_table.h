/* SPDX-License-Identifier: MIT */
/*
 * The table of a stream's shards, as it stands in stream.json. What always holds for a thread that
 * has the stream's home.lock, shared at least:
 *
 *   1. Numbers rise along `shards` and are below next_number. A number is given once; only in a
 *      stream that never held a record does numbering start over.
 *   2. The hash ranges of the open shards cover every key once. `routes` has them.
 *   3. A shard's parents have lower numbers. They are closed before its first record comes, so all
 *      their records are older than its own.
 *   4. The table stands durably in stream.json. Both are replaced in one step as seen by others:
 *      with home.lock held exclusively, or, if the disk refuses, neither is.
 *   5. A shard that left the table is empty and marked as removed. Its object, on the stream's
 *      `retired` list, lives as long as the stream, because writers and views still point to it.
 *
 * A crash leaves the table as it was before a change or as it is after. It can also leave
 * directories that no table names: of shards that were to come (empty; the next shard of that
 * number uses them) or that have left (trimmed; nothing reads them).
 */
#ifndef STREAM_SHARD_TABLE_H
#define STREAM_SHARD_TABLE_H

#include "routes.h"
#include "vector.h"

struct sfs_stream;

VECTOR(shard_list, struct sfs_shard *);

struct shard_table {
	struct sfs_shard **shards; /* by rising number, closed ones too */
	size_t count;
	uint32_t next_number;
	struct routes routes;
};

/* Makes the first `count` shards of a new stream, evenly over the hash space. -ENOMEM: whatever
 * was made stays in the table. */
int shard_table_make(struct sfs_stream *stream, uint32_t count);
/* Frees the shards, too. */
void shard_table_fini(struct shard_table *table);

/* Builds the routes anew from the shards. -ENOMEM: they stay as they were. */
int shard_table_route(struct shard_table *table);
/* Divides the hash space evenly among the shards, which are all open, by rising number. */
void shard_table_divide(struct shard_table *table);
/* NULL: the table has no such number. */
struct sfs_shard *shard_table_find(const struct shard_table *table, uint32_t number);

/*
 * Copies the pointers, for work that goes on without the lock: the shards live as long as the
 * stream. Takes home.lock. The caller frees the list with vector_fini(). -ENOENT: removed.
 */
int shard_table_copy(struct sfs_stream *stream, struct shard_list *ret_list);

#endif
