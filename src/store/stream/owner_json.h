/* SPDX-License-Identifier: MIT */
/* The member "owner" of streamfs.json and stream.json. */
#ifndef STREAM_OWNER_JSON_H
#define STREAM_OWNER_JSON_H

#include "streamfs/store.h"

#include <jansson.h>

/* NULL: no memory. */
json_t *owner_to_json(const struct sfs_owner *owner);
/* -EBADMSG */
int owner_from_json(json_t *json, struct sfs_owner *ret_owner);

#endif
