/* SPDX-License-Identifier: MIT */
#include "settings_dump.h"

#include "settings.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

int settings_dump(const struct settings *settings, char **ret_json, size_t *ret_bytes)
{
	json_t *json = settings_to_json(settings);
	char *text = json ? json_dumps(json, JSON_INDENT(2)) : NULL;
	json_decref(json);
	if (!text)
		return -ENOMEM;
	size_t bytes = strlen(text);
	text[bytes] = '\n';
	*ret_json = text;
	*ret_bytes = bytes + 1;
	return 0;
}
