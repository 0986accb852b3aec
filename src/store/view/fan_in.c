/* SPDX-License-Identifier: MIT */
#include "fan_in.h"

#include "cleanup.h"
#include "lock.h"
#include "hash_range.h"
#include "stream.h"
#include "trace.h"

#include <inttypes.h>

enum { RENDER_BYTES = 64 << 10 }; /* JSON that is rendered at a time */

/* ---- the table of sources ---- */

static void free_source(struct fan_in *f, struct source *s)
{
	loaded_park(&f->loaded, s);
	source_free(s);
}

static struct source *find_source(const struct fan_in *f, uint32_t number)
{
	size_t low = 0, high = f->sources.count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (f->sources.items[middle]->shard->number < number)
			low = middle + 1;
		else
			high = middle;
	}
	struct source *s = low < f->sources.count ? f->sources.items[low] : NULL;
	return s && s->shard->number == number ? s : NULL;
}

/* Whether records of the view can be in the shard. */
static bool has_part(const struct fan_in *f, const struct sfs_shard *shard, struct hash_key hash)
{
	return f->spec->filter == SFS_OF_ALL ||
	       (hash_key_le(shard->hash_first, hash) && hash_key_le(hash, shard->hash_last));
}

/*
 * Its shard is gone: the records that were not read are lost. Or numbering started over before
 * there were any records, and another shard has the number now.
 */
static void drop_source(struct fan_in *f, struct source *s)
{
	f->lost = f->lost || source_lost_records(s);
	if (f->current == s)
		f->current = NULL;
	if (f->out.source == s)
		f->out.source = NULL;
	free_source(f, s);
}

/* Fills a new table with the present shards. Those that are known keep their source. */
static int list_sources(struct fan_in *f, struct source_vector *table)
{
	struct hash_key hash = {0};
	if (f->spec->filter == SFS_OF_KEY)
		hash = hash_key_of(f->spec->key, f->spec->key_bytes);
	for (size_t i = 0; i < f->stream->table.count; i++) {
		struct sfs_shard *shard = f->stream->table.shards[i];
		if (!has_part(f, shard, hash))
			continue;
		struct source *s = find_source(f, shard->number);
		bool known = s && s->shard == shard;
		if (!known)
			s = source_new(shard, f->spec);
		if (!s)
			return -ENOMEM;
		s->kept = known;
		s->from_first = known ? s->from_first : f->listed;
		s->closed = shard->closed;
		assert(!table->count ||
			table->items[table->count - 1]->shard->number < shard->number);
		table->items[table->count++] = s;
	}
	return 0;
}

/* Gives up a new table that could not be filled. */
static void discard_table(struct fan_in *f, struct source_vector *table)
{
	for (size_t i = 0; i < table->count; i++)
		if (!table->items[i]->kept)
			source_free(table->items[i]);
	for (size_t i = 0; i < f->sources.count; i++)
		f->sources.items[i]->kept = false;
	vector_fini(table);
}

/* Puts a new table in the place of the old one. The heap is made again, of what stays. */
static void set_table(struct fan_in *f, struct source_vector *table)
{
	for (size_t i = 0; i < f->sources.count; i++) {
		struct source *s = f->sources.items[i];
		if (s->kept)
			s->kept = false;
		else
			drop_source(f, s);
	}
	vector_fini(&f->sources);
	f->sources = *table;
	vector_clear(&f->heap);
	for (size_t i = 0; i < table->count; i++)
		table->items[i]->queued = table->items[i] == f->current;
}

static int refresh_locked(struct fan_in *f)
{
	ASSERT_RDLOCKED(&f->stream->home.lock);
	f->removed = f->stream->home.removed;
	if (f->removed)
		return -ENOENT;
	unsigned shape = atomic_load(&f->stream->shape);
	struct source_vector table = {0};
	int r = vector_reserve(&table, f->stream->table.count);
	if (r == 0)
		r = vector_reserve(&f->heap, f->stream->table.count);
	if (r == 0)
		r = list_sources(f, &table);
	if (r < 0) {
		discard_table(f, &table);
		return r;
	}
	set_table(f, &table);
	f->shape = shape;
	f->listed = true;
	TRACE(read, "stream %" PRIu64 ": a fan-in over %zu of %zu shards", f->stream->id,
		f->sources.count, f->stream->table.count);
	return 0;
}

/* Brings the table up to date. Takes no lock as a rule, because home.lock can be held for long. */
static int refresh(struct fan_in *f)
{
	if (f->listed && !f->removed && atomic_load(&f->stream->shape) == f->shape)
		return 0;
	SCOPED_RDLOCK(&f->stream->home.lock);
	return refresh_locked(f);
}

