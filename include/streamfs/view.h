/* SPDX-License-Identifier: MIT */
/*
 * A view: one reading of a stream. It has a start, a format and a filter, and every view that the
 * mount shows is one: since/1h/json/keys/user-42 is {FROM_TIME, json, OF_KEY}.
 *
 * Text gives each record as its line; a claim check is the line that the shard shows. JSON gives an
 * object a line:
 *
 *   {"shard":"shard-0000","sequence":41,"offset":4711,"time":"2026-11-23T05:30:00.123Z",
 *    "key":"user-42","data":"…"}
 *
 * with data_base64 where the payload is not UTF-8, claim_check in place of data where the store
 * marked the record as one, and no member key where it has none.
 *
 * Order     Of one shard: its own. Of a key or of all: by arrival, the records of a shard in its
 *           order, and all records of a closed shard before the first of the shards that it is a
 *           parent of.
 * Threads   A view belongs to one thread at a time; sfs_view_wait() calls back from others.
 */
#ifndef STREAMFS_VIEW_H
#define STREAMFS_VIEW_H

#include "streamfs/shard.h"

#include <bsd/sys/queue.h>

struct sfs_view;

enum sfs_view_start {
	SFS_FROM_HORIZON, /* the first retained record */
	SFS_FROM_TIME, /* the first record that arrived at or after since_ms; at least the horizon
			*/
	SFS_FROM_NOW,  /* the first record that is appended after the view was opened */
};

enum sfs_view_filter { SFS_OF_SHARD, SFS_OF_KEY, SFS_OF_ALL };

struct sfs_view_spec {
	enum sfs_view_start start;
	enum sfs_view_filter filter;
	bool json;
	uint64_t since_ms;	 /* SFS_FROM_TIME: Unix time */
	struct sfs_shard *shard; /* SFS_OF_SHARD; the view takes a reference of its own */
	const char *key;	 /* SFS_OF_KEY: 1 to SFS_KEY_MAX characters of UTF-8; copied */
	size_t key_bytes;
};

/*
 * Opens a view. The start is found through the indexes, without reading payloads but those of the
 * one chunk in which it lies. -EINVAL: not a key.
 */
SFS_API int sfs_view_open(
	struct sfs_stream *stream, const struct sfs_view_spec *spec, struct sfs_view **ret_view);
SFS_API void sfs_view_close(struct sfs_view *view); /* NULL is fine */

/*
 * Views of a shard: what a file of it holds, exactly. The offsets of FROM_HORIZON count from the
 * shard's first record ever, in the view's format, and are for ever; what is before the trim
 * horizon is not there any more. The offsets of the others count from where the view starts.
 * sfs_view_pread() is as sfs_shard_read(), with -ESTALE below the horizon. Other views: -ESPIPE,
 * and 0 bytes.
 */
SFS_API uint64_t sfs_view_size(struct sfs_view *view);
SFS_API uint64_t sfs_view_horizon(struct sfs_view *view); /* the first byte that can be read */
SFS_API int sfs_view_pread(
	struct sfs_view *view, uint64_t offset, void *buffer, size_t bytes, size_t *ret_bytes);

/*
 * Reads on from where the last sfs_view_read() ended; a record can be split between two reads.
 * Brings as much as there is, up to `bytes`; 0 bytes: no more at present.
 *   -EPIPE    there never will be more: the shard is closed and read to its end
 *   -ESTALE   a trim took what was next; sfs_view_skip() goes on at the horizon
 *   -EBADMSG  what is next is damaged; sfs_view_skip() goes on behind the damage
 *   -ENOENT   the stream was removed
 */
SFS_API int sfs_view_read(struct sfs_view *view, void *buffer, size_t bytes, size_t *ret_bytes);
SFS_API int sfs_view_skip(struct sfs_view *view);

/* Waits for a view to have more. Lives in the caller's memory until woken or cancelled. */
struct sfs_waiter {
	void (*wake)(struct sfs_waiter *waiter); /* set by the caller */
	LIST_ENTRY(sfs_waiter) link;		 /* the store's own, as is what follows */
	struct sfs_stream *stream;
	struct sfs_shard *shard; /* NULL: any of the stream's */
	bool waiting;
	unsigned turn; /* for wake(): how many the same append woke before this one */
};

/*
 * Asks for one call of waiter->wake() as soon as sfs_view_read() might bring something else than 0
 * bytes: an append was published (the call comes from the appender's thread before its own append
 * returns, and without any lock of the store), shards came or closed, a trim, the stream's removal.
 * If that is so already nothing is called, and the result is true: read again. Takes no thread.
 */
SFS_API bool sfs_view_wait(struct sfs_view *view, struct sfs_waiter *waiter);
/* True: it was waiting and will not be called. False: it was called, or is just being called. */
SFS_API bool sfs_view_cancel(struct sfs_waiter *waiter);

/*
 * Calls `each` with every distinct key of the retained records until it returns non-zero, which is
 * then the result; reads no payloads. At most SFS_KEYS_LISTED of them, in no order.
 */
enum { SFS_KEYS_LISTED = 65536 };
SFS_API int sfs_stream_keys(struct sfs_stream *stream,
	int (*each)(void *context, const char *key, size_t key_bytes), void *context);

#endif
