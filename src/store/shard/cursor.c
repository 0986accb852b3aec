/* SPDX-License-Identifier: MIT */
/*
 * The way through a shard: a span of index items at the offset; the stored bytes of the item at
 * hand and of what fits beside it, in one read; its text; then record by record through text and
 * meta. A chunk whose records all match and arrived at one time needs no walk: its text is one run.
 */
#include "cursor.h"

#include "cleanup.h"
#include "trace.h"

#include <assert.h>
#include <inttypes.h>

enum {
	WINDOW_BYTES = 256 << 10, /* stored bytes read together, unless one chunk is larger */
	HEAD_BYTES = 4096, /* of a chunk of which only the meta is read: header, most metas */
	LOOK_FIRST_BYTES = 32 << 10, /* a chunk of so many stored bytes is not read for its meta */
};

void cursor_init(struct cursor *c, struct sfs_shard *shard, uint64_t offset, const char *key,
	size_t key_bytes)
{
	*c = (struct cursor){
		.shard = shard,
		.offset = offset,
		.key = key,
		.key_bytes = key_bytes,
	};
}

static bool has_chunk(const struct cursor *c)
{
	return c->state == CURSOR_LOADED || c->state == CURSOR_IN_RUN;
}

/* Whether chunk.head is the record at chunk.at. */
static bool has_head(const struct cursor *c)
{
	return c->chunk.head_end > c->chunk.at;
}

static void drop_chunk(struct cursor *c)
{
	if (!has_chunk(c))
		return;
	meta_view_fini(&c->chunk.meta);
	c->state = CURSOR_BETWEEN;
}

static void drop_span(struct cursor *c)
{
	drop_chunk(c);
	if (c->stored.span)
		segment_unref(c->stored.span->segment);
	free(c->stored.span);
	c->stored.span = NULL;
	c->stored.bytes.size = 0;
}

void cursor_fini(struct cursor *c)
{
	drop_span(c);
	buf_fini(&c->stored.bytes);
	buf_fini(&c->chunk.text);
	buf_fini(&c->chunk.raw_meta);
}

void cursor_park(struct cursor *c)
{
	cursor_fini(c);
}

size_t cursor_bytes(const struct cursor *c)
{
	size_t bytes = c->stored.bytes.capacity + c->chunk.text.capacity;
	bytes += c->chunk.raw_meta.capacity;
	return bytes + (c->stored.span ? sizeof *c->stored.span : 0);
}

/* ---- errors ---- */

static int fail(struct cursor *c, int error, uint64_t end)
{
	assert(error == -ESTALE || error == -EBADMSG);
	drop_span(c);
	c->state = CURSOR_FAILED;
	c->failure.error = error;
	c->failure.end = end;
	TRACE(read, "shard %u: a cursor fails at offset %" PRIu64 ": %s", c->shard->number,
		c->offset, strerror(-error));
	return error;
}

/* The chunk at hand is damaged. */
static int fail_item(struct cursor *c)
{
	metric_add(&c->shard->env->metrics.checksum_errors, 1);
	(void)shard_note_damage(c->shard, c->stored.span, c->stored.item);
	return fail(c, -EBADMSG, c->stored.span->ends[c->stored.item]);
}

void cursor_stale(struct cursor *c, uint64_t offset)
{
	assert(offset <= c->offset);
	c->offset = offset;
	(void)fail(c, -ESTALE, 0);
}

void cursor_fail_like(struct cursor *c, const struct cursor *other)
{
	assert(other->state == CURSOR_FAILED);
	(void)fail(c, other->failure.error, other->failure.end);
}

/* ---- spans ---- */

static const struct index_item *item_of(const struct cursor *c)
{
	return &c->stored.span->items[c->stored.item];
}

static uint64_t item_text_bytes(const struct cursor *c)
{
	return c->stored.span->ends[c->stored.item] - item_of(c)->start.offset;
}

/* Goes behind the item at hand. */
static void pass_item(struct cursor *c, bool in_record)
{
	drop_chunk(c);
	c->offset = c->stored.span->ends[c->stored.item++];
	c->arrival_known = false;
	c->in_record = in_record;
}

