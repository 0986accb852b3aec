/* SPDX-License-Identifier: MIT */
/*
 * The objects of the store and who guards what.
 *
 * Lock order, outermost first (a thread that holds one takes only those below it):
 *   store.config_lock      changes of streamfs.json and of the set of streams
 *   stream.consumers.lock  the consumers and their documents
 *   stream.retain_lock     retention, one after the other
 *   stream.change_lock     changes of the settings and trims, one after the other
 *   store.trim_watch_lock  who is told of trims; held while it is told
 *   stream.lock            (rw) the shard table, settings and name; appends hold it shared
 *   shard.append_lock      who orders and stores: one appender at a time
 *   shard.files_lock       who replaces or removes the file of a sealed segment
 *   shard.lock             what is published; held for a moment
 *   stream.path_lock       (rw) where the stream's directory is; held while a file is opened
 *   syncer, tidier, pools, caches, waiters: leaves
 * store.lock (the table of streams) is a leaf too: nothing is taken under it.
 *
 * An append of a long record can hold stream.lock for as long as its writing takes. Whoever wants it
 * exclusively then has others wait for moments (stream_lock_alone()). What must not wait at all
 * (syncs, reads of sealed segments) and what takes long by itself (merges, sweeps) goes by
 * stream.path_lock alone.
 *
 * An append has two halves. Ordering gives a chunk its offset, sequence and time; storing puts an
 * ordered chunk into the local segment. Here the order comes from the shard under append_lock; an
 * engine that orders elsewhere would call the storing half with chunks that it was handed.
 */
#ifndef STORE_INTERNAL_H
#define STORE_INTERNAL_H

#include "blobs.h"
#include "lru.h"
#include "metrics.h"
#include "route.h"
#include "segment.h"
#include "settings.h"
#include "streamfs/shard.h"
#include "waiters.h"
#include "watermark.h"

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <pthread.h>

struct syncer;
struct tidier;
struct workspace;

enum {
	SEGMENT_TEXT_BYTES = 64 << 20,	/* text after which a segment is sealed */
	SEGMENT_CHUNKS = 1 << 15,	/* ... or chunks: bounds its index to 1.5 MiB */
	OPEN_SEGMENTS = 64,		/* sealed ones kept open for readers, per store */
	UNSYNCED_SEGMENTS = 8,		/* sealed ones that may wait for a sync, per shard */
	CHUNK_CACHE_SLOTS = 64,
	CHUNK_CACHE_BYTES = 12 << 20,	/* decoded chunks kept for partial reads, per store */
	ORPHAN_GRACE_MS = 3600 * 1000,
	SWEEP_BLOBS = 100 * 1000,	/* bounds the memory of a sweep to some 6 MiB */
};

struct sync_waiter {
	STAILQ_ENTRY(sync_waiter) link;
	void (*done)(void *context, int result);
	void *context;
	bool of_trim; /* waits for a horizon, too */
};
STAILQ_HEAD(sync_waiters, sync_waiter);

/* A place in a shard before which everything is gone, or shall be. */
struct horizon {
	uint64_t offset, sequence, json_offset; /* of the record that begins there */
	uint64_t arrival_ms;			/* at most that record's, at least that before it */
};

struct sfs_shard {
	struct sfs_stream *stream; /* owns the shard; a shard's references are the stream's */
	uint32_t number;
	uint64_t tag; /* owner of its chunks */
	struct hash_key hash_first, hash_last;
	uint32_t serial;    /* unlike that of any other object of the stream */
	uint32_t *parents;  /* numbers, rising; never change */
	uint32_t parent_count;
	bool closed;	    /* changes under stream.lock and lock: either will do to read it */
	bool closing;	    /* is closed in the table that is being written; stream.lock */
	struct waiter_list waiting; /* for its records; stream.waiters.lock */
	uint64_t created_ms;

	pthread_mutex_t files_lock;
	pthread_mutex_t append_lock;
	struct append_mark {	   /* where the append that is under way began; append_lock */
		size_t index_count;
		uint64_t end_offset, end_sequence, end_json_offset;
		uint64_t end_file_offset, last_arrival_ms;
		uint64_t last_header_hash;
	} mark;

	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t grown;
	_Atomic bool opened;  /* recovered; set under append_lock */
	bool removed;	      /* its stream is gone */
	bool failed;
	uint64_t *bases;      /* of its segments, rising; the last is the active one's if there is one */
	size_t base_count;
	struct segment *active; /* NULL: none, the next append begins one; its fd may be -1 */
	TAILQ_ENTRY(sfs_shard) active_link; /* the lock of active_files */
	atomic_bool active_listed, active_used;
	uint64_t size, next_sequence, json_size, last_arrival_ms;
	uint64_t horizon_offset, horizon_sequence, horizon_json_offset;
	struct horizon wanted_horizon; /* that the syncer is to make durable; trim.h */
	/* What was in the horizon's page before it, for sfs_shard_read_page(); goes with the process. */
	struct buf horizon_page, wanted_page;
	uint64_t gap_bytes;	/* text that is known to be unreadable */
	struct buf bad_chunks;	/* uint64_t[]: text offsets of those that failed when read */
	uint64_t stored_bytes;
	uint64_t replaced_count; /* segments that merging replaced or a trim removed */

