/* SPDX-License-Identifier: MIT */
/*
 * The room of shards: one append-only sequence of records. shard.h has the struct and its states;
 * append.c, recover.h, shard_read.c and syncer.h write, recover, read and sync one; cursor.h and
 * render.h go through its records; since.h, position.h and horizon.h find places in it; merge.h
 * and trimmed_segments.h tidy its files. Recovery uses segment_list.h, last_segment.h, torn_tail.h
 * and unsynced_text.h.
 *
 * A shard knows what it shares with others (shard_env.h, home.h), not the stream or the store that
 * own it. Uses: segment, chunk, rules.
 */
