/* SPDX-License-Identifier: MIT */
/*
 * The directory streams/: the name of each entry is that of its stream. A stream that is being made
 * or removed has a name that no stream can have, ".NAME.ID.tmp". So a crash leaves a stream whole
 * or none, and opening the store removes what is left under such a name.
 *
 * The caller holds the store's config_lock where a name changes.
 */
#ifndef STREAM_STREAMS_DIR_H
#define STREAM_STREAMS_DIR_H

#include "shard.h"

struct sfs_store;

/*
 * Makes all names durable. Until it succeeds store->streams_unsynced is set: names may be of a
 * process that was killed before it synced them, or of a sync that failed, and nothing may be
 * acknowledged to a stream whose name is not durable.
 */
int streams_dir_sync(struct sfs_store *store);
/* True also when it cannot be found out. */
bool streams_dir_has(struct sfs_store *store, const char *name);
/*
 * Renames durably; never replaces a name. A rename that cannot be made durable is taken back; a
 * disk that goes on failing may keep the new name.
 */
int streams_dir_rename(struct sfs_store *store, const char *from, const char *to);
/* The name of a stream's directory before it is made and after it is removed. */
void streams_dir_temporary_name(const struct sfs_stream *stream, char name[SHARD_PATH_MAX]);
/*
 * Removes a directory of such a name, after lost_found_save(). If that fails nothing is removed.
 */
int streams_dir_remove(struct sfs_store *store, const char *temporary_name);
/* Removes all that have such a name: left when the last process died. */
int streams_dir_remove_unfinished(struct sfs_store *store);

#endif