/* Makes the item that holds the offset the one at hand. */
static int load_span(struct cursor *c)
{
	assert(!has_chunk(c));
	if (c->state == CURSOR_FAILED)
		return c->failure.error;
	if (c->stored.span && c->stored.item < c->stored.span->count)
		return 0;
	drop_span(c);
	c->stored.span = malloc(sizeof *c->stored.span);
	if (!c->stored.span)
		return -ENOMEM;
	c->stored.item = 0;
	int r = shard_span(c->shard, c->offset, UINT64_MAX, c->stored.span);
	if (r == 0)
		return 0;
	uint64_t limit = c->stored.span->limit;
	drop_span(c);
	return r == -EBADMSG || r == -ESTALE ? fail(c, r, limit) : r;
}

/* ---- stored bytes ---- */

/* Reads `bytes` of the segment from the item at hand on. */
static int read_stored(struct cursor *c, size_t bytes)
{
	uint64_t at = item_of(c)->file_offset;
	struct buf *stored = &c->stored.bytes;
	stored->size = 0;
	int r = buf_reserve(stored, bytes);
	if (r == 0)
		r = disk_read(&c->shard->env->disk, c->stored.span->segment->fd, at, stored->data,
			bytes, &stored->size);
	if (r < 0)
		stored->size = 0;
	c->stored.bytes_at = at;
	return r;
}

/* The first `bytes` stored bytes of the item at hand; NULL: they were not read. */
static const uint8_t *stored_item(const struct cursor *c, size_t bytes)
{
	uint64_t at = item_of(c)->file_offset, from = c->stored.bytes_at;
	size_t size = c->stored.bytes.size;
	if (at < from || at - from > size || bytes > size - (size_t)(at - from))
		return NULL;
	return c->stored.bytes.data + (at - from);
}

/* Bytes to be read for the item at hand: with the neighbours that fit. */
static size_t window_bytes(const struct cursor *c)
{
	const struct index_item *item = item_of(c);
	uint64_t bytes = item->stored_bytes;
	for (size_t i = c->stored.item + 1; i < c->stored.span->count; i++) {
		const struct index_item *next = &c->stored.span->items[i];
		if (next->file_offset != item->file_offset + bytes ||
			bytes + next->stored_bytes > WINDOW_BYTES)
			break;
		bytes += next->stored_bytes;
	}
	return (size_t)bytes;
}

/* Whether a header at `stored` is that of the item at hand. NULL is none. */
static bool parse_header(const struct cursor *c, const uint8_t *stored, struct chunk *ret_header)
{
	return stored && segment_check_chunk(item_of(c), c->shard->tag, item_text_bytes(c), stored,
				 ret_header) == 0;
}

/* The item at hand, whole and with a sound header. */
static int load_stored(struct cursor *c, const uint8_t **ret_stored)
{
	size_t bytes = item_of(c)->stored_bytes;
	if (!stored_item(c, bytes)) {
		int r = read_stored(c, window_bytes(c));
		if (r < 0)
			return r;
	}
	const uint8_t *stored = stored_item(c, bytes);
	if (!parse_header(c, stored, &c->chunk.header))
		return fail_item(c);
	*ret_stored = stored;
	return 0;
}

/* Reads the header and the meta of the item at hand, not its frame. */
static int load_meta(struct cursor *c, struct chunk *ret_header)
{
	const struct index_item *item = item_of(c);
	struct chunk header;
	size_t want = sizeof(struct chunk_header);
	if (!stored_item(c, want)) {
		size_t bytes = item->stored_bytes < LOOK_FIRST_BYTES ? window_bytes(c) : HEAD_BYTES;
		int r = read_stored(c, bytes);
		if (r < 0)
			return r;
	}
	if (!parse_header(c, stored_item(c, want), &header))
		return fail_item(c);
	want += header.meta_bytes;
	if (!stored_item(c, want)) {
		int r = read_stored(c, want);
		if (r < 0)
			return r;
	}
	const uint8_t *stored = stored_item(c, want);
	c->chunk.raw_meta.size = 0;
	int r = stored ? chunk_decode_meta(&header, chunk_meta_of(stored), &c->chunk.raw_meta)
		       : -EBADMSG;
	if (r < 0)
		return r == -EBADMSG ? fail_item(c) : r;
	*ret_header = header;
	return 0;
}

