/* SPDX-License-Identifier: MIT */
#include "check_chunk.h"

#include "meta.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What is wrong with how the chunk follows on what came before it. NULL: nothing. */
static const char *order_fault(const struct shard_walk *walk, const struct chunk *c)
{
	bool continues = c->incompatible & CHUNK_CONTINUES;
	if (walk->knows_sequence && c->first_sequence != walk->end.sequence)
		return "its sequence numbers do not go on from the chunk before";
	if (walk->knows_sequence && c->json_offset != walk->end.json_offset)
		return "its JSON offset does not go on from the chunk before";
	if (walk->knows_sequence && continues != walk->open_record)
		return "its first record does not go on from the chunk before";
	if (c->arrival_ms < walk->last_arrival_ms)
		return "it arrived before the chunk before it";
	if (c->synced_offset > c->text_offset)
		return "it tells that more was durable than was written";
	return NULL;
}

static const char *text_fault(const struct chunk *c, const uint8_t *text)
{
	uint64_t newlines = 0;
	const uint8_t *p = text, *end = text + c->text_bytes;
	while ((p = memchr(p, '\n', (size_t)(end - p)))) {
		newlines++;
		if (++p == end)
			break;
	}
	if (newlines != c->record_count)
		return "its text has another number of lines than its header says";
	if ((end[-1] == '\n') == !!(c->incompatible & CHUNK_OPEN_END))
		return "its text ends otherwise than its header says";
	return NULL;
}

/* A record while a chunk's text and meta are walked side by side. */
struct record_walk {
	const uint8_t *line, *end;
	uint64_t text_offset; /* of the line */
	uint64_t sequence;
	bool begins_here;
	uint64_t json_bytes; /* of the lines before */
	bool knows_json;
};

/* The rest of the text is a record that goes on in the next chunk: its beginning, or more of it. */
static void open_record(struct shard_walk *walk, const struct record_walk *w)
{
	if (w->line == w->end)
		return;
	if (w->begins_here) {
		walk->record.known = true;
		walk->record.offset = w->text_offset;
		walk->record.scan = (struct json_scan){0};
	}
	json_scan(&walk->record.scan, w->line, (size_t)(w->end - w->line));
}

/* Adds the line's length as JSON. One that began in an earlier chunk was scanned up to here. */
static void add_json(struct shard_walk *walk, struct record_walk *w, size_t bytes,
	const struct meta_record *record)
{
	struct json_record json = {
		.shard = walk->shard->number,
		.sequence = w->sequence,
		.offset = w->begins_here ? w->text_offset : walk->record.offset,
		.key = (const char *)record->key,
		.key_bytes = record->key_bytes,
	};
	if (w->begins_here) {
		w->json_bytes += json_record_bytes(&json, w->line, bytes, record->has_claim);
		return;
	}
	w->knows_json = walk->record.known;
	walk->record.known = false;
	json_scan(&walk->record.scan, w->line, bytes);
	w->json_bytes += json_record_scanned_bytes(&json, &walk->record.scan);
}

static void check_claim(struct shard_walk *walk, const struct index_item *item,
	const struct record_walk *w, size_t bytes, const struct claim *claim)
{
	char hex[65];
	digest_to_hex(claim->digest, hex);
	struct blob_seen *seen = blob_check_find(walk->blobs, claim->digest);
	if (seen)
		seen->named = true;
	if (!claim_check_names(w->line, bytes, claim))
		walk_finding(walk, false, item->file_offset,
			"the record at text %" PRIu64 " stands for %s, but does not say so",
			w->text_offset, hex);
	if (!walk->blobs->complete || w->text_offset < walk->mark.horizon.offset)
		return; /* a trimmed record's blob may be gone */
	if (!seen)
		walk_finding(walk, false, item->file_offset,
			"the record at text %" PRIu64 " names %s/%.2s/%s.lz4, which is missing",
			w->text_offset, walk->blobs->path, hex, hex);
	else if (seen->sound && seen->payload_bytes != claim->payload_bytes)
		walk_finding(walk, false, item->file_offset,
			"the record at text %" PRIu64 " says that %s has %" PRIu64
			" bytes; it has %" PRIu64,
			w->text_offset, hex, claim->payload_bytes, seen->payload_bytes);
}

