/* SPDX-License-Identifier: MIT */
/*
 * lost+found/, beside streams/: what recovery once set aside in shards that are gone. It was never
 * acknowledged, or was lost, so it does not keep a stream from going. But only a person may throw
 * it away.
 */
#ifndef STREAM_LOST_FOUND_H
#define STREAM_LOST_FOUND_H

struct sfs_store;

/* A file system may have made it. */
#define LOST_FOUND "lost+found"

/*
 * Moves the .torn files of all shards in a stream's directory, by then ".NAME.ID.tmp" below
 * streams/, to lost+found/ as NAME.ID.SHARD.FILE, durably. A report names each.
 */
int lost_found_save(struct sfs_store *store, const char *directory);

#endif
