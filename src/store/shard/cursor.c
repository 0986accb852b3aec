/* SPDX-License-Identifier: MIT */
/*
 * The happy path: a span of index items at the offset; the stored bytes of the item at hand and of
 * what fits beside it, in one read; its text; then record by record through text and meta. A chunk
 * whose records all match and came at one time needs no walk: its text is one run.
 */
#include "cursor.h"

#include "cleanup.h"

enum {
	WINDOW_BYTES = 256 << 10, /* stored bytes read together, unless one chunk is larger */
	HEAD_BYTES = 4096,	  /* of a chunk whose meta alone is looked at: header, most metas */
	LOOK_FIRST_BYTES = 32 << 10, /* stored bytes of a chunk from which on that is worth it */
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

static void drop_chunk(struct cursor *c)
{
	if (c->loaded)
		meta_view_fini(&c->meta);
	c->loaded = c->has_head = false;
	c->run_at = c->run_end = 0;
}

static void drop_span(struct cursor *c)
{
	drop_chunk(c);
	if (c->span)
		segment_unref(c->span->segment);
	free(c->span);
	c->span = NULL;
	c->stored.size = 0;
}

void cursor_fini(struct cursor *c)
{
	drop_span(c);
	buf_fini(&c->stored);
	buf_fini(&c->text);
	buf_fini(&c->raw_meta);
}

void cursor_park(struct cursor *c)
{
	cursor_fini(c);
}

size_t cursor_bytes(const struct cursor *c)
{
	size_t bytes = c->stored.capacity + c->text.capacity + c->raw_meta.capacity;
	return bytes + (c->span ? sizeof *c->span : 0);
}

int cursor_fail(struct cursor *c, int error, uint64_t damage_end)
{
	drop_span(c);
	c->error = error;
	c->damage_end = damage_end;
	return error;
}

static int fail_item(struct cursor *c)
{
	(void)shard_note_damage(c->shard, c->span, c->item);
	return cursor_fail(c, -EBADMSG, c->span->ends[c->item]);
}

/* Goes behind the item at hand. */
static void pass_item(struct cursor *c, bool open)
{
	drop_chunk(c);
	c->offset = c->span->ends[c->item++];
	c->arrival_known = false;
	c->open = open;
}

static int load_span(struct cursor *c)
{
	if (c->error)
		return c->error;
	if (c->span && c->item < c->span->count)
		return 0;
	drop_span(c);
	c->span = malloc(sizeof *c->span);
	if (!c->span)
		return -ENOMEM;
	c->item = 0;
	int r = shard_span(c->shard, c->offset, UINT64_MAX, c->span);
	if (r == 0)
		return 0;
	uint64_t limit = c->span->limit;
	drop_span(c);
	if (r == -EBADMSG || r == -ESTALE)
		return cursor_fail(c, r, limit);
	return r;
}

/* Reads `bytes` of the segment from the item at hand on. */
static int read_stored(struct cursor *c, size_t bytes)
{
	uint64_t at = c->span->items[c->item].file_offset;
	c->stored.size = 0;
	int r = buf_reserve(&c->stored, bytes);
	if (r == 0)
		r = disk_read(&c->shard->env->disk, c->span->segment->fd, at, c->stored.data, bytes,
			&c->stored.size);
	if (r < 0)
		c->stored.size = 0;
	c->stored_at = at;
	return r;
}

/* The stored bytes of the item at hand, of which `bytes` are wanted; NULL: not read. */
static const uint8_t *stored_item(const struct cursor *c, size_t bytes)
{
	uint64_t at = c->span->items[c->item].file_offset;
	if (at < c->stored_at || at - c->stored_at > c->stored.size ||
		bytes > c->stored.size - (size_t)(at - c->stored_at))
		return NULL;
	return c->stored.data + (at - c->stored_at);
}

/* Bytes to be read for the item at hand: with the neighbours that fit. */
static size_t window_bytes(const struct cursor *c)
{
	const struct index_item *item = &c->span->items[c->item];
	uint64_t bytes = item->stored_bytes;
	for (size_t i = c->item + 1; i < c->span->count; i++) {
		const struct index_item *next = &c->span->items[i];
		if (next->file_offset != item->file_offset + bytes ||
			bytes + next->stored_bytes > WINDOW_BYTES)
			break;
		bytes += next->stored_bytes;
	}
	return (size_t)bytes;
}

/* The item at hand, whole and with a sound header. */
static int load_stored(struct cursor *c, const uint8_t **ret_stored)
{
	const struct index_item *item = &c->span->items[c->item];
	if (!stored_item(c, item->stored_bytes)) {
		int r = read_stored(c, window_bytes(c));
		if (r < 0)
			return r;
	}
	const uint8_t *stored = stored_item(c, item->stored_bytes);
	uint64_t text_bytes = c->span->ends[c->item] - item->text_offset;
	if (!stored || segment_check_chunk(item, c->shard->tag, text_bytes, stored, &c->chunk) < 0)
		return fail_item(c);
	*ret_stored = stored;
	return 0;
}

/* Looks at the header and the meta of the item at hand alone. */
static int load_meta(struct cursor *c)
{
	const struct index_item *item = &c->span->items[c->item];
	uint64_t text_bytes = c->span->ends[c->item] - item->text_offset;
	size_t want = sizeof(struct chunk_header);
	if (!stored_item(c, want)) {
		size_t bytes = item->stored_bytes < LOOK_FIRST_BYTES ? window_bytes(c) : HEAD_BYTES;
		int r = read_stored(c, bytes);
		if (r < 0)
			return r;
	}
	const uint8_t *stored = stored_item(c, want);
	if (!stored || segment_check_chunk(item, c->shard->tag, text_bytes, stored, &c->chunk) < 0)
		return fail_item(c);
	want += c->chunk.meta_bytes;
	if (!stored_item(c, want)) {
		int r = read_stored(c, want);
		if (r < 0)
			return r;
	}
	stored = stored_item(c, want);
	c->raw_meta.size = 0;
	int r = stored ? chunk_decode_meta(&c->chunk, chunk_meta_of(stored), &c->raw_meta)
		       : -EBADMSG;
	return r == -EBADMSG ? fail_item(c) : r;
}

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

/* Whether the chunk at hand can have records of the key. */
static int look_for_key(struct cursor *c, bool *ret_has)
{
	*ret_has = false;
	if (!(c->span->items[c->item].flags & INDEX_HAS_META))
		return 0;
	struct meta_view meta;
	int r = load_meta(c);
	if (r == 0)
		r = meta_view_init(&meta, &c->raw_meta, 0);
	if (r == -EBADMSG && !c->error)
		return fail_item(c);
	if (r < 0)
		return r;
	*ret_has = meta_has_key(c, &meta);
	meta_view_fini(&meta);
	return 0;
}

static int decode(struct cursor *c, const uint8_t *stored)
{
	c->text.size = c->raw_meta.size = 0;
	int r = buf_reserve(&c->text, c->chunk.text_bytes);
	if (r == 0)
		r = chunk_decode(&c->chunk, chunk_frame_of(&c->chunk, stored), c->text.data);
	if (r == 0)
		r = chunk_decode_meta(&c->chunk, chunk_meta_of(stored), &c->raw_meta);
	if (r == 0)
		r = meta_view_init(&c->meta, &c->raw_meta, c->chunk.arrival_ms);
	if (r < 0)
		return r == -EBADMSG ? fail_item(c) : r;
	c->text.size = c->chunk.text_bytes;
	return 0;
}

static int load_chunk(struct cursor *c)
{
	const uint8_t *stored = NULL;
	int r = load_stored(c, &stored);
	if (r == 0)
		r = decode(c, stored);
	if (r < 0)
		return r;
	c->loaded = true;
	c->at = c->run_at = c->run_end = 0;
	c->has_head = c->broken = false;
	c->sequence = c->chunk.first_sequence;
	c->continues = c->chunk.incompatible & CHUNK_CONTINUES;
	c->uniform = c->chunk.arrival_ms == c->chunk.last_arrival_ms && !c->meta.codes;
	return 0;
}

/* Moves behind the record at `at`, whose meta was read. */
static void pass_record(struct cursor *c)
{
	c->sequence += c->text.data[c->head_end - 1] == '\n';
	c->at = c->head_end;
	c->has_head = c->continues = false;
}

/*
 * Whether the record at `at` is one to bring: not before the offset, of the key, and not one whose
 * beginning is lost.
 */
static bool is_wanted(const struct cursor *c)
{
	if (c->chunk.text_offset + c->at < c->offset || (c->continues && !c->open))
		return false;
	return !c->key || is_key(c, c->head.key, c->head.key_bytes);
}

/* Makes `head` the next record to bring. -ENODATA: the chunk has none. -EBADMSG: its meta ends. */
static int find_head(struct cursor *c)
{
	while (!c->has_head) {
		if (c->at == c->text.size)
			return -ENODATA;
		c->broken = c->broken || meta_view_next(&c->meta, &c->head) < 0;
		if (c->broken)
			return -EBADMSG;
		const uint8_t *from = c->text.data + c->at;
		const uint8_t *newline = memchr(from, '\n', c->text.size - c->at);
		c->head_end = newline ? (size_t)(newline - c->text.data) + 1 : c->text.size;
		if (is_wanted(c))
			c->has_head = true;
		else
			pass_record(c);
	}
	return 0;
}

/* Loads the next chunk that has something to bring, and its first record. */
static int next_chunk(struct cursor *c)
{
	for (;;) {
		int r = load_span(c);
		if (r < 0)
			return r;
		bool has = true;
		if (c->span->items[c->item].flags & INDEX_DAMAGED)
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

/* Makes `head` the next record, of this chunk or of a later one. */
static int seek_head(struct cursor *c)
{
	if (c->error)
		return c->error;
	if (!c->loaded)
		return next_chunk(c);
	int r = find_head(c);
	if (r != -ENODATA)
		return r < 0 ? fail_item(c) : 0;
	pass_item(c, c->open);
	return next_chunk(c);
}

/* What lies at the offset, where the index alone tells. */
static bool arrival_by_index(const struct cursor *c, uint64_t *ret_ms)
{
	const struct index_item *item = &c->span->items[c->item];
	if (c->key || item->text_offset != c->offset ||
		item->flags & (INDEX_DAMAGED | INDEX_CONTINUES))
		return false;
	*ret_ms = item->arrival_ms;
	return true;
}

static int find_arrival(struct cursor *c, uint64_t *ret_ms)
{
	if (!c->loaded) {
		int r = load_span(c);
		if (r < 0)
			return r;
		if (arrival_by_index(c, ret_ms))
			return 0;
	}
	if (c->run_at < c->run_end) {
		*ret_ms = c->arrival_ms;
		return 0;
	}
	int r = seek_head(c);
	if (r == 0)
		*ret_ms = c->head.arrival_ms;
	return r;
}

int cursor_arrival(struct cursor *c, uint64_t *ret_ms)
{
	if (c->error)
		return c->error;
	if (!c->arrival_known) {
		int r = find_arrival(c, &c->arrival_ms);
		if (r < 0)
			return r;
		c->arrival_known = true;
	}
	*ret_ms = c->arrival_ms;
	return 0;
}

/* Lengthens the run while the next record lies beside it and came in time. */
static int find_run(struct cursor *c, uint64_t until_ms)
{
	int r = seek_head(c);
	if (r < 0)
		return r;
	c->run_at = c->at;
	c->offset = c->chunk.text_offset + c->at;
	if (c->uniform) {
		c->run_end = c->at = c->text.size;
		c->has_head = false;
		return 0;
	}
	do {
		c->run_end = c->head_end;
		pass_record(c);
		r = find_head(c);
	} while (r == 0 && c->at == c->run_end && c->head.arrival_ms <= until_ms);
	return 0; /* what failed fails again when it is reached */
}

int cursor_text(struct cursor *c, uint64_t until_ms, const uint8_t **ret_text, size_t *ret_bytes)
{
	if (c->error)
		return c->error;
	if (c->run_at == c->run_end) {
		int r = find_run(c, until_ms);
		if (r < 0)
			return r;
	}
	*ret_text = c->text.data + c->run_at;
	*ret_bytes = c->run_end - c->run_at;
	return 0;
}

void cursor_take(struct cursor *c, size_t bytes)
{
	c->run_at += bytes;
	c->offset = c->chunk.text_offset + c->run_at;
	c->arrival_known = false;
	c->open = bytes ? c->text.data[c->run_at - 1] != '\n' : c->open;
	if (c->run_at < c->run_end || c->at < c->text.size)
		return;
	pass_item(c, c->open);
}

bool cursor_in_record(const struct cursor *c)
{
	return c->open;
}

int cursor_record(struct cursor *c, struct cursor_record *ret_record)
{
	int r = seek_head(c);
	if (r < 0)
		return r;
	if (!c->continues) {
		c->record_offset = c->chunk.text_offset + c->at;
		c->record_ms = c->head.arrival_ms;
	}
	*ret_record = (struct cursor_record){
		.text = c->text.data + c->at,
		.bytes = c->head_end - c->at,
		.first = !c->continues,
		.last = c->text.data[c->head_end - 1] == '\n',
		.sequence = c->sequence,
		.offset = c->record_offset,
		.arrival_ms = c->record_ms,
		.key = c->head.key,
		.key_bytes = c->head.key_bytes,
		.claimed = c->head.has_claim,
	};
	return 0;
}

void cursor_pass(struct cursor *c)
{
	c->open = c->text.data[c->head_end - 1] != '\n';
	pass_record(c);
	c->offset = c->chunk.text_offset + c->at;
	c->arrival_known = false;
	if (c->at == c->text.size)
		pass_item(c, c->open);
}

int cursor_meta(struct cursor *c, struct cursor_meta *ret_meta)
{
	for (;;) {
		int r = load_span(c);
		if (r < 0)
			return r;
		const struct index_item *item = &c->span->items[c->item];
		if (item->flags & INDEX_DAMAGED)
			return fail_item(c);
		if (!(item->flags & INDEX_HAS_META)) {
			pass_item(c, false);
			continue;
		}
		r = load_meta(c);
		struct meta_view view;
		if (r == 0)
			r = meta_view_init(&view, &c->raw_meta, c->chunk.arrival_ms);
		if (r < 0)
			return r == -EBADMSG && !c->error ? fail_item(c) : r;
		*ret_meta = (struct cursor_meta){c->chunk, view};
		pass_item(c, false);
		return 0;
	}
}

void cursor_skip(struct cursor *c)
{
	drop_span(c);
	if (c->error == -ESTALE) {
		SCOPED_LOCK(&c->shard->lock);
		if (c->offset < c->shard->horizon_offset)
			c->offset = c->shard->horizon_offset;
	} else if (c->error && c->offset < c->damage_end) {
		c->offset = c->damage_end;
	}
	c->error = 0;
	c->open = c->arrival_known = false;
}

bool cursor_has_more(const struct cursor *c)
{
	if (c->error || c->loaded)
		return true;
	SCOPED_LOCK(&c->shard->lock);
	return c->offset < c->shard->size;
}

int cursor_check_horizon(struct cursor *c)
{
	if (c->error)
		return c->error;
	uint64_t horizon;
	{
		SCOPED_LOCK(&c->shard->lock);
		horizon = c->shard->horizon_offset;
	}
	return c->offset < horizon ? cursor_fail(c, -ESTALE, horizon) : 0;
}
