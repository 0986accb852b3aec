/* SPDX-License-Identifier: MIT */
/*
 * A store: a directory that holds streams. This is the door to the library; stream.h, shard.h,
 * writer.h, upload.h and blob.h are the rooms behind it.
 *
 * Errors      Every function that can fail returns 0 or a negative errno and leaves its ret_
 *             arguments untouched on failure. -EBADMSG means that stored data failed a check,
 *             -EPROTONOSUPPORT that a store or file has a format this library does not know.
 * Threads     Every object may be used by many threads at once, except where a header says
 *             otherwise (writers and uploads belong to one thread at a time).
 * Lifetime    Objects are counted references. Give back everything taken from a store before
 *             sfs_store_close().
 * Durability  What a returned call promises is said at each function. "Survives the process"
 *             means that kill -9 at any later instant loses nothing; "durable" that power loss
 *             does not either.
 */
#ifndef STREAMFS_STORE_H
#define STREAMFS_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/statvfs.h>
#include <sys/types.h>

#define SFS_API __attribute__((visibility("default")))

/* Version of the library and its programs. */
#define SFS_VERSION "0.1.0"

enum {
	SFS_NAME_MAX = 128,	/* bytes of a stream's name */
	SFS_KEY_MAX = 256,	/* characters of a partition key (Amazon Kinesis's limit) */
	SFS_KEY_MAX_BYTES = 1024, /* ... which as UTF-8 take at most this many bytes */
	SFS_SHARDS_MAX = 4096,	/* open shards of one stream */
	SFS_SHARDS_KEPT = 65536, /* shards of one stream, with the closed ones */
	SFS_SHARD_NUMBERS = 16000000, /* shards that one stream can have had */
};

struct sfs_store;
struct sfs_stream;
struct sfs_shard;

/* One line of text that says what was wrong: file, offset, reason. No newline. */
struct sfs_diag {
	char text[512];
};

enum sfs_severity {
	SFS_INFO,	/* something was recovered or tidied up */
	SFS_WARNING,	/* a request was refused for a reason that its errno cannot tell */
	SFS_ERROR,	/* data is damaged or a disk failed */
};

struct disk_hook; /* a seam for tests; src/util/disk.h */

struct sfs_store_options {
	bool read_only;		/* nothing is written, not even by recovery */
	const char *blob_dir;	/* where payloads go; NULL: inside the store. Borrowed for the call */
	/*
	 * Told of everything that no caller is waiting to hear: findings of recovery, failures of
	 * the background flush, reasons for a refusal. Called from any thread, without locks that
	 * a store function would want; must not call back into the store. May be NULL.
	 */
	void (*report)(void *context, enum sfs_severity severity, const char *line);
	void *report_context;
	/* For tests; zero means the built-in value. */
	uint64_t segment_bytes;	      /* text bytes after which a segment is sealed */
	uint32_t segment_chunks;      /* chunks after which a segment is sealed */
	uint64_t orphan_grace_ms;     /* how old an unreferenced blob must be to be swept */
	struct disk_hook *disk_hook;  /* borrowed for the store's life */
};

/*
 * Opens the store in directory `path`; a missing or empty directory becomes a new store (unless
 * read_only). Takes the store's lock; blocks for the disk only. On failure `diag` says why.
 *   -ENOTEMPTY        a directory with something else in it
 *   -EPROTONOSUPPORT  a store of another format version, or with feature flags unknown here
 *   -EBUSY            another process holds the store
 *   -EBADMSG          streamfs.json cannot be read as such
 */
SFS_API int sfs_store_open(const char *path, const struct sfs_store_options *options,
	struct sfs_diag *diag, struct sfs_store **ret_store);

/*
 * Flushes and syncs everything and frees the store; NULL is fine. Returns the first error that
 * made something not durable; the store is gone either way.
 */
SFS_API int sfs_store_close(struct sfs_store *store);

/* The absolute path the store was opened with. Borrowed until the store is closed. */
SFS_API const char *sfs_store_path(const struct sfs_store *store);
SFS_API bool sfs_store_read_only(const struct sfs_store *store);

/* statvfs(3) of the disk below. */
SFS_API int sfs_store_statvfs(struct sfs_store *store, struct statvfs *ret_statvfs);

/* Owner and permission bits of a directory. Setting is durable when it returns. */
struct sfs_owner {
	uint32_t mode; /* permission bits only: 07777 */
	uint32_t uid;
	uint32_t gid;
};
SFS_API void sfs_store_owner(struct sfs_store *store, struct sfs_owner *ret_owner);
SFS_API int sfs_store_set_owner(struct sfs_store *store, const struct sfs_owner *owner);

/*
 * Calls `each` with the name of every stream, in no order, until it returns non-zero, which is
 * then the result. The stream's id is 0 where the stream was not touched since the store opened.
 */
SFS_API int sfs_store_list(struct sfs_store *store,
	int (*each)(void *context, const char *name, uint64_t id), void *context);

/*
 * The settings that new streams start with: a JSON object, ending in a newline. `ret_json` is the
 * caller's to free().
 */
SFS_API int sfs_store_defaults(struct sfs_store *store, char **ret_json, size_t *ret_bytes);
/*
 * Merges a JSON object into them (RFC 7386). Durable when it returns. -EINVAL: not one object, or
 * an unknown, ill-typed or out-of-range setting; nothing is changed and `diag` says which.
 */
SFS_API int sfs_store_patch_defaults(
	struct sfs_store *store, const char *json, size_t bytes, struct sfs_diag *diag);

/*
 * Has `trimmed` called after every trim, by whomever, once the shard's text below its new horizon
 * cannot be read any more; for who keeps copies of what was read. From any thread, without locks;
 * it must not call back into the store but for the shard's figures. NULL ends it. Not to be changed
 * while the store is in use.
 */
SFS_API void sfs_store_watch_trims(struct sfs_store *store,
	void (*trimmed)(void *context, struct sfs_shard *shard), void *context);

/* Counters in Prometheus's text format. `ret_text` is the caller's to free(). */
SFS_API int sfs_store_metrics(struct sfs_store *store, char **ret_text, size_t *ret_bytes);

#endif
