/* SPDX-License-Identifier: MIT */
#ifndef STREAM_SETTINGS_DUMP_H
#define STREAM_SETTINGS_DUMP_H

#include <stddef.h>

struct settings;

/* Settings as a JSON object for people, ending in a newline. The caller frees the text. -ENOMEM. */
int settings_dump(const struct settings *settings, char **ret_json, size_t *ret_bytes);

#endif
