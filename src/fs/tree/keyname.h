/* SPDX-License-Identifier: MIT */
/*
 * Partition keys as file names: a key's bytes, with %XX for what a name cannot hold (`/`, a
 * leading dot) and for the percent sign. Any byte may be written so; what keys/ lists encodes
 * no more than it must.
 */
#ifndef FS_KEYNAME_H
#define FS_KEYNAME_H

#include <stdbool.h>
#include <stddef.h>

#include "streamfs/store.h"

enum { KEYNAME_MAX = 3 * SFS_KEY_MAX_BYTES }; /* bytes of an encoded name, without its NUL */

/* -EINVAL: a broken %XX, or not 1 to SFS_KEY_MAX characters of UTF-8. */
int keyname_decode(const char *name, char key[SFS_KEY_MAX_BYTES], size_t *ret_bytes);
/* The shortest name of a key of at most SFS_KEY_MAX_BYTES bytes. */
void keyname_encode(const char *key, size_t bytes, char name[KEYNAME_MAX + 1]);

#endif
