/* SPDX-License-Identifier: MIT */
/*
 * The room of checking, for fsck.streamfs: walks a store that nobody has open and compares every
 * file with what docs/format.md allows. check.c goes through the store, check_stream.c through a
 * stream, and so on down to check_chunk.c and check_blob.c.
 *
 * Uses: stream and all below it.
 */