/* ---- the order ---- */

/* Looks for the source's next record. -ENODATA: there is none at present. */
static int peek(struct fan_in *f, struct source *s)
{
	int r = source_peek(s, f->spec);
	s->queued = r == 0;
	if (r < 0)
		loaded_park(&f->loaded, s);
	else if (s->started)
		loaded_use(&f->loaded, s, f->current);
	return r;
}

static bool is_blocked(const struct fan_in *f, const struct source *s)
{
	for (uint32_t i = 0; i < s->shard->parent_count; i++) {
		const struct source *parent = find_source(f, s->shard->parents[i]);
		if (parent && !parent->done)
			return true;
	}
	return false;
}

/* Queues each source that has a next record and may have its turn. Parents stand before children.
 */
static void gather(struct fan_in *f)
{
	for (size_t i = 0; i < f->sources.count; i++) {
		struct source *s = f->sources.items[i];
		if (s->queued || s->done || is_blocked(f, s))
			continue;
		if (peek(f, s) == 0)
			source_heap_push(&f->heap, s);
	}
}

static void release_current(struct fan_in *f)
{
	f->current->queued = false;
	f->current = NULL;
}

/* Makes the source current whose record is next. -ENODATA: there is none. */
static int choose(struct fan_in *f)
{
	struct source *s = f->current;
	if (s && cursor_in_record(&s->cursor))
		return 0;
	if (s && peek(f, s) == -ENODATA) {
		release_current(f);
		if (s->done)
			gather(f);
	} else if (s && f->heap.count && f->heap.items[0]->head_ms < s->head_ms) {
		source_heap_push(&f->heap, s);
		f->current = NULL;
	}
	if (!f->current && !f->heap.count)
		return -ENODATA;
	if (!f->current)
		f->current = source_heap_pop(&f->heap);
	assert(f->current->queued);
	return 0;
}

/* Records of the current source are next up to this arrival. */
static uint64_t until_ms(const struct fan_in *f)
{
	return f->heap.count ? f->heap.items[0]->head_ms : UINT64_MAX;
}

/* ---- reading ---- */

/* What makes the current source unreadable, if anything does. */
static int check_current(struct fan_in *f)
{
	struct source *s = f->current;
	if (s->error)
		return s->error;
	if (s->checked_turn == f->turn)
		return 0;
	s->checked_turn = f->turn;
	return cursor_check_horizon(&s->cursor);
}

static int copy_text(struct fan_in *f, uint8_t *buffer, size_t room, size_t *ret_bytes)
{
	struct cursor *cursor = &f->current->cursor;
	const uint8_t *text;
	size_t bytes;
	int r = cursor_text(cursor, until_ms(f), &text, &bytes);
	if (r < 0)
		return r;
	if (bytes > room)
		bytes = room;
	memcpy(buffer, text, bytes);
	cursor_take(cursor, bytes);
	*ret_bytes = bytes;
	return 0;
}

static void drop_rendered(struct rendered *out)
{
	out->bytes.size = out->at = 0;
	out->source = NULL;
}

/* Drops what was rendered ahead if a trim took its records in the meantime. */
static void drop_trimmed(struct fan_in *f)
{
	struct rendered *out = &f->out;
	struct source *s = out->source;
	if (!s || s != f->current || out->at >= out->bytes.size)
		return;
	size_t i = out->marks.count - 1;
	while (i > 0 && out->marks.items[i].at > out->at)
		i--;
	uint64_t offset = out->marks.items[i].text_offset;
	{
		SCOPED_LOCK(&s->shard->lock);
		if (offset >= s->shard->horizon.offset)
			return;
	}
	drop_rendered(out);
	cursor_stale(&s->cursor, offset);
}

/* Renders records of the current source while they are next. */
static int render(struct fan_in *f)
{
	struct cursor *cursor = &f->current->cursor;
	struct rendered *out = &f->out;
	int r;
	uint64_t ms;
	buf_reset(&out->bytes, 2 * RENDER_BYTES);
	vector_clear(&out->marks);
	out->at = 0;
	out->source = f->current;
	do {
		struct render_mark mark = {out->bytes.size, cursor->offset};
		r = vector_push(&out->marks, mark);
		if (r == 0)
			r = render_next(&f->renderer, cursor, &out->bytes);
		if (r < 0 || out->bytes.size >= RENDER_BYTES)
			break;
		if (!cursor_in_record(cursor))
			r = cursor_arrival(cursor, &ms) == 0 && ms <= until_ms(f) ? 0 : -ENODATA;
	} while (r == 0);
	return out->bytes.size ? 0 : r; /* what failed fails again when it is next */
}

