/* SPDX-License-Identifier: MIT */
/* The name of a shard: that of its directory, and of its file for users. See streamfs/shard.h. */
#ifndef SHARD_SHARD_NAME_H
#define SHARD_SHARD_NAME_H

#include "streamfs/shard.h"

/* For printf; takes a uint32_t. */
#define SHARD_NAME_PREFIX "shard-"
#define SHARD_NAME_FORMAT SHARD_NAME_PREFIX "%04u"

#endif
