/* SPDX-License-Identifier: MIT */
/*
 * The room of segments: files of chunks. index.h finds a chunk in one, segment.h opens and walks
 * one and checks what it finds, watermark.h keeps how far a shard was synced and trimmed,
 * write_back.h writes again what may never have reached the disk.
 *
 * Uses: chunk.
 */
