/* SPDX-License-Identifier: MIT */
#include "shard_name.h"

#include "number.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void sfs_shard_name(uint32_t number, char name[SFS_SHARD_NAME_MAX])
{
	snprintf(name, SFS_SHARD_NAME_MAX, SHARD_NAME_FORMAT, number);
}

int sfs_shard_parse_name(const char *name, uint32_t *ret_number)
{
	static const size_t prefix_bytes = sizeof SHARD_NAME_PREFIX - 1;
	char expected[SFS_SHARD_NAME_MAX];
	uint64_t number;
	if (strncmp(name, SHARD_NAME_PREFIX, prefix_bytes) != 0 ||
		number_parse(name + prefix_bytes, UINT32_MAX, &number) < 0)
		return -EINVAL;
	sfs_shard_name((uint32_t)number, expected);
	if (strcmp(name, expected) != 0)
		return -EINVAL;
	*ret_number = (uint32_t)number;
	return 0;
}
