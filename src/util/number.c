/* SPDX-License-Identifier: MIT */
#include "number.h"

#include <errno.h>
#include <stddef.h>

int number_take(const char **text, const char *end, uint64_t max, uint64_t *ret_number)
{
	const char *at = *text;
	uint64_t number = 0;
	for (; at != end && *at >= '0' && *at <= '9'; at++) {
		uint64_t digit = (uint64_t)(*at - '0');
		if (digit > max || number > (max - digit) / 10)
			return -EINVAL;
		number = number * 10 + digit;
	}
	if (at == *text)
		return -EINVAL;
	*text = at;
	*ret_number = number;
	return 0;
}

int number_parse(const char *text, uint64_t max, uint64_t *ret_number)
{
	uint64_t number;
	int r = number_take(&text, NULL, max, &number);
	if (r < 0)
		return r;
	if (*text)
		return -EINVAL;
	*ret_number = number;
	return 0;
}
