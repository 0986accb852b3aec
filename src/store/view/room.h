/* SPDX-License-Identifier: MIT */
/*
 * The room of views: a stream's records as a reader asks for them. view.c combines a start, a
 * format and a filter; fan_in.h reads many shards as one sequence, from a source.h for each;
 * json_reader.h reads a shard's JSON lines at any offset; retained_keys.c lists partition keys.
 *
 * Uses: stream and all below it.
 */