/* ---- chunks ---- */

static bool is_key(const struct cursor *c, const uint8_t *key, size_t bytes)
{
	return bytes == c->key_bytes && key && !memcmp(key, c->key, bytes);
}

static bool meta_has_key(const struct cursor *c, const struct meta_view *meta)
{
	if (!meta->codes)
		return is_key(c, meta->single_key, meta->single_key_bytes);
	for (uint64_t i = 0; i < meta->table_count; i++)
		if (is_key(c, meta->table[i].data, meta->table[i].bytes))
			return true;
	return false;
}

/* Whether the item at hand can have records of the key. */
static int look_for_key(struct cursor *c, bool *ret_has)
{
	*ret_has = false;
	if (!(item_of(c)->flags & INDEX_HAS_META))
		return 0;
	struct chunk header;
	struct meta_view meta;
	int r = load_meta(c, &header);
	if (r < 0)
		return r;
	r = meta_view_init(&meta, &c->chunk.raw_meta, 0);
	if (r < 0)
		return r == -EBADMSG ? fail_item(c) : r;
	*ret_has = meta_has_key(c, &meta);
	meta_view_fini(&meta);
	return 0;
}

static int decode(struct cursor *c, const uint8_t *stored)
{
	const struct chunk *header = &c->chunk.header;
	struct buf *text = &c->chunk.text, *raw_meta = &c->chunk.raw_meta;
	text->size = raw_meta->size = 0;
	int r = buf_reserve(text, header->text_bytes);
	if (r == 0)
		r = chunk_decode(header, chunk_frame_of(header, stored), text->data);
	if (r == 0)
		r = chunk_decode_meta(header, chunk_meta_of(stored), raw_meta);
	if (r == 0)
		r = meta_view_init(&c->chunk.meta, raw_meta, header->arrival_ms);
	if (r < 0)
		return r == -EBADMSG ? fail_item(c) : r;
	text->size = header->text_bytes;
	return 0;
}

/* BETWEEN to LOADED: decodes the item at hand. */
static int load_chunk(struct cursor *c)
{
	const uint8_t *stored = NULL;
	int r = load_stored(c, &stored);
	if (r == 0)
		r = decode(c, stored);
	if (r < 0)
		return r;
	const struct chunk *header = &c->chunk.header;
	c->state = CURSOR_LOADED;
	c->chunk.at = c->chunk.head_end = 0;
	c->chunk.broken = false;
	c->chunk.sequence = header->first_sequence;
	c->chunk.continues = header->incompatible & CHUNK_CONTINUES;
	c->chunk.uniform = header->arrival_ms == header->last_arrival_ms && !c->chunk.meta.codes;
	return 0;
}

/* The text offset of a byte of the chunk at hand. */
static uint64_t offset_in_shard(const struct cursor *c, size_t at)
{
	return c->chunk.header.text_offset + at;
}

static bool head_ends_record(const struct cursor *c)
{
	return c->chunk.text.data[c->chunk.head_end - 1] == '\n';
}

/* ---- records ---- */

/* Moves behind the head. */
static void pass_head(struct cursor *c)
{
	c->chunk.sequence += head_ends_record(c);
	c->chunk.at = c->chunk.head_end;
	c->chunk.continues = false;
}

/*
 * Whether the head is a record to return: not before the offset, of the key, and not the rest of
 * one whose beginning was not returned.
 */
static bool is_wanted(const struct cursor *c)
{
	if (offset_in_shard(c, c->chunk.at) < c->offset || (c->chunk.continues && !c->in_record))
		return false;
	return !c->key || is_key(c, c->chunk.head.key, c->chunk.head.key_bytes);
}

/*
 * Makes the chunk's next record to return its head. -ENODATA: the chunk has none. -EBADMSG: its
 * meta ends before.
 */
static int find_head(struct cursor *c)
{
	assert(has_chunk(c));
	const struct buf *text = &c->chunk.text;
	while (!has_head(c)) {
		size_t at = c->chunk.at;
		if (at == text->size)
			return -ENODATA;
		c->chunk.broken =
			c->chunk.broken || meta_view_next(&c->chunk.meta, &c->chunk.head) < 0;
		if (c->chunk.broken)
			return -EBADMSG;
		const uint8_t *newline = memchr(text->data + at, '\n', text->size - at);
		c->chunk.head_end = newline ? (size_t)(newline - text->data) + 1 : text->size;
		if (!is_wanted(c))
			pass_head(c);
	}
	return 0;
}

