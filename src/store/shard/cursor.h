/* SPDX-License-Identifier: MIT */
/*
 * A cursor goes through the records of one shard, in order, from a text offset on. It decodes each
 * chunk once, sees what is appended, and keeps its place while segments below it are merged. With a
 * key it returns that key's records only, and passes chunks without the key by their meta,
 * undecoded.
 *
 * It holds one chunk and the stored bytes of its neighbours; cursor_park() gives them back. A
 * cursor belongs to one thread at a time. The shard was opened and outlives it.
 *
 * States:
 *
 *                    load_chunk()              find_run()
 *     +-> BETWEEN -----------------> LOADED ---------------> IN_RUN
 *     |    |   ^                     |    ^                  |    |
 *     |    |   +----- pass_item() ---+    +-- cursor_take() -+    |
 *     |    |   |                                                  |
 *     |    |   +---------- cursor_take(): the chunk ends ---------+
 *     |    |
 *     |    +-----> FAILED     fail(), also from LOADED and IN_RUN
 *     |              |
 *     +--------------+        cursor_skip(), also from LOADED and IN_RUN
 *
 * Invariants, whenever no call is under way:
 *  1. All records before `offset` were returned, skipped, or are not of the key. `offset` never
 *     goes back, except in cursor_stale().
 *  2. A span is held while a chunk is: `stored.item` is the item of `chunk`. Between chunks it is
 *     the item that holds `offset`, or the span is used up.
 *  3. `chunk` is valid in LOADED and IN_RUN, `run` in IN_RUN, `failure` in FAILED. `record` is
 * valid while `in_record` is set, in any state: only there may a record be open over two chunks.
 *  4. chunk.at is a record's beginning or the chunk's end; all records of the chunk before it were
 *     looked at. chunk.head is the record at chunk.at exactly if chunk.head_end is behind that.
 *  5. A run is never empty, and ends at or before chunk.at.
 *  6. FAILED lasts until cursor_skip(): each call that reads returns the same error.
 *
 * Errors of the functions that read:
 *   -ENODATA  no more at present
 *   -ESTALE   the next record is below the horizon
 *   -EBADMSG  the next record is damaged
 *   others    of the disk, and -ENOMEM: the same call may work later
 * -ESTALE and -EBADMSG come again until cursor_skip().
 */
#ifndef STORE_CURSOR_H
#define STORE_CURSOR_H

#include "meta.h"
#include "span.h"

enum cursor_state {
	CURSOR_BETWEEN, /* no chunk is decoded */
	CURSOR_LOADED,	/* a chunk is decoded: records are returned one by one */
	CURSOR_IN_RUN,	/* ... and a run of its text is being returned */
	CURSOR_FAILED,
};

struct cursor {
	struct sfs_shard *shard;
	const char *key; /* NULL: all records; borrowed */
	size_t key_bytes;
	enum cursor_state state;
	uint64_t offset;    /* text offset of the next byte to be returned */
	bool in_record;	    /* the last byte that was returned was not the end of a record */
	bool arrival_known; /* `arrival_ms` is that of the next record */
	uint64_t arrival_ms;

	/* The record that is open, from its first piece. */
	struct {
		uint64_t offset, arrival_ms;
	} record;

	/* What cursor_skip() goes behind. */
	struct {
		int error;    /* -ESTALE or -EBADMSG */
		uint64_t end; /* text offset behind the damage */
	} failure;

	/* Neighbouring chunks as they are stored. */
	struct {
		struct span *span; /* NULL: none */
		size_t item;	   /* the one at hand */
		struct buf bytes;
		uint64_t bytes_at; /* file offset of the first of them */
	} stored;

	/* The chunk at hand, decoded. The buffers keep their memory from chunk to chunk. */
	struct {
		struct chunk header;
		struct buf text, raw_meta;
		struct meta_view meta;
		bool uniform;	   /* all records have one key and one arrival */
		bool broken;	   /* the meta ends before the records do */
		size_t at;	   /* in the text: the next record that was not looked at */
		uint64_t sequence; /* of that record */
		bool continues;	   /* that record began in an earlier chunk */
		size_t head_end;   /* where that record ends, or this chunk's part of it */
		struct meta_record head;
	} chunk;

	/* Text that cursor_text() found: the rest of it, in the chunk's. */
	struct {
		size_t at, end;
	} run;
};

void cursor_init(struct cursor *c, struct sfs_shard *shard, uint64_t offset, const char *key,
	size_t key_bytes);
void cursor_fini(struct cursor *c);
/* Gives all memory and files back. The cursor keeps its place. Not inside of a record. */
void cursor_park(struct cursor *c);
/* Memory that the cursor holds. */
size_t cursor_bytes(const struct cursor *c);

/* When the next record arrived. Decodes nothing where the index has it. */
int cursor_arrival(struct cursor *c, uint64_t *ret_ms);

/*
 * Text of the next records, as long as they lie side by side in the chunk at hand and arrived not
 * later than `until_ms`; the next record in any case. A record of several chunks comes in pieces.
 * Borrowed until the next call. cursor_take() goes behind the first `bytes` of it, at least one.
 */
int cursor_text(struct cursor *c, uint64_t until_ms, const uint8_t **ret_text, size_t *ret_bytes);
void cursor_take(struct cursor *c, size_t bytes);
/* The last byte that was taken or passed was not the end of a record. */
bool cursor_in_record(const struct cursor *c);

/* A record, or a piece of one that is longer than a chunk. */
struct cursor_record {
	const uint8_t *text; /* with the newline, in the last piece */
	size_t bytes;
	bool first, last; /* piece of its record */
	uint64_t sequence;
	uint64_t offset;     /* at which the record begins */
	uint64_t arrival_ms; /* of its first piece */
	const uint8_t *key;  /* NULL: none */
	size_t key_bytes;
	bool claimed; /* it is a claim check */
};
/*
 * The next record; borrowed until the next call. cursor_pass() goes behind it, right after. Not to
 * be mixed with cursor_text() on one cursor.
 */
int cursor_record(struct cursor *c, struct cursor_record *ret_record);
void cursor_pass(struct cursor *c);
/*
 * Whether the record that cursor_record() just returned begins its chunk. Then *ret_json_offset is
 * that record's JSON offset as the chunk's header has it.
 */
bool cursor_begins_chunk(const struct cursor *c, uint64_t *ret_json_offset);

/*
 * The meta of the next chunk that has one; the chunk's frame is not read, and the cursor goes
 * behind it. The caller gives the view back with meta_view_fini(); what it points into is borrowed
 * until the next call. Not to be mixed with the functions above on one cursor.
 */
struct cursor_meta {
	struct chunk chunk;
	struct meta_view view;
};
int cursor_meta(struct cursor *c, struct cursor_meta *ret_meta);

/* Whether there may be a record or an error. Reads nothing. */
bool cursor_has_more(const struct cursor *c);
/* What was read ahead and is below the horizon now is dropped: -ESTALE. Else 0. */
int cursor_check_horizon(struct cursor *c);
/* Goes on behind the error that was returned last: at the horizon, or at the next good chunk. */
void cursor_skip(struct cursor *c);

/* Goes to `offset`, which a trim has overtaken: -ESTALE comes next. */
void cursor_stale(struct cursor *c, uint64_t offset);
/* The error that `other`, a cursor of the same shard, failed with comes next here, too. */
void cursor_fail_like(struct cursor *c, const struct cursor *other);

#endif