/* Whether the chunk's records used up every section. */
static bool is_used_up(const struct meta_view *v)
{
	return v->codes == v->codes_end && v->times == v->times_end && v->claims == v->claims_end &&
	       v->table_next == v->table_count && !v->run_left && !v->claims_left && !v->claim_wait;
}

/* Compares the watermark's JSON offsets, if the record that begins here is at one of them. */
static void check_json_mark(struct shard_walk *walk, const struct index_item *item,
	const struct record_walk *w, uint64_t json_offset)
{
	const struct watermark *m = &walk->mark;
	if (!walk->has_mark || !w->knows_json || !w->begins_here)
		return;
	if (w->text_offset == m->horizon.offset && json_offset != m->horizon.json_offset)
		walk_finding(walk, false, item->file_offset,
			"text %" PRIu64 " is at JSON offset %" PRIu64
			", but the horizon says %" PRIu64,
			w->text_offset, json_offset, m->horizon.json_offset);
	if (w->text_offset == m->synced.offset && json_offset != m->synced.json_offset)
		walk_finding(walk, false, item->file_offset,
			"text %" PRIu64 " is at JSON offset %" PRIu64
			", but the watermark says %" PRIu64,
			w->text_offset, json_offset, m->synced.json_offset);
}

/* Walks text and meta side by side. The text was checked: each record has its line. */
static const char *walk_records(struct shard_walk *walk, const struct index_item *item,
	const struct chunk *c, struct meta_view *view)
{
	struct record_walk w = {
		.line = walk->text.data,
		.end = walk->text.data + c->text_bytes,
		.text_offset = c->text_offset,
		.sequence = c->first_sequence,
		.begins_here = !(c->incompatible & CHUNK_CONTINUES),
		.knows_json = true,
	};
	uint64_t arrival_ms = c->arrival_ms;
	for (uint32_t i = 0; i < c->record_count; i++) {
		struct meta_record record;
		check_json_mark(walk, item, &w, c->json_offset + w.json_bytes);
		const uint8_t *newline = memchr(w.line, '\n', (size_t)(w.end - w.line));
		if (!newline || meta_view_next(view, &record) < 0)
			return "its meta is damaged";
		if (record.arrival_ms < arrival_ms)
			return "its records arrived in another order than its header says";
		arrival_ms = record.arrival_ms;
		if (record.has_claim && !w.begins_here)
			return "its meta calls the end of a long record a claim check";
		if (record.has_claim)
			check_claim(walk, item, &w, (size_t)(newline - w.line), &record.claim);
		add_json(walk, &w, (size_t)(newline - w.line), &record);
		w.sequence++;
		w.text_offset += (uint64_t)(newline + 1 - w.line);
		w.line = newline + 1;
		w.begins_here = true;
	}
	open_record(walk, &w);
	if (c->record_count && arrival_ms != c->last_arrival_ms)
		return "its last record arrived at another time than its header says";
	if (!is_used_up(view))
		return "its meta tells of more records than it has";
	return w.knows_json && w.json_bytes != c->json_bytes
		       ? "its records are of another length as JSON than its header says"
		       : NULL;
}

static int check_meta(struct shard_walk *walk, const struct index_item *item, const struct chunk *c,
	const char **ret_fault)
{
	walk->meta.size = 0;
	int r = chunk_decode_meta(c, chunk_meta_of(walk->stored.data), &walk->meta);
	struct meta_view view;
	if (r == 0)
		r = meta_view_init(&view, &walk->meta, c->arrival_ms);
	if (r == -EBADMSG)
		*ret_fault = "its meta is damaged";
	if (r < 0)
		return r == -EBADMSG ? 0 : r;
	*ret_fault = walk_records(walk, item, c, &view);
	meta_view_fini(&view);
	return 0;
}

