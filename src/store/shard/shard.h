/* SPDX-License-Identifier: MIT */
/*
 * A shard, for the rest of the store: the struct, its states, and what shard.c has of it.
 *
 * Three things change, each by itself:
 *
 *     made --- shard_open() ---> opened              without `opened`, size and offsets are 0
 *
 *     open --- set_closing() ---> closing --- close_shard() ---> closed        stream/reshard.c
 *      ^                             |
 *      +-------- take_back() --------+
 *
 *     working --- shard_fail_locked() ---> failed    until the store is opened anew
 *
 * And from anywhere, mark_removed() and stream_retire() lead to `removed`, which is final: what
 * still has a reference may go on reading, and shard_free() comes with the last one.
 *
 *  1. `closing` and `closed` are never both set. A shard is closing only while home.lock is held
 *     exclusively, so no append sees it.
 *  2. `opened` is never taken back. A shard can be closed, failed or removed without being opened.
 *  3. A shard takes records if it is opened and neither closed, failed nor removed, and the store
 *     is not read-only. shard_append_begin() looks.
 *  4. A failed shard can be read. Its syncs fail, and no horizon of it moves.
 */
#ifndef STORE_SHARD_H
#define STORE_SHARD_H

#include "home.h"
#include "position.h"
#include "hash_range.h"
#include "segment.h"
#include "shard_env.h"
#include "streamfs/shard.h"
#include "trace.h"
#include "watermark.h"

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <pthread.h>

struct sfs_waiter;
LIST_HEAD(waiter_list, sfs_waiter);

enum { UNSYNCED_SEGMENTS = 8 }; /* sealed ones that may wait for a sync, per shard */

struct sync_waiter {
	STAILQ_ENTRY(sync_waiter) link;
	void (*done)(void *context, int result);
	void *context;
	bool of_trim; /* waits for a horizon, too */
};
STAILQ_HEAD(sync_waiters, sync_waiter);

/* A position before which everything is gone, or shall be. */
struct horizon {
	struct position at;
	uint64_t arrival_ms; /* at most that record's, at least that of the record before it */
};

/*
 * The part of a shard that belongs to its syncer: how far it is durable, and what has to be synced.
 * The shard's lock guards it, unless said otherwise. One sync of a shard runs at a time; only that
 * one uses the watermark and its descriptor.
 */
struct shard_sync {
	uint64_t synced_offset; /* the text before it is durable */

	struct watermark watermark; /* as it was written last; the sync that runs has it */
	bool watermark_bad;	    /* a file is there, but none of this shard's */
	int watermark_fd;	    /* -1: not open; the sync that runs has it */
	bool watermark_unsynced;    /* written since it was last synced */
	bool watermark_durable;	    /* its directory entry is; the sync that runs has it */

	bool dir_unsynced;	   /* a segment was made since the directory was synced */
	struct segment **unsynced; /* sealed, not synced yet */
	size_t unsynced_count;

	struct horizon wanted_horizon; /* a trim asks for it; trim.h */
	struct buf wanted_page;	       /* becomes shard.horizon_page with it */
	struct sync_waiters waiters;

	bool flush_planned; /* the flusher will come by; it clears this when all is settled */
	uint64_t flush_interval_ns;

	/* The syncer's lock guards these: */
	bool queued, running;
	STAILQ_ENTRY(sfs_shard) queue_link;
	RB_ENTRY(sfs_shard) flush_link;
	uint64_t flush_at_ns; /* 0: not in the tree */
};

/* Where an append that is under way began: what shard_append_abort() goes back to. */
struct append_mark {
	size_t index_count;
	struct index_end end;
	uint64_t synced_offset; /* that its chunks note; lagging is safe */
};

