/* SPDX-License-Identifier: MIT */
/*
 * A store: a directory that holds streams. This header opens it. stream.h, shard.h, view.h,
 * writer.h, upload.h, blob.h and consumer.h describe what is in it; check.h checks a closed store.
 *
 * Errors      A function that can fail returns 0 or a negative errno. On failure its ret_ arguments
 *             are untouched. Any function may return -ENOMEM or an error of the disk (-EIO,
 *             -ENOSPC, -EDQUOT). Two errnos have a meaning of their own:
 *             -EBADMSG          stored data failed a check
 *             -EPROTONOSUPPORT  a store or a file has a format that this library does not know
 * Threads     Many threads may use an object at once, unless its header gives it to one thread.
 * Ownership   Streams, shards, views, writers, uploads and blobs are the caller's to give back,
 *             all of them before sfs_store_close(). Text that a function returns in a ret_
 *             argument is the caller's to free(). What a callback is handed is borrowed for the
 *             call.
 * Durability  Each function states what holds when it has returned. "Survives the process":
 *             kill -9 at any later instant loses nothing. "Durable": a loss of power loses
 *             nothing either.
 * Units       Times are Unix time in milliseconds (_ms), sizes and offsets are bytes.
 */
#ifndef STREAMFS_STORE_H
#define STREAMFS_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/statvfs.h>
#include <sys/types.h>

#ifdef __cplusplus
#define SFS_API extern "C" __attribute__((visibility("default")))
#else
#define SFS_API __attribute__((visibility("default")))
#endif

enum {
	SFS_STORE_FORMAT = 2,	      /* of the stores that this library makes and opens */
	SFS_NAME_MAX = 128,	      /* bytes of a stream's name */
	SFS_KEY_MAX = 256,	      /* characters of a partition key (Amazon Kinesis's limit) */
	SFS_KEY_MAX_BYTES = 1024,     /* ... which as UTF-8 take at most this many bytes */
	SFS_SHARDS_MAX = 4096,	      /* open shards of one stream */
	SFS_SHARDS_KEPT = 65536,      /* shards of one stream, with the closed ones */
	SFS_SHARD_NUMBERS = 16000000, /* shards that one stream can have had */
};

struct sfs_store;
struct sfs_stream;
struct sfs_shard;

/* The reason for an error as one line of text: file, offset, what is wrong. No newline. */
struct sfs_diag {
	char text[512];
};

enum sfs_severity {
	SFS_INFO,    /* something was recovered or tidied up */
	SFS_WARNING, /* a request was refused, and its errno does not show the reason */
	SFS_ERROR,   /* data is damaged or a disk failed */
};

struct disk_hook; /* a seam for tests; src/util/disk.h */

struct sfs_store_options {
	bool read_only;	      /* nothing is written, not even by recovery */
	const char *blob_dir; /* where payloads go; NULL: inside the store. Borrowed for the call */
	/*
	 * Receives what no caller is waiting for: findings of recovery, failures of the background
	 * flush, reasons for a refusal. Any thread may call it, without the locks that a function
	 * of the store needs. It must not call back into the store. May be NULL.
	 */
	void (*report)(void *context, enum sfs_severity severity, const char *line);
	void *report_context;
	/* For tests; zero means the built-in value. */
	uint64_t segment_bytes;	     /* text bytes after which a segment is sealed */
	uint32_t segment_chunks;     /* chunks after which a segment is sealed */
	uint64_t orphan_grace_ms;    /* how old an unreferenced blob must be to be swept */
	struct disk_hook *disk_hook; /* borrowed for the store's life */
};

/*
 * Opens the store in directory `path`. A missing or empty directory becomes a new store, unless
 * read_only. Takes the store's lock without waiting for it; blocks for the disk only. `options` and
 * `diag` may be NULL. On failure `diag` has the reason.
 *   -ENOTEMPTY        the directory holds something that is no store
 *   -ENOENT           read_only, and there is no store
 *   -EPROTONOSUPPORT  a store of another format version, or with feature flags unknown here
 *   -EBUSY            another process holds the store
 *   -EBADMSG          streamfs.json is damaged, or missing although there are streams
 */
SFS_API int sfs_store_open(const char *path, const struct sfs_store_options *options,
	struct sfs_diag *diag, struct sfs_store **ret_store);

/*
 * Makes everything durable and frees the store; NULL is fine. Returns the first error that kept
 * something from being durable. The store is gone either way.
 */
SFS_API int sfs_store_close(struct sfs_store *store);

/* The absolute path that the store was opened with. Borrowed until the store is closed. */
SFS_API const char *sfs_store_path(const struct sfs_store *store);
SFS_API bool sfs_store_read_only(const struct sfs_store *store);

/* statvfs(3) of the disk below. */
SFS_API int sfs_store_statvfs(struct sfs_store *store, struct statvfs *ret_statvfs);

/* Owner and permission bits of a directory. */
struct sfs_owner {
	uint32_t mode; /* permission bits only: 07777 */
	uint32_t uid;
	uint32_t gid;
};
SFS_API void sfs_store_owner(struct sfs_store *store, struct sfs_owner *ret_owner);
/* Durable when it returns. -EROFS. */
SFS_API int sfs_store_set_owner(struct sfs_store *store, const struct sfs_owner *owner);

/*
 * Calls `each` with the name of every stream, in no order. A non-zero return ends it and is the
 * result. `id` is 0 if the stream was not used since the store was opened.
 */
SFS_API int sfs_store_list(struct sfs_store *store,
	int (*each)(void *context, const char *name, uint64_t id), void *context);

/* The settings that new streams start with: a JSON object, ending in a newline. */
SFS_API int sfs_store_defaults(struct sfs_store *store, char **ret_json, size_t *ret_bytes);
/*
 * Merges a JSON object into them (RFC 7386). Durable when it returns. -EINVAL: not one object, or a
 * setting that is unknown, of the wrong type or out of range; nothing is changed, and `diag` has
 * the reason. -EROFS.
 */
SFS_API int sfs_store_patch_defaults(
	struct sfs_store *store, const char *json, size_t bytes, struct sfs_diag *diag);

/*
 * Has `trimmed` called after every trim, once no read returns the shard's text below its new
 * horizon any more. For a user that keeps copies of what it read. Any thread may call it, without
 * locks. It may ask for the shard's figures and must not call back into the store otherwise. NULL
 * ends it. Not to be changed while the store is in use.
 */
SFS_API void sfs_store_watch_trims(struct sfs_store *store,
	void (*trimmed)(void *context, struct sfs_shard *shard), void *context);

/* Counters in Prometheus's text format. */
SFS_API int sfs_store_metrics(struct sfs_store *store, char **ret_text, size_t *ret_bytes);

#endif
