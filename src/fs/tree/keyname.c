/* SPDX-License-Identifier: MIT */
#include "keyname.h"

#include <errno.h>
#include <string.h>

#include "streamfs/stream.h"

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* One byte of the key; advances *name past it. Below 0: a broken code. */
static int next_byte(const char **name)
{
	const char *p = *name;
	if (p[0] != '%') {
		*name = p + 1;
		return (unsigned char)p[0];
	}
	int high = hex_digit(p[1]);
	int low = high < 0 ? -1 : hex_digit(p[2]);
	if (low < 0)
		return -1;
	*name = p + 3;
	return high << 4 | low;
}

int keyname_decode(const char *name, char key[SFS_KEY_MAX_BYTES], size_t *ret_bytes)
{
	size_t bytes = 0;
	while (*name) {
		int byte = next_byte(&name);
		if (byte < 0 || bytes == SFS_KEY_MAX_BYTES)
			return -EINVAL;
		key[bytes++] = (char)byte;
	}
	if (!sfs_key_valid(key, bytes))
		return -EINVAL;
	*ret_bytes = bytes;
	return 0;
}

static bool must_encode(const char *key, size_t i)
{
	return key[i] == '/' || key[i] == '%' || (key[i] == '.' && i == 0);
}

void keyname_encode(const char *key, size_t bytes, char name[KEYNAME_MAX + 1])
{
	static const char digits[] = "0123456789ABCDEF";
	char *out = name;
	for (size_t i = 0; i < bytes; i++) {
		if (!must_encode(key, i)) {
			*out++ = key[i];
			continue;
		}
		*out++ = '%';
		*out++ = digits[(unsigned char)key[i] >> 4];
		*out++ = digits[(unsigned char)key[i] & 15];
	}
	*out = '\0';
}
