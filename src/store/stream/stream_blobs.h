/* SPDX-License-Identifier: MIT */
/*
 * Where the blobs of a stream are: inside its directory, or below the directory given with the
 * store, under the store's uuid and the stream's id. The directory is made when the first payload
 * needs it.
 */
#ifndef STREAM_STREAM_BLOBS_H
#define STREAM_STREAM_BLOBS_H

#include <stdbool.h>

struct sfs_stream;

/*
 * Opens stream->blobs. With `make`, the directory is made if it is missing, and its entry is
 * durable. Without, a missing one is no error: the blobs are empty. The caller holds home.lock.
 */
int stream_blobs_open(struct sfs_stream *stream, bool make);
/* Removes all of them, for a stream that is removed. The caller holds home.lock. */
int stream_blobs_remove(struct sfs_stream *stream);

#endif