	struct watermark watermark;
	bool watermark_bad; /* a file is there, but none of this shard's */
	int watermark_fd; /* -1: not open */
	bool watermark_unsynced;
	bool watermark_durable; /* its entry was synced; only the sync under way has it */
	uint64_t synced_offset;
	bool dir_unsynced;	   /* a segment was made since the directory was synced */
	struct segment **unsynced; /* sealed, not synced yet */
	size_t unsynced_count;
	struct sync_waiters waiters;
	bool flush_planned; /* the flusher will come by; it clears this when all is settled */
	uint64_t flush_interval_ns;
	/* Under the syncer's lock: */
	bool sync_queued, sync_running;
	STAILQ_ENTRY(sfs_shard) sync_link;
	RB_ENTRY(sfs_shard) flush_link;
	uint64_t flush_at_ns; /* 0: not in the tree */
};

/* Shards whose active segment's file is open; active_files.h. */
struct active_files {
	pthread_mutex_t lock; /* guards the list; with it held, other locks are only tried */
	TAILQ_HEAD(, sfs_shard) list;
	atomic_uint count;
	unsigned max;
};

/* The open shards in the order of their hash ranges; replaced as a whole. */
struct routes {
	size_t count;
	struct hash_key *firsts;
	struct sfs_shard **shards;
};

struct consumers {
	pthread_mutex_t lock; /* guards all below, and what is in them */
	pthread_cond_t changed;
	bool loaded;
	LIST_HEAD(, consumer) all;
};

struct sfs_stream {
	struct sfs_store *store;
	RB_ENTRY(sfs_stream) link; /* store.lock */
	atomic_uint refs;	   /* of users; the table's hold does not count */
	atomic_uint spread;	   /* turns of records without a key */
	uint64_t id;
	uint64_t created_ms;

	atomic_uint shard_serial;

	pthread_mutex_t change_lock;
	pthread_rwlock_t lock; /* guards all below */
	pthread_rwlock_t path_lock; /* the two below change under both locks: either is enough to read */
	bool removed;
	char name[SFS_NAME_MAX + 1]; /* changes under store.lock too */
	struct sfs_owner owner;
	uint64_t changed_ms;
	struct settings settings; /* change under change_lock and lock */
	struct sfs_shard **shards; /* by rising number, closed ones too */
	size_t shard_count;
	uint32_t next_shard;
	struct sfs_shard **retired; /* left the table while the stream was empty */
	size_t retired_count;
	struct routes routes;
	struct blobs blobs; /* has its own lock; directory made when first needed */
	pthread_mutex_t blobs_lock; /* for making it */
	bool blobs_durable;	    /* blobs_lock; its entry was synced since the store was opened */
	atomic_uint shape; /* counts changes of what the table of shards holds; waiters.c */
	struct waiters waiters;
	struct consumers consumers;
	struct stream_metrics metrics;
	struct {
		uint64_t end_bytes, horizon_bytes, limit; /* sums over the shards */
	} retained; /* when retention had last done its work; retain_lock */
	pthread_mutex_t retain_lock;
	/* Under the tidier's lock: */
	unsigned queued_jobs;	 /* a bit for each kind of sweep that is queued */
	uint64_t sweep_after_ns; /* when the next sweep after a trim may begin */
};

RB_HEAD(stream_tree, sfs_stream);

struct sfs_store {
	struct disk disk;
	char *path;
	int dir, streams_dir, lock_fd;
	int blob_dir; /* -1: blobs are inside the streams */
	bool read_only;
	uint64_t segment_bytes;
	uint32_t segment_chunks;
	uint64_t orphan_grace_ms;
	size_t sweep_blobs; /* that a sweep looks for at once */
	void (*report)(void *context, enum sfs_severity severity, const char *line);
	void *report_context;

	pthread_mutex_t config_lock; /* guards writing streamfs.json and all that is in it: */
	char uuid[37];
	uint64_t next_id;	     /* of a stream */
	uint64_t reserved_id;	     /* ids below it may be given without writing the file */
	struct sfs_owner owner;
	struct settings defaults;
	bool streams_unsynced; /* streams/ may have entries that are not durable */

	pthread_mutex_t lock; /* guards the table */
	struct stream_tree streams;

	struct payload_budget payloads; /* unfinished lines and uploads */
	struct active_files active_files;

	pthread_mutex_t trim_watch_lock; /* guards what is told of trims; held over the call */
	void (*trimmed)(void *context, struct sfs_shard *shard);
	void *trimmed_context;

	struct lru *segments; /* sealed ones by shard tag and base */
	struct lru *chunks;   /* struct chunk_text by segment uid and file offset */
	struct syncer *syncer;
	struct tidier *tidier;
	atomic_bool closing; /* long jobs in the background end early */
	pthread_mutex_t pool_lock;
	struct workspace *pool; /* idle ones */
	struct store_metrics metrics;
};

/* Says something through the store's report function. */
void store_report(struct sfs_store *store, enum sfs_severity severity, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void diag_set(struct sfs_diag *diag, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
