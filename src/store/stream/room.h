/* SPDX-License-Identifier: MIT */
/*
 * The room of streams and of the store that holds them: the table of shards and how it changes
 * (stream.h, reshard.c, trim.h), the documents on disk, consumers, blobs, statistics, the waiters
 * of live views, and the work in the background (tidier.h).
 *
 * store.h has the order of all locks. Uses: shard, blob, segment, chunk, rules.
 */
