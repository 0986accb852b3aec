/* SPDX-License-Identifier: MIT */
/* stream.json: a stream's id, owner, settings and table of shards. */
#ifndef STREAM_STREAM_DOCUMENT_H
#define STREAM_STREAM_DOCUMENT_H

#include "stream.h"

#define STREAM_DOCUMENT "stream.json"

/* Writes it into the directory `directory` below streams/; the caller holds home.lock. Durable. */
int stream_document_save(struct sfs_stream *stream, const char *directory);
/* Reads it for a new stream, by its name, and makes its shards. -ENOENT; -EBADMSG, with `diag`. */
int stream_document_load(struct sfs_stream *stream, struct sfs_diag *diag);

#endif
