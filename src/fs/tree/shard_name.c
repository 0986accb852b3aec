/* SPDX-License-Identifier: MIT */
#include "shard_name.h"

#include <stdio.h>
#include <string.h>

#include "number.h"

void shard_name(uint32_t number, char name[SHARD_NAME_MAX])
{
	snprintf(name, SHARD_NAME_MAX, "shard-%04u", number);
}

bool shard_name_parse(const char *name, uint32_t *ret_number)
{
	static const char prefix[] = "shard-";
	char canonical[SHARD_NAME_MAX];
	uint64_t number;
	if (strncmp(name, prefix, sizeof(prefix) - 1) != 0 ||
		number_parse(name + sizeof(prefix) - 1, UINT32_MAX, &number) < 0)
		return false;
	shard_name((uint32_t)number, canonical);
	if (strcmp(name, canonical) != 0)
		return false;
	*ret_number = (uint32_t)number;
	return true;
}
