/* SPDX-License-Identifier: MIT */
/*
 * The room of shards: one append-only sequence of records. shard.h has the struct and its states;
 * append.h, recover.h, shard_read.h and syncer.h write, recover, read and sync one; span.h and
 * chunk_search.h find its chunks, with sealed_segment.h; cursor.h and render.h go through its
 * records; since.h, locate.h and horizon.h find places in it; merge.h and trimmed_segments.h tidy
 * its files; active_files.h bounds its open files. Recovery uses segment_list.h, last_segment.h,
 * torn_tail.h and unsynced_text.h.
 *
 * A shard knows what it shares with others (shard_env.h, home.h), not the stream or the store that
 * own it. Uses: segment, chunk, rules.
 */
