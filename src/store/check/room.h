/* SPDX-License-Identifier: MIT */
/*
 * The room of checking, for fsck.streamfs: walks a store that nothing has open and compares each
 * file with what docs/format.md allows. check.c walks the store, check_stream.h a stream,
 * check_shard.h and check_segment.h a shard, check_chunk.h a chunk, check_blob.h the payloads.
 * checker.h is the run that they report to, shard_walk.h a shard while its chunks go by.
 *
 * Uses: stream and all below it.
 */
