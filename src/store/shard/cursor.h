/* SPDX-License-Identifier: MIT */
/*
 * A cursor goes through the records of one shard, in order, from a text offset on. It decodes each
 * chunk once, sees what is appended, and stays at its text offset while segments are merged below
 * it. With a key it brings that key's records only, and passes chunks without it by their meta,
 * undecoded.
 *
 * What it holds is one chunk and the stored bytes of its neighbours; cursor_park() lets go of them.
 * A cursor belongs to one thread at a time. The shard was opened and outlives it.
 *
 * Errors of the functions that read:
 *   -ENODATA  no more at present
 *   -ESTALE   the next record is below the horizon
 *   -EBADMSG  damage; like -ESTALE it comes again until cursor_skip()
 *   others    of the disk, -ENOMEM: the same call may work later
 */
#ifndef STORE_CURSOR_H
#define STORE_CURSOR_H

#include "meta.h"
#include "shard.h"

struct cursor {
	struct sfs_shard *shard;
	const char *key; /* NULL: all records; borrowed */
	size_t key_bytes;
	uint64_t offset; /* text offset of the next byte to be read */
	bool open;	 /* it is inside of a record that began in an earlier chunk */
	int error;	 /* -ESTALE or -EBADMSG that is not skipped yet */
	uint64_t damage_end;
	bool arrival_known; /* of what is at `offset` */
	uint64_t arrival_ms;
	uint64_t record_offset, record_ms; /* of the record that is open */

	struct span *span; /* NULL: none */
	size_t item;	   /* the one at hand */
	struct buf stored;
	uint64_t stored_at; /* file offset of its first byte */
	/* The chunk at hand: */
	bool loaded, uniform;
	struct chunk chunk;
	struct buf text, raw_meta;
	struct meta_view meta;
	size_t at;	   /* in the text: the next record that was not looked at */
	uint64_t sequence; /* of that record */
	bool continues;	   /* that record began in an earlier chunk */
	bool broken;	   /* its meta tells of less records than there are */
	bool has_head;	   /* that record is one to bring: */
	struct meta_record head;
	size_t head_end;
	size_t run_at, run_end; /* text that cursor_text() has found */
};

void cursor_init(struct cursor *c, struct sfs_shard *shard, uint64_t offset, const char *key,
	size_t key_bytes);
void cursor_fini(struct cursor *c);
/* Gives back all memory and files. It goes on where it was. Not inside of a record. */
void cursor_park(struct cursor *c);
/* Memory that it holds. */
size_t cursor_bytes(const struct cursor *c);

/* When what comes next arrived. Decodes nothing where the index knows it. */
int cursor_arrival(struct cursor *c, uint64_t *ret_ms);

/*
 * Text of the next records, as long as they lie side by side in the chunk at hand and arrived not
 * later than `until_ms`; the next one in any case. A record of several chunks comes in pieces.
 * Borrowed until the next call. cursor_take() reads on by `bytes` of it.
 */
int cursor_text(struct cursor *c, uint64_t until_ms, const uint8_t **ret_text, size_t *ret_bytes);
void cursor_take(struct cursor *c, size_t bytes);
/* The last byte that was taken was not the end of a record. */
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
/* The next record; borrowed until the next call. cursor_pass() goes behind it. Not to be mixed with
 * cursor_text() on one cursor. */
int cursor_record(struct cursor *c, struct cursor_record *ret_record);
void cursor_pass(struct cursor *c);

/*
 * The meta of the next chunk that has one; its frame is not read, and the cursor goes behind the
 * chunk. The caller gives the view back with meta_view_fini(); what it points into is borrowed
 * until the next call. Not to be mixed with the functions above on one cursor.
 */
struct cursor_meta {
	struct chunk chunk;
	struct meta_view view;
};
int cursor_meta(struct cursor *c, struct cursor_meta *ret_meta);

/* Whether it may have something: a record or an error. Reads nothing. */
bool cursor_has_more(const struct cursor *c);
/* Makes -ESTALE or -EBADMSG, up to a text offset, what comes next. Returns it. */
int cursor_fail(struct cursor *c, int error, uint64_t damage_end);
/* Goes on behind the error that was returned last: at the horizon, or at the next good chunk. */
void cursor_skip(struct cursor *c);
/* What was read ahead and is below the horizon now is dropped: -ESTALE. Else 0. */
int cursor_check_horizon(struct cursor *c);

#endif