struct sfs_shard {
	struct shard_env *env;
	struct home *home;
	struct sfs_stream *stream; /* owns the shard; unknown here. References are the stream's */
	uint32_t number;
	uint32_t serial; /* unlike that of any other object of the stream */
	uint64_t tag;	 /* owner of its chunks */
	uint64_t created_ms;
	struct hash_key hash_first, hash_last; /* inclusive; home.lock */
	uint32_t *parents;		       /* numbers, rising; never change */
	uint32_t parent_count;
	bool closing; /* closed in the table that is being written; home.lock */
	bool closed;  /* changes under home.lock and lock: either will do to read */
	struct waiter_list view_waiters; /* for its records; stream.waiters.lock */

	pthread_mutex_t files_lock;
	pthread_mutex_t append_lock;
	struct append_mark mark; /* append_lock */

	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t grown;
	_Atomic bool opened; /* recovered; set under append_lock */
	bool removed;
	bool failed;

	struct position end, horizon;
	uint64_t last_arrival_ms; /* of the last record; 0: there was none */

	uint64_t *bases; /* of its segments, rising; the last is the active one's if there is one */
	size_t base_count;
	struct segment *active; /* NULL: none, the next append begins one; its fd may be -1 */
	TAILQ_ENTRY(sfs_shard) active_link; /* the lock of active_files */
	atomic_bool active_listed, active_used;
	uint64_t stored_bytes;
	uint64_t replaced_count; /* segments that merging replaced or a trim removed */

	uint64_t gap_bytes;    /* text that is known to be unreadable */
	struct buf bad_chunks; /* uint64_t[]: text offsets of those that failed when read */
	/* The text in the horizon's page that is before it, for sfs_shard_read_page(). */
	struct buf horizon_page;

	struct shard_sync sync;
};

/* What a shard shows at one moment. */
struct shard_published {
	struct position horizon, end;
	uint64_t last_arrival_ms;
	uint64_t synced_offset;
	bool closed, failed;
};
/* Takes lock. The shard need not be open: then all is zero. */
struct shard_published shard_published(struct sfs_shard *shard);

/* A shard of a stream, not opened yet. NULL: no memory. */
struct sfs_shard *shard_new(
	struct shard_env *env, struct home *home, struct sfs_stream *stream, uint32_t number);
void shard_free(struct sfs_shard *shard); /* NULL is fine */

/*
 * Path of a file of the shard below the streams' directory; the caller holds home.lock or
 * home.path_lock, shared at least, for as long as it uses the path.
 */
enum { SHARD_PATH_MAX = SFS_NAME_MAX + 80 };
void shard_path(const struct sfs_shard *shard, char path[SHARD_PATH_MAX], const char *file);
void shard_segment_path(const struct sfs_shard *shard, char path[SHARD_PATH_MAX],
	uint64_t base_offset, const char *suffix);

/*
 * Recovers the shard if this was not done yet: reads its directory and the headers of its last
 * segment, cuts a torn tail (kept aside), notes damage. Blocks. Takes home.lock shared and
 * append_lock; the caller of the _locked form holds home.lock, shared at least.
 */
int shard_open(struct sfs_shard *shard);
int shard_open_locked(struct sfs_shard *shard);

/*
 * A disk error: the shard takes no more records, and no sync of it succeeds, until the store is
 * opened anew. Reports the first one. The caller holds shard.lock.
 */
void shard_fail_locked(struct sfs_shard *shard, const char *what, int error);

/* TRACE() of a step of a shard: the line begins with its name. Not with home.path_lock held. */
#define TRACE_SHARD(area, shard, ...)                                                              \
	do {                                                                                       \
		if (TRACE_IS_ON(area))                                                             \
			shard_trace(TRACE_##area, shard, __VA_ARGS__);                             \
	} while (0)
void shard_trace(enum trace_area area, struct sfs_shard *shard, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Bytes of the JSON lines of all records ever appended. Opens the shard. */
uint64_t shard_json_size(struct sfs_shard *shard);

/* True if no record was ever appended. Opens the shard. */
int shard_is_empty(struct sfs_shard *shard, bool *ret_empty);

#endif
