/* SPDX-License-Identifier: MIT */
/* What the rest of the store does with the store as a whole. */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "internal.h"

/* A store without descriptors or services; the path is not touched. NULL: no memory. */
struct sfs_store *store_new(const char *path, const struct sfs_store_options *options);
/* Frees what there is of it. */
void store_free(struct sfs_store *store);
/*
 * Takes the lock in store->dir, shared if read_only (then a missing file is as good as held).
 * -EBUSY: another process has it.
 */
int store_lock(struct sfs_store *store, struct sfs_diag *diag);

/* The next stream id, never given before. The caller holds config_lock. */
int store_next_id(struct sfs_store *store, uint64_t *ret_id);
/* remove.c: removes a directory and what is in it; never leaves it by a link. */
int store_remove_tree(struct sfs_store *store, int dir, const char *name);
/*
 * The same for a stream's directory below streams/, by then ".NAME.ID.tmp": moves the .torn files
 * of its shards to lost+found/ before, as NAME.ID.SHARD.FILE. If that fails nothing is removed.
 */
int store_remove_stream(struct sfs_store *store, const char *name);

/* Beside streams/; a file system may have made it. */
#define LOST_FOUND "lost+found"

#endif