/* Loads the next chunk that has a record to return, and finds that record. */
static int next_chunk(struct cursor *c)
{
	for (;;) {
		int r = load_span(c);
		if (r < 0)
			return r;
		bool has = true;
		if (item_of(c)->flags & INDEX_DAMAGED)
			return fail_item(c);
		if (c->key)
			r = look_for_key(c, &has);
		if (r == 0 && has)
			r = load_chunk(c);
		if (r < 0)
			return r;
		r = has ? find_head(c) : -ENODATA;
		if (r != -ENODATA)
			return r < 0 ? fail_item(c) : 0;
		pass_item(c, false);
	}
}

/* Makes the next record to return the head, in this chunk or in a later one. */
static int seek_head(struct cursor *c)
{
	assert(c->state != CURSOR_IN_RUN);
	if (c->state == CURSOR_FAILED)
		return c->failure.error;
	if (c->state == CURSOR_BETWEEN)
		return next_chunk(c);
	int r = find_head(c);
	if (r != -ENODATA)
		return r < 0 ? fail_item(c) : 0;
	pass_item(c, c->in_record);
	return next_chunk(c);
}

int cursor_record(struct cursor *c, struct cursor_record *ret_record)
{
	int r = seek_head(c);
	if (r < 0)
		return r;
	const struct meta_record *head = &c->chunk.head;
	if (!c->chunk.continues) {
		c->record.offset = offset_in_shard(c, c->chunk.at);
		c->record.arrival_ms = head->arrival_ms;
	}
	*ret_record = (struct cursor_record){
		.text = c->chunk.text.data + c->chunk.at,
		.bytes = c->chunk.head_end - c->chunk.at,
		.first = !c->chunk.continues,
		.last = head_ends_record(c),
		.sequence = c->chunk.sequence,
		.offset = c->record.offset,
		.arrival_ms = c->record.arrival_ms,
		.key = head->key,
		.key_bytes = head->key_bytes,
		.claimed = head->has_claim,
	};
	return 0;
}

void cursor_pass(struct cursor *c)
{
	assert(c->state == CURSOR_LOADED && has_head(c));
	c->in_record = !head_ends_record(c);
	pass_head(c);
	c->offset = offset_in_shard(c, c->chunk.at);
	c->arrival_known = false;
	if (c->chunk.at == c->chunk.text.size)
		pass_item(c, c->in_record);
}

bool cursor_begins_chunk(const struct cursor *c, uint64_t *ret_json_offset)
{
	assert(c->state == CURSOR_LOADED && has_head(c));
	if (c->chunk.at || c->chunk.continues)
		return false;
	*ret_json_offset = c->chunk.header.json_offset;
	return true;
}

bool cursor_in_record(const struct cursor *c)
{
	return c->in_record;
}

/* ---- arrivals ---- */

/* The arrival of what is at the offset, where the index alone has it. */
static bool arrival_by_index(const struct cursor *c, uint64_t *ret_ms)
{
	const struct index_item *item = item_of(c);
	if (c->key || item->start.offset != c->offset ||
		item->flags & (INDEX_DAMAGED | INDEX_CONTINUES))
		return false;
	*ret_ms = item->arrival_ms;
	return true;
}

static int find_arrival(struct cursor *c, uint64_t *ret_ms)
{
	if (c->state == CURSOR_IN_RUN) { /* that of its first record: it is not behind `until_ms` */
		*ret_ms = c->arrival_ms;
		return 0;
	}
	if (c->state == CURSOR_BETWEEN) {
		int r = load_span(c);
		if (r < 0)
			return r;
		if (arrival_by_index(c, ret_ms))
			return 0;
	}
	int r = seek_head(c);
	if (r == 0)
		*ret_ms = c->chunk.head.arrival_ms;
	return r;
}