static size_t copy_rendered(struct rendered *out, uint8_t *buffer, size_t room)
{
	size_t bytes = out->bytes.size - out->at;
	if (bytes > room)
		bytes = room;
	if (bytes)
		memcpy(buffer, out->bytes.data + out->at, bytes);
	out->at += bytes;
	return bytes;
}

/* One step: more bytes; or none, but rendered records, or one source less. */
static int read_step(struct fan_in *f, uint8_t *buffer, size_t room, size_t *ret_bytes)
{
	*ret_bytes = copy_rendered(&f->out, buffer, room);
	if (*ret_bytes)
		return 0;
	int r = choose(f);
	if (r == 0)
		r = check_current(f);
	if (r < 0)
		return r;
	if (f->spec->json)
		r = render(f);
	else
		r = copy_text(f, buffer, room, ret_bytes);
	loaded_use(&f->loaded, f->current, f->current);
	if (r == -ENODATA && !cursor_in_record(&f->current->cursor)) {
		release_current(f);
		return 0;
	}
	return r;
}

static void trace_error(const struct fan_in *f, int error)
{
	if (f->current)
		TRACE(read, "stream %" PRIu64 " shard %u: at offset %" PRIu64 ": %s", f->stream->id,
			f->current->shard->number, f->current->cursor.offset, strerror(-error));
	else
		TRACE(read, "stream %" PRIu64 ": %s", f->stream->id, strerror(-error));
}

int fan_in_read(struct fan_in *f, void *buffer, size_t bytes, size_t *ret_bytes)
{
	int r = refresh(f);
	if (r == 0 && f->lost)
		r = -ESTALE;
	if (r < 0)
		return r;
	f->turn++;
	drop_trimmed(f);
	gather(f);
	size_t done = 0;
	while (r == 0 && done < bytes) {
		size_t n;
		r = read_step(f, (uint8_t *)buffer + done, bytes - done, &n);
		if (r == 0)
			done += n;
	}
	if (done)
		f->mid_record = ((uint8_t *)buffer)[done - 1] != '\n';
	if (r < 0 && r != -ENODATA && !done) {
		trace_error(f, r);
		return r;
	}
	*ret_bytes = done;
	return 0;
}

/* Gives up what the current source failed at. */
static void skip_current(struct fan_in *f)
{
	struct source *s = f->current;
	s->done = s->done || s->error;
	s->error = 0;
	cursor_skip(&s->cursor);
	loaded_park(&f->loaded, s);
	release_current(f);
}

int fan_in_skip(struct fan_in *f)
{
	if (f->lost)
		f->lost = false;
	else if (f->current)
		skip_current(f);
	f->renderer = (struct renderer){0};
	if (!f->mid_record || f->out.at < f->out.bytes.size)
		return 0;
	f->mid_record = false; /* what was cut off must not run into the next record */
	drop_rendered(&f->out);
	return buf_append(&f->out.bytes, "\n", 1);
}

/* ---- waiting ---- */

bool fan_in_might_have(struct fan_in *f)
{
	if (f->lost || f->out.at < f->out.bytes.size || atomic_load(&f->stream->shape) != f->shape)
		return true;
	for (size_t i = 0; i < f->sources.count; i++)
		if (source_might_have(f->sources.items[i], f->spec))
			return true;
	return false;
}

struct sfs_shard *fan_in_growing(struct fan_in *f)
{
	struct sfs_shard *growing = NULL;
	for (size_t i = 0; i < f->sources.count; i++) {
		if (f->sources.items[i]->closed)
			continue;
		if (growing)
			return NULL;
		growing = f->sources.items[i]->shard;
	}
	return growing;
}

/* ---- life ---- */

/* Starts each source at the shard's present end. */
static int start_now(struct fan_in *f)
{
	for (size_t i = 0; i < f->sources.count; i++) {
		int r = source_start(f->sources.items[i], f->spec);
		if (r < 0 && r != -EBADMSG)
			return r;
	}
	return 0;
}

int fan_in_init(struct fan_in *f, struct sfs_stream *stream, const struct sfs_view_spec *spec)
{
	*f = (struct fan_in){.stream = stream, .spec = spec};
	loaded_init(&f->loaded);
	int r = refresh(f);
	if (r == 0 && spec->start == SFS_FROM_NOW)
		r = start_now(f);
	if (r < 0)
		fan_in_fini(f);
	return r;
}

void fan_in_fini(struct fan_in *f)
{
	for (size_t i = 0; i < f->sources.count; i++)
		free_source(f, f->sources.items[i]);
	vector_fini(&f->sources);
	vector_fini(&f->heap);
	vector_fini(&f->out.marks);
	buf_fini(&f->out.bytes);
}
