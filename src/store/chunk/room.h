/* SPDX-License-Identifier: MIT */
/*
 * The room of chunks: the unit in which text is stored. format.h declares every byte on disk;
 * chunk.h encodes and decodes a chunk, meta.h the keys and times of its records and which of them
 * are claim checks, claim_check.h the line of a claim check, digest.h the name of a blob,
 * json_record.h a record as a line of JSON and the length of that line.
 *
 * Uses: util, lz4, xxhash. Nothing of the store.
 */
