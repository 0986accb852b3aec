/* SPDX-License-Identifier: MIT */
/*
 * A view: one way to read a stream. It is a start, a format and a filter. Every view that the mount
 * shows is one of these: since/1h/json/keys/user-42 is {FROM_TIME, json, OF_KEY}.
 *
 * As text a record is its line; a claim check is the line that the shard shows. As JSON a record is
 * an object on a line:
 *
 *   {"shard":"shard-0000","sequence":41,"offset":4711,"time":"2026-11-23T05:30:00.123Z",
 *    "key":"user-42","data":"…"}
 *
 * data_base64 takes the place of data if the payload is not UTF-8, claim_check if the store marked
 * the record as a claim check. There is no key if the record has none.
 *
 * Order     A view of one shard has the shard's order. A view of a key or of all shards is merged
 *           by arrival: the records of a shard come in its order, and all records of a closed shard
 *           before the first record of the shards that it is a parent of.
 * Threads   A view belongs to one thread at a time; sfs_view_wait() calls back from others.
 */
#ifndef STREAMFS_VIEW_H
#define STREAMFS_VIEW_H

#include "streamfs/shard.h"

struct sfs_view;

enum sfs_view_start {
	SFS_FROM_HORIZON, /* the first retained record */
	SFS_FROM_TIME,	  /* the first retained record that arrived at or after since_ms */
	SFS_FROM_NOW,	  /* the first record that is appended after the view was opened */
};

enum sfs_view_filter { SFS_OF_SHARD, SFS_OF_KEY, SFS_OF_ALL };

struct sfs_view_spec {
	enum sfs_view_start start;
	enum sfs_view_filter filter;
	bool json;
	uint64_t since_ms;	 /* SFS_FROM_TIME */
	struct sfs_shard *shard; /* SFS_OF_SHARD; the view takes a reference of its own */
	const char *key;	 /* SFS_OF_KEY: 1 to SFS_KEY_MAX characters of UTF-8; copied */
	size_t key_bytes;
};

/*
 * Opens a view. The indexes lead to its start; of the records, only those of the chunk in which the
 * start lies are read. -EINVAL: not a key.
 */
SFS_API int sfs_view_open(
	struct sfs_stream *stream, const struct sfs_view_spec *spec, struct sfs_view **ret_view);
SFS_API void sfs_view_close(struct sfs_view *view); /* NULL is fine */

/*
 * Views of one shard have a size and offsets, as a file has. The offsets of FROM_HORIZON count
 * bytes in the view's format from the shard's first record ever, and are for ever; what is before
 * the trim horizon is gone. The offsets of the other starts count from where the view starts.
 * sfs_view_pread() is as sfs_shard_read(), with -ESTALE below the horizon. Other views have size 0
 * and get -ESPIPE.
 */
SFS_API uint64_t sfs_view_size(struct sfs_view *view);
SFS_API uint64_t sfs_view_horizon(struct sfs_view *view); /* the first byte that can be read */
SFS_API int sfs_view_pread(
	struct sfs_view *view, uint64_t offset, void *buffer, size_t bytes, size_t *ret_bytes);

/*
 * Reads on from where the last sfs_view_read() ended. A record can be split between two reads.
 * Returns as much as there is, up to `bytes`; 0 bytes: there is no more at present.
 *   -EPIPE    of one shard: it is closed and read to its end, there never will be more
 *   -ESTALE   a trim took what was next; sfs_view_skip() goes on at the horizon
 *   -EBADMSG  what is next is damaged; sfs_view_skip() goes on behind the damage
 *   -ENOENT   the stream was removed
 */
SFS_API int sfs_view_read(struct sfs_view *view, void *buffer, size_t bytes, size_t *ret_bytes);
SFS_API int sfs_view_skip(struct sfs_view *view);

/* Waits for a view to have more. It is the caller's memory, until it was called or cancelled. */
struct sfs_waiter {
	void (*wake)(struct sfs_waiter *waiter); /* set by the caller */
	struct {				 /* the store's own, as is what follows */
		struct sfs_waiter *le_next;
		struct sfs_waiter **le_prev;
	} link; /* a LIST_ENTRY of sys/queue.h */
	struct sfs_stream *stream;
	struct sfs_shard *shard; /* NULL: any of the stream's */
	bool waiting;
	unsigned turn; /* for wake(): how many the same append woke before this one */
};

/*
 * Asks for one call of waiter->wake() as soon as sfs_view_read() may return something else than 0
 * bytes: after an append, after shards came or closed, after a trim or the stream's removal. After
 * an append the appender's thread makes the call, before its own append returns. No lock of the
 * store is held over it. If a read may return something already, nothing is called and the result
 * is true: read again. Does not block.
 */
SFS_API bool sfs_view_wait(struct sfs_view *view, struct sfs_waiter *waiter);
/* True: it was waiting and will not be called. False: it was called, or is being called now. */
SFS_API bool sfs_view_cancel(struct sfs_waiter *waiter);

/*
 * Calls `each` with every distinct key of the retained records, in no order, and with
 * SFS_KEYS_LISTED of them at most. A non-zero return ends it and is the result. Reads no payloads.
 * -ENOENT the stream was removed.
 */
enum { SFS_KEYS_LISTED = 65536 };
SFS_API int sfs_stream_keys(struct sfs_stream *stream,
	int (*each)(void *context, const char *key, size_t key_bytes), void *context);

#endif