/* Compares a sequence number of the watermark, if its text offset is in this chunk. */
static void check_mark(struct shard_walk *walk, const struct index_item *item,
	const struct chunk *c, uint64_t offset, uint64_t sequence, const char *what)
{
	if (!walk->has_mark || offset < c->text_offset || offset >= c->text_offset + c->text_bytes)
		return;
	const uint8_t *p = walk->text.data, *end = p + (offset - c->text_offset);
	uint64_t actual = c->first_sequence;
	for (; p < end && (p = memchr(p, '\n', (size_t)(end - p))); p++)
		actual++;
	if (actual != sequence)
		walk_finding(walk, false, item->file_offset,
			"text %" PRIu64 " is of record %" PRIu64 ", but the %s says %" PRIu64,
			offset, actual, what, sequence);
}

static int read_chunk(struct shard_walk *walk, const struct index_item *item, uint64_t text_bytes,
	struct chunk *ret_chunk)
{
	walk->stored.size = 0;
	int r = buf_reserve(&walk->stored, item->stored_bytes);
	size_t got = 0;
	if (r == 0)
		r = disk_read(walk_disk(walk), walk->fd, item->file_offset, walk->stored.data,
			item->stored_bytes, &got);
	if (r < 0)
		return r;
	if (got < item->stored_bytes)
		return -EBADMSG;
	return segment_check_chunk(
		item, walk->shard->tag, text_bytes, walk->stored.data, ret_chunk);
}

static int decode_text(struct shard_walk *walk, const struct chunk *c)
{
	walk->text.size = 0;
	int r = buf_reserve(&walk->text, c->text_bytes);
	return r < 0 ? r : chunk_decode(c, chunk_frame_of(c, walk->stored.data), walk->text.data);
}

static int check_content(struct shard_walk *walk, const struct index_item *item,
	const struct chunk *c, const char **ret_fault)
{
	int r = decode_text(walk, c);
	if (r < 0) {
		*ret_fault = "its text is damaged";
		return r == -EBADMSG ? 0 : r;
	}
	*ret_fault = text_fault(c, walk->text.data);
	if (*ret_fault)
		return 0;
	const struct watermark *w = &walk->mark;
	check_mark(walk, item, c, w->horizon.offset, w->horizon.sequence, "horizon");
	check_mark(walk, item, c, w->synced.offset, w->synced.sequence, "watermark");
	return check_meta(walk, item, c, ret_fault);
}

/* Goes behind the chunk, by its header. */
static void go_on(struct shard_walk *walk, const struct chunk *c)
{
	walk->knows_sequence = true;
	walk->end.sequence = c->first_sequence + c->record_count;
	walk->end.json_offset = c->json_offset + c->json_bytes;
	walk->open_record = c->incompatible & CHUNK_OPEN_END;
	if (c->last_arrival_ms > walk->last_arrival_ms)
		walk->last_arrival_ms = c->last_arrival_ms;
}

int check_chunk(struct shard_walk *walk, const struct index_item *item, uint64_t text_bytes)
{
	struct chunk c;
	int r = read_chunk(walk, item, text_bytes, &c);
	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		walk_lose_sequence(walk);
		walk_finding(walk, false, item->file_offset, "a chunk that cannot be read: %s",
			r == -EBADMSG ? "its header is damaged" : strerror(-r));
		return 0;
	}
	const char *fault = order_fault(walk, &c);
	go_on(walk, &c);
	const char *content_fault = NULL;
	r = check_content(walk, item, &c, &content_fault);
	if (r < 0)
		return r;
	if (content_fault)
		walk->record.known = false;
	fault = content_fault ? content_fault : fault;
	if (fault)
		walk_finding(walk, false, item->file_offset,
			"the chunk of text %" PRIu64 " to %" PRIu64 ": %s", c.text_offset,
			c.text_offset + c.text_bytes, fault);
	checker_progress(walk->checker, item->stored_bytes);
	walk->checker->summary.chunks++;
	walk->checker->summary.records += c.record_count;
	return 0;
}
