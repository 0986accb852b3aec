/* SPDX-License-Identifier: MIT */
#include "shard_name.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void shard_name(uint32_t number, char name[SHARD_NAME_MAX])
{
	snprintf(name, SHARD_NAME_MAX, "shard-%04u", number);
}

bool shard_name_parse(const char *name, uint32_t *ret_number)
{
	char canonical[SHARD_NAME_MAX];
	if (strncmp(name, "shard-", 6) != 0)
		return false;
	unsigned long number = strtoul(name + 6, NULL, 10);
	if (number > UINT32_MAX)
		return false;
	shard_name((uint32_t)number, canonical);
	if (strcmp(name, canonical) != 0)
		return false;
	*ret_number = (uint32_t)number;
	return true;
}
