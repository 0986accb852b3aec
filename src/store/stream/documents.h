/* SPDX-License-Identifier: MIT */
/*
 * The JSON documents of a store, streamfs.json and stream.json: compact objects with a member
 * "checksum", the XXH3-64 of the document without it, so that a flipped bit is told from a value.
 */
#ifndef STORE_DOCUMENTS_H
#define STORE_DOCUMENTS_H

#include "store.h"

#include <jansson.h>

#define STORE_DOCUMENT "streamfs.json"
#define STREAM_DOCUMENT "stream.json"

/* Adds the checksum to a document (NULL is -ENOMEM) and writes it, durably. */
int document_save(const struct disk *disk, int dir, const char *path, json_t *document);
/* Reads one and checks its checksum, which it takes out. A new reference. -EBADMSG, with `diag`. */
int document_load(const struct disk *disk, int dir, const char *path, struct sfs_diag *diag,
	json_t **ret_document);

/* Writes streamfs.json from the store's fields; the caller holds config_lock. Durable. */
int store_document_save(struct sfs_store *store);
/* Reads it into the fields. -ENOENT, -EBADMSG, -EPROTONOSUPPORT, with `diag`. */
int store_document_load(struct sfs_store *store, struct sfs_diag *diag);

/* Writes stream.json into directory `directory` below streams/; the caller holds home.lock. */
int stream_document_save(struct sfs_stream *stream, const char *directory);
/* Reads the one of stream->home.name into a new stream's fields, shards included. */
int stream_document_load(struct sfs_stream *stream, struct sfs_diag *diag);

#endif
