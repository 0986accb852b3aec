/* SPDX-License-Identifier: MIT */
/* A shard's number as the name of its file, "shard-0000". */
#ifndef FS_SHARD_NAME_H
#define FS_SHARD_NAME_H

#include <stdbool.h>
#include <stdint.h>

enum { SHARD_NAME_MAX = 32 }; /* bytes, with the NUL */

void shard_name(uint32_t number, char name[SHARD_NAME_MAX]);
/* Each shard has one name: no signs, no more zeros than needed. False: not such a name. */
bool shard_name_parse(const char *name, uint32_t *ret_number);

#endif
