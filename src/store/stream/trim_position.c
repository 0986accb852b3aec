/* SPDX-License-Identifier: MIT */
#include "trim_position.h"

#include "diag.h"
#include "number.h"
#include "shard_name.h"
#include "when.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { TRIM_TEXT_MAX = 64 };

/* "shard-0000:4711" */
static int parse_offset(const char *text, struct trim_position *ret_position)
{
	const char *colon = strchr(text, ':');
	char name[SFS_SHARD_NAME_MAX];
	struct trim_position position = {.kind = TRIM_OFFSET};
	if (!colon || colon - text >= SFS_SHARD_NAME_MAX)
		return -EINVAL;
	snprintf(name, sizeof name, "%.*s", (int)(colon - text), text);
	if (sfs_shard_parse_name(name, &position.shard) < 0 ||
		number_parse(colon + 1, UINT64_MAX, &position.value) < 0)
		return -EINVAL;
	*ret_position = position;
	return 0;
}

static int parse(const char *text, uint64_t now_ms, struct trim_position *ret_position)
{
	struct trim_position position = {.kind = TRIM_ALL};
	if (strcmp(text, "all") == 0)
		position.kind = TRIM_ALL;
	else if (number_parse(text, UINT64_MAX, &position.value) == 0)
		position.kind = TRIM_SEQUENCE;
	else if (parse_offset(text, &position) == 0)
		position.kind = TRIM_OFFSET;
	else if (when_parse(text, strlen(text), now_ms, &position.value) == 0)
		position.kind = TRIM_TIME;
	else
		return -EINVAL;
	*ret_position = position;
	return 0;
}

int trim_position_parse(const char *text, size_t bytes, uint64_t now_ms, struct sfs_diag *diag,
	struct trim_position *ret_position)
{
	char copy[TRIM_TEXT_MAX];
	while (bytes && isspace((unsigned char)text[bytes - 1]))
		bytes--;
	while (bytes && isspace((unsigned char)*text)) {
		text++;
		bytes--;
	}
	bool fits = bytes < sizeof copy && !memchr(text, 0, bytes);
	if (fits) {
		memcpy(copy, text, bytes);
		copy[bytes] = 0;
	}
	if (fits && parse(copy, now_ms, ret_position) == 0)
		return 0;
	diag_set(diag, "wants all, a sequence number, a time, an age, or shard-NNNN:OFFSET");
	return -EINVAL;
}
