/* SPDX-License-Identifier: MIT */
/*
 * Sweeping the blobs of a stream that no record names. Every retained claim check of the stream is
 * held against a batch of blobs that are old enough to go (blobs.h), so memory is bounded by the
 * batch, and nothing is read where there is no such blob. Only headers and meta are read, and the
 * text of the one chunk in which a shard's trim horizon lies: what is below the horizon names
 * nothing. Appends go on meanwhile; no lock is held.
 */
#ifndef STREAM_STREAM_SWEEP_H
#define STREAM_STREAM_SWEEP_H

#include <stdint.h>

struct sfs_stream;

/*
 * Removes blobs that no record at or above the horizons names and that were last touched longer
 * than `grace_ms` ago (0: whenever that was). Any damage ends it: what cannot be read might name a
 * blob. -ECANCELED: the store is closing.
 */
int stream_sweep(struct sfs_stream *stream, uint64_t grace_ms);

#endif
