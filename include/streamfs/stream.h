/* SPDX-License-Identifier: MIT */
/*
 * A stream: a named set of shards with one configuration. A stream's id is given once, lasts as
 * long as the stream, over renames too, and is never given again.
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
 * Makes a stream with the store's default settings, empty shards and this owner. The caller gets a
 * reference. Durable when it returns. -EINVAL a bad name, -EEXIST, -EROFS.
 *
 * This function, and every other change here, is taken back if the disk fails it. A disk that goes
 * on failing can keep it from that. Then a stream may be made, renamed or removed although the call
 * returned -EIO (memory and disk agree), and a refused setting or owner may be in force when the
 * store is opened next.
 */
SFS_API int sfs_stream_create(struct sfs_store *store, const char *name,
	const struct sfs_owner *owner, struct sfs_stream **ret_stream);

/*
 * Finds a stream. The caller gets a reference, to be given back with sfs_stream_unref(). The first
 * lookup of a stream reads its settings. Shards are recovered when they are first used. -ENOENT no
 * stream of that name; -EBADMSG its stream.json is damaged (no other stream is affected).
 */
SFS_API int sfs_stream_lookup(
	struct sfs_store *store, const char *name, struct sfs_stream **ret_stream);
SFS_API struct sfs_stream *sfs_stream_ref(struct sfs_stream *stream);
SFS_API void sfs_stream_unref(struct sfs_stream *stream); /* NULL is fine */

/*
 * Removes a stream that holds no records. References stay valid: calls through them return -ENOENT.
 * What recovery set aside in its shards moves to lost+found/ of the store; a report names the file.
 * Durable when it returns. -ENOTEMPTY it holds records, -ENOENT, -EROFS.
 */
SFS_API int sfs_stream_remove(struct sfs_store *store, const char *name);

/* Durable when it returns. -EEXIST `to` exists, -EINVAL a bad name, -ENOENT, -EROFS. */
SFS_API int sfs_stream_rename(struct sfs_store *store, const char *from, const char *to);

SFS_API uint64_t sfs_stream_id(const struct sfs_stream *stream);
/* Copies the present name (renames change it) into a buffer of SFS_NAME_MAX + 1 bytes. */
SFS_API void sfs_stream_name(struct sfs_stream *stream, char name[SFS_NAME_MAX + 1]);

SFS_API void sfs_stream_owner(struct sfs_stream *stream, struct sfs_owner *ret_owner);
/* Durable when it returns. -EROFS, -ENOENT. */
SFS_API int sfs_stream_set_owner(struct sfs_stream *stream, const struct sfs_owner *owner);
/* When the stream was made, and when its settings, owner or name last changed. */
SFS_API void sfs_stream_times(
	struct sfs_stream *stream, uint64_t *ret_created_ms, uint64_t *ret_changed_ms);

/* The settings as a JSON object, ending in a newline. */
SFS_API int sfs_stream_config(struct sfs_stream *stream, char **ret_json, size_t *ret_bytes);
/*
 * Merges a JSON object into the settings (RFC 7386). They are in force and durable when it returns.
 * -EINVAL: not one object, more shards than there can be, or a setting that is unknown, of the
 * wrong type or out of range; nothing is changed, and `diag` has the reason. -EROFS, -ENOENT.
 *
 * Another number of `shards` divides the hash space evenly. Shards whose range is none of the new
 * ones close and stay readable. New shards carry the next numbers; their parents are the closed
 * shards whose ranges they overlap. Appends wait for the change and do not fail for it, except
 * those to a shard by its name: -EROFS if it closes. As long as a stream never held a record,
 * numbering starts over instead.
 */
SFS_API int sfs_stream_patch_config(
	struct sfs_stream *stream, const char *json, size_t bytes, struct sfs_diag *diag);

/*
 * Trims: removes what is before a position, for ever. No read returns it any more when this
 * returns. The horizon is durable before any file is removed. A position before the horizon changes
 * nothing. White space around `position` is ignored. It is one of
 *
 *   all                   every record that was published before the call
 *   4711                  in every shard, the records of lower sequence numbers
 *   2026-11-23T10:00:00Z  what arrived before a time (RFC 3339)
 *   7d                    what is older: 90s, 15m, 2h, 7d
 *   shard-0000:52100      in one shard, the text before an offset at which a record begins
 *
 * -EINVAL: none of these, or a sequence number or an offset past the end; `diag` has the reason.
 * -EROFS, -ENOENT. If a shard cannot be read, the others are trimmed and the result is its error.
 */
SFS_API int sfs_stream_trim(
	struct sfs_stream *stream, const char *position, size_t bytes, struct sfs_diag *diag);
/* The horizons: a line "shard-0000:OFFSET" for each shard. -ENOENT. */
SFS_API int sfs_stream_horizons(struct sfs_stream *stream, char **ret_text, size_t *ret_bytes);

/* Figures of the stream and each shard as JSON, ending in a newline. */
SFS_API int sfs_stream_stats(struct sfs_stream *stream, char **ret_json, size_t *ret_bytes);

/* Numbers of the shards, rising, closed ones too. The array is the caller's to free(). */
SFS_API int sfs_stream_shards(struct sfs_stream *stream, uint32_t **ret_numbers, size_t *ret_count);
/*
 * Finds a shard by its number. The caller gets a reference, to be given back with
 * sfs_shard_unref(). The first use recovers the shard. -ENOENT no such shard; -EIO, -EBADMSG
 * recovery failed.
 */
SFS_API int sfs_stream_shard(
	struct sfs_stream *stream, uint32_t number, struct sfs_shard **ret_shard);
/* Whether the shard exists. Recovers nothing. */
SFS_API bool sfs_stream_has_shard(struct sfs_stream *stream, uint32_t number);

#endif
