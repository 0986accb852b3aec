/* SPDX-License-Identifier: MIT */
/*
 * A stream: a named set of shards with one configuration. A stream's id is given once, lasts as
 * long as the stream (over renames too) and is never given again.
 */
#ifndef STREAMFS_STREAM_H
#define STREAMFS_STREAM_H

#include "streamfs/store.h"

struct sfs_shard;

/* True for [A-Za-z0-9_.-]{1,128} without a leading dot. */
SFS_API bool sfs_stream_name_valid(const char *name);

/* True for 1 to SFS_KEY_MAX characters of UTF-8 without NUL or newline. */
SFS_API bool sfs_key_valid(const char *key, size_t bytes);

/*
 * Makes a stream with the store's default settings, empty shards and this owner. Durable when it
 * returns. -EINVAL a bad name, -EEXIST, -EROFS.
 *
 * This, and every other change here: where the disk fails it, it is taken back. If the disk goes on
 * failing, that may fail too: a stream may then be made, renamed or removed although the call says
 * -EIO (memory and disk agree), and a refused setting or owner may be in force when the store is
 * opened next.
 */
SFS_API int sfs_stream_create(struct sfs_store *store, const char *name,
	const struct sfs_owner *owner, struct sfs_stream **ret_stream);

/*
 * Finds a stream and counts a reference; give it back with sfs_stream_unref(). -ENOENT none of
 * that name; -EBADMSG its stream.json is damaged (the others are not affected). The first lookup
 * of a stream reads its settings; shards are recovered when they are first used.
 */
SFS_API int sfs_stream_lookup(
	struct sfs_store *store, const char *name, struct sfs_stream **ret_stream);
SFS_API struct sfs_stream *sfs_stream_ref(struct sfs_stream *stream);
SFS_API void sfs_stream_unref(struct sfs_stream *stream); /* NULL is fine */

/*
 * Removes a stream that holds no records. Durable when it returns. -ENOTEMPTY otherwise. References
 * stay valid: what is still done through them gets -ENOENT. What recovery set aside in its shards
 * moves to lost+found/ of the store; a report names it.
 */
SFS_API int sfs_stream_remove(struct sfs_store *store, const char *name);

/* Renames; -EEXIST if `to` exists, -EINVAL a bad name. Durable when it returns. */
SFS_API int sfs_stream_rename(struct sfs_store *store, const char *from, const char *to);

SFS_API uint64_t sfs_stream_id(const struct sfs_stream *stream);
/* Copies the present name (renames change it) into a buffer of SFS_NAME_MAX + 1 bytes. */
SFS_API void sfs_stream_name(struct sfs_stream *stream, char name[SFS_NAME_MAX + 1]);

SFS_API void sfs_stream_owner(struct sfs_stream *stream, struct sfs_owner *ret_owner);
SFS_API int sfs_stream_set_owner(struct sfs_stream *stream, const struct sfs_owner *owner);
/* When the stream was made, and when its settings, owner or name last changed. Unix time, ms. */
SFS_API void sfs_stream_times(
	struct sfs_stream *stream, uint64_t *ret_created_ms, uint64_t *ret_changed_ms);

/* The settings as a JSON object that ends in a newline; the caller's to free(). */
SFS_API int sfs_stream_config(struct sfs_stream *stream, char **ret_json, size_t *ret_bytes);
/*
 * Merges a JSON object into the settings (RFC 7386): takes effect at once, durable when it
 * returns. -EINVAL: not one object, or an unknown, ill-typed or out-of-range setting, or more
 * shards than there can be; nothing is changed and `diag` says which.
 *
 * Another number of `shards` divides the hash space evenly: shards whose range no new one has close
 * (they stay readable) and new ones carry the next numbers, and the closed ones whose range they
 * overlap as parents. Appends wait for it and never fail for it, but those to a shard by its name,
 * if it closes: -EROFS. As long as a stream never held a record, numbering starts over instead.
 */
SFS_API int sfs_stream_patch_config(
	struct sfs_stream *stream, const char *json, size_t bytes, struct sfs_diag *diag);

/*
 * Trims: what is before a position goes, for ever, and cannot be read any more when this returns.
 * The horizon is durable before any file is removed. `position`, white space around it ignored:
 *   "all"                       every record that was published before the call
 *   a decimal number            in every shard, the records of lower sequence numbers
 *   a time or an age            as a view's WHEN: RFC 3339, or 90s 15m 2h 7d: what arrived before
 * it "shard-0000:OFFSET"         in one shard, the text before a byte offset at which a record
 * begins -EINVAL: none of these, or a sequence number or an offset past the end; `diag` says which.
 * A position before the horizon changes nothing.
 */
SFS_API int sfs_stream_trim(
	struct sfs_stream *stream, const char *position, size_t bytes, struct sfs_diag *diag);
/* The horizons, a line "shard-0000:OFFSET" for each shard; the caller's to free(). */
SFS_API int sfs_stream_horizons(struct sfs_stream *stream, char **ret_text, size_t *ret_bytes);

/* Figures of the stream and each shard as JSON that ends in a newline; the caller's to free(). */
SFS_API int sfs_stream_stats(struct sfs_stream *stream, char **ret_json, size_t *ret_bytes);

/* Numbers of the shards in ascending order, closed ones too; the caller's to free(). */
SFS_API int sfs_stream_shards(struct sfs_stream *stream, uint32_t **ret_numbers, size_t *ret_count);
/* Takes a reference to a shard by its number. -ENOENT none such; -EIO/-EBADMSG recovery failed. */
SFS_API int sfs_stream_shard(
	struct sfs_stream *stream, uint32_t number, struct sfs_shard **ret_shard);
/* Cheaper than taking the shard: whether it exists. */
SFS_API bool sfs_stream_has_shard(struct sfs_stream *stream, uint32_t number);

#endif
