/* SPDX-License-Identifier: MIT */
/* Closed shards leave the table of shards when a trim has taken their last record. */
#ifndef STREAM_EMPTIED_SHARDS_H
#define STREAM_EMPTIED_SHARDS_H

struct sfs_stream;

/*
 * Takes them out of the table, durably, then removes their directories. What recovery kept aside in
 * them moves to lost+found/. The caller holds change_lock. 0 also if there is none.
 */
int emptied_shards_drop(struct sfs_stream *stream);

#endif
