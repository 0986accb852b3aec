/* SPDX-License-Identifier: MIT */
/*
 * The directory of a store: recognised, made and locked. Making a store ends with its document, so
 * a crash leaves a directory that can still become one.
 */
#ifndef STREAM_STORE_DIRECTORY_H
#define STREAM_STORE_DIRECTORY_H

#include "store.h"

/*
 * Opens the directory of the store, that of its streams and that of its blobs, takes the lock and
 * reads streamfs.json. Makes a store where there may be one. Its errors are those of
 * sfs_store_open(). The caller frees the store if it fails.
 */
int store_directory_open(
	struct sfs_store *store, const struct sfs_store_options *options, struct sfs_diag *diag);
/*
 * Takes the lock in store->dir, shared if read_only (then a missing file counts as locked). Does
 * not wait. -EBUSY: another process has it.
 */
int store_directory_lock(struct sfs_store *store, struct sfs_diag *diag);

#endif
