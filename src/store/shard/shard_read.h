/* SPDX-License-Identifier: MIT */
/*
 * Reading a shard's text. shard_read.c has sfs_shard_read() and sfs_shard_read_page() of
 * streamfs/shard.h; this is what the store's cache of decoded chunks has to know.
 */
#ifndef SHARD_SHARD_READ_H
#define SHARD_SHARD_READ_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* A decoded chunk, counted. It does not change. */
struct chunk_text {
	atomic_uint refs;
	size_t bytes;
	uint8_t data[];
};
void chunk_text_ref(void *text);
void chunk_text_unref(void *text); /* NULL is fine */

#endif
