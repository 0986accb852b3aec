/* SPDX-License-Identifier: MIT */
/*
 * The room of chunks: the unit in which text is stored. format.h declares every byte on disk;
 * chunk.h encodes and decodes a chunk, meta.h the keys, times and claim checks of its records,
 * json_record.h a record as a line of JSON and the length of that line.
 *
 * Uses: util, lz4, xxhash. Nothing of the store.
 */
