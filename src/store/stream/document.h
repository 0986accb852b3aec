/* SPDX-License-Identifier: MIT */
/*
 * The JSON documents of a store, streamfs.json, stream.json and those of consumers: objects with a
 * member "checksum", the XXH3-64 of the compact document without it. So a flipped bit is found and
 * is not taken for a value. A document is replaced as a whole: a crash leaves the old or the new.
 */
#ifndef STREAM_DOCUMENT_H
#define STREAM_DOCUMENT_H

#include "cleanup.h"
#include "disk.h"
#include "streamfs/store.h"

#include <jansson.h>

static inline void cleanup_json(json_t **json)
{
	json_decref(*json);
}

#define _cleanup_json_ _cleanup_(cleanup_json)

/*
 * Adds the checksum to a document (NULL is -ENOMEM) and writes it. Durable when it returns. If it
 * fails, the new document may stand all the same.
 */
int document_save(const struct disk *disk, int dir, const char *path, json_t *document);
/* Reads a document, checks its checksum and takes it out. A new reference. -EBADMSG, with `diag`.
 */
int document_load(const struct disk *disk, int dir, const char *path, struct sfs_diag *diag,
	json_t **ret_document);

#endif
