/* SPDX-License-Identifier: MIT */
/*
 * The checkpoints of consumers: reading and setting them. Those that are set at one time are
 * written together.
 */
#ifndef STREAM_CHECKPOINTS_H
#define STREAM_CHECKPOINTS_H

#include "consumers.h"

/* A checkpoint as it was last written; offset 0 where none was. -ENOENT, -EBADMSG. */
int checkpoint_read(struct sfs_stream *stream, const char *consumer, uint32_t shard,
	struct checkpoint *ret_checkpoint);

#endif