int cursor_arrival(struct cursor *c, uint64_t *ret_ms)
{
	if (c->state == CURSOR_FAILED)
		return c->failure.error;
	if (!c->arrival_known) {
		int r = find_arrival(c, &c->arrival_ms);
		if (r < 0)
			return r;
		c->arrival_known = true;
	}
	*ret_ms = c->arrival_ms;
	return 0;
}

/* ---- runs ---- */

/* LOADED, or BETWEEN, to IN_RUN: records that lie side by side and arrived in time. */
static int find_run(struct cursor *c, uint64_t until_ms)
{
	int r = seek_head(c);
	if (r < 0)
		return r;
	c->state = CURSOR_IN_RUN;
	c->run.at = c->chunk.at;
	c->offset = offset_in_shard(c, c->chunk.at);
	if (c->chunk.uniform) {
		c->run.end = c->chunk.at = c->chunk.text.size;
		return 0;
	}
	do {
		c->run.end = c->chunk.head_end;
		pass_head(c);
		r = find_head(c);
	} while (r == 0 && c->chunk.at == c->run.end && c->chunk.head.arrival_ms <= until_ms);
	return 0; /* what failed fails again when it is reached */
}

int cursor_text(struct cursor *c, uint64_t until_ms, const uint8_t **ret_text, size_t *ret_bytes)
{
	if (c->state == CURSOR_FAILED)
		return c->failure.error;
	if (c->state != CURSOR_IN_RUN) {
		int r = find_run(c, until_ms);
		if (r < 0)
			return r;
	}
	*ret_text = c->chunk.text.data + c->run.at;
	*ret_bytes = c->run.end - c->run.at;
	return 0;
}

void cursor_take(struct cursor *c, size_t bytes)
{
	assert(c->state == CURSOR_IN_RUN && bytes > 0 && bytes <= c->run.end - c->run.at);
	c->run.at += bytes;
	c->offset = offset_in_shard(c, c->run.at);
	c->arrival_known = false;
	c->in_record = c->chunk.text.data[c->run.at - 1] != '\n';
	if (c->run.at < c->run.end)
		return;
	c->state = CURSOR_LOADED;
	if (c->chunk.at == c->chunk.text.size)
		pass_item(c, c->in_record);
}

/* ---- metas, skips and trims ---- */

int cursor_meta(struct cursor *c, struct cursor_meta *ret_meta)
{
	for (;;) {
		int r = load_span(c);
		if (r < 0)
			return r;
		if (item_of(c)->flags & INDEX_DAMAGED)
			return fail_item(c);
		if (!(item_of(c)->flags & INDEX_HAS_META)) {
			pass_item(c, false);
			continue;
		}
		struct cursor_meta meta;
		r = load_meta(c, &meta.chunk);
		if (r < 0)
			return r;
		r = meta_view_init(&meta.view, &c->chunk.raw_meta, meta.chunk.arrival_ms);
		if (r < 0)
			return r == -EBADMSG ? fail_item(c) : r;
		*ret_meta = meta;
		pass_item(c, false);
		return 0;
	}
}

static uint64_t horizon_offset(const struct cursor *c)
{
	SCOPED_LOCK(&c->shard->lock);
	return c->shard->horizon.offset;
}

void cursor_skip(struct cursor *c)
{
	drop_span(c);
	if (c->state == CURSOR_FAILED) {
		bool stale = c->failure.error == -ESTALE;
		uint64_t end = stale ? horizon_offset(c) : c->failure.end;
		TRACE(read, "shard %u: a cursor skips from offset %" PRIu64 " to %" PRIu64,
			c->shard->number, c->offset, end);
		if (c->offset < end)
			c->offset = end;
	}
	c->state = CURSOR_BETWEEN;
	c->in_record = c->arrival_known = false;
}

bool cursor_has_more(const struct cursor *c)
{
	if (c->state != CURSOR_BETWEEN)
		return true;
	SCOPED_LOCK(&c->shard->lock);
	return c->offset < c->shard->end.offset;
}

int cursor_check_horizon(struct cursor *c)
{
	if (c->state == CURSOR_FAILED)
		return c->failure.error;
	uint64_t horizon = horizon_offset(c);
	return c->offset < horizon ? fail(c, -ESTALE, horizon) : 0;
}
