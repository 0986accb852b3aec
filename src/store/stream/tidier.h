/* SPDX-License-Identifier: MIT */
/*
 * The background work that only saves space or time, in one thread: writing the index of a sealed
 * segment, merging its small chunks into large ones, sweeping orphaned blobs, retention. A job that
 * fails leaves things as they were; it is tried again when the store is opened next.
 */
#ifndef STORE_TIDIER_H
#define STORE_TIDIER_H

#include "store.h"

int tidier_new(struct sfs_store *store, struct tidier **ret_tidier);
/*
 * Drops the jobs, stops the thread; the job under way ends early, at its next chunk, segment or
 * blob. NULL is fine.
 */
void tidier_free(struct tidier *tidier);

/* A segment was sealed. Keeps a reference to the shard's stream until it is done. */
void tidier_sealed(struct sfs_shard *shard, uint64_t base_offset);
/*
 * Sweeps a stream's orphans that are older than the grace period: when it is first used, and every
 * hour of every stream in use.
 */
void tidier_sweep(struct sfs_stream *stream);
/*
 * A trim moved a horizon of the stream, durably: sweeps blobs that only trimmed records named,
 * whatever their age. At once, or after a pause if the last such sweep took long. What fails is
 * left to tidier_sweep().
 */
void tidier_sweep_trimmed(struct sfs_stream *stream);
/* Trims a stream as its settings say: when they change, and every quarter of a minute. */
void tidier_retain(struct sfs_stream *stream);
/* Waits until the queue is empty. For tests and for closing. */
void tidier_drain(struct tidier *tidier);

#endif
