/* SPDX-License-Identifier: MIT */
#include "merged.h"

#include "cleanup.h"
#include "store.h"
#include "route.h"
#include "since.h"

enum {
	LOADED_MAX = 64,	     /* cursors that hold a chunk and a file */
	LOADED_BYTES_MAX = 64 << 20, /* ... and what they hold */
	RENDER_BYTES = 64 << 10,     /* JSON that is rendered at a time */
};

struct source {
	struct sfs_shard *shard;
	struct cursor cursor;
	bool started;	  /* the cursor is at its first record */
	bool from_first;  /* it came after the view was opened */
	bool closed;	  /* will have no more than it has */
	bool done;	  /* ... and was read to its end */
	bool queued;	  /* in the heap, or at hand */
	bool kept;	  /* while a new list is made: it is on that, too */
	int error;	  /* it could not be opened */
	uint64_t head_ms; /* of its next record; 0 where an error is next */
	uint64_t checked; /* turn in which the horizon was looked at */
	bool is_loaded;
	size_t bytes;
	TAILQ_ENTRY(source) loaded;
};

/* --- the heap --- */

static bool is_before(const struct source *a, const struct source *b)
{
	if (a->head_ms != b->head_ms)
		return a->head_ms < b->head_ms;
	return a->shard->number < b->shard->number;
}

static void heap_push(struct merged *m, struct source *s)
{
	size_t i = m->heap_count++;
	for (; i && is_before(s, m->heap[(i - 1) / 2]); i = (i - 1) / 2)
		m->heap[i] = m->heap[(i - 1) / 2];
	m->heap[i] = s;
}

static struct source *heap_pop(struct merged *m)
{
	struct source *top = m->heap[0], *last = m->heap[--m->heap_count];
	size_t i = 0;
	for (size_t child; (child = 2 * i + 1) < m->heap_count; i = child) {
		if (child + 1 < m->heap_count && is_before(m->heap[child + 1], m->heap[child]))
			child++;
		if (!is_before(m->heap[child], last))
			break;
		m->heap[i] = m->heap[child];
	}
	m->heap[i] = last;
	return top;
}

/* --- what the cursors hold --- */

static void unload(struct merged *m, struct source *s)
{
	if (!s->is_loaded)
		return;
	TAILQ_REMOVE(&m->loaded, s, loaded);
	m->loaded_count--;
	m->loaded_bytes -= s->bytes;
	s->is_loaded = false;
	cursor_park(&s->cursor);
}

/* The cursor was used: the ones that were not for longest are parked. */
static void used(struct merged *m, struct source *s)
{
	if (s->is_loaded) {
		TAILQ_REMOVE(&m->loaded, s, loaded);
		m->loaded_bytes -= s->bytes;
	} else {
		m->loaded_count++;
	}
	s->bytes = cursor_bytes(&s->cursor);
	s->is_loaded = true;
	m->loaded_bytes += s->bytes;
	TAILQ_INSERT_HEAD(&m->loaded, s, loaded);
	while (m->loaded_count > 1 &&
		(m->loaded_count > LOADED_MAX || m->loaded_bytes > LOADED_BYTES_MAX)) {
		struct source *oldest = TAILQ_LAST(&m->loaded, loaded_list);
		if (oldest == m->current || oldest == s)
			oldest = TAILQ_PREV(oldest, loaded_list, loaded);
		if (!oldest || oldest == m->current || oldest == s)
			break;
		unload(m, oldest);
	}
}

/* --- the table of sources --- */

static void source_free(struct merged *m, struct source *s)
{
	unload(m, s);
	cursor_fini(&s->cursor);
	free(s);
}

static struct source *find_source(const struct merged *m, uint32_t number)
{
	size_t low = 0, high = m->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (m->sources[middle]->shard->number < number)
			low = middle + 1;
		else
			high = middle;
	}
	bool found = low < m->count && m->sources[low]->shard->number == number;
	return found ? m->sources[low] : NULL;
}

/* Whether records of the view can be in the shard. */
static bool has_part(const struct merged *m, const struct sfs_shard *shard, struct hash_key hash)
{
	return m->spec->filter == SFS_OF_ALL ||
	       (hash_key_le(shard->hash_first, hash) && hash_key_le(hash, shard->hash_last));
}

static struct source *source_new(struct merged *m, struct sfs_shard *shard)
{
	struct source *s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	s->shard = shard;
	s->from_first = m->listed;
	bool keyed = m->spec->filter == SFS_OF_KEY;
	cursor_init(&s->cursor, shard, 0, keyed ? m->spec->key : NULL, m->spec->key_bytes);
	return s;
}

/*
 * A shard is gone: its records that were not read are lost. Or numbering started over, before there
 * were any records, and it has another range now.
 */
static void drop_source(struct merged *m, struct source *s)
{
	{
		SCOPED_LOCK(&s->shard->lock);
		m->lost = m->lost || (s->shard->removed && s->started && !s->done &&
					     s->cursor.offset < s->shard->size);
	}
	if (m->current == s)
		m->current = NULL;
	if (m->out_source == s)
		m->out_source = NULL;
	source_free(m, s);
}

/* Fills the lists with the present shards; those that are known keep their source. */
static int list_sources(struct merged *m, struct source **sources, size_t *count)
{
	struct hash_key hash = {0};
	if (m->spec->filter == SFS_OF_KEY)
		hash = route_hash(m->spec->key, m->spec->key_bytes);
	for (size_t i = 0; i < m->stream->shard_count; i++) {
		struct sfs_shard *shard = m->stream->shards[i];
		if (!has_part(m, shard, hash))
			continue;
		struct source *s = find_source(m, shard->number);
		bool known = s && s->shard == shard;
		if (!known)
			s = source_new(m, shard);
		if (!s)
			return -ENOMEM;
		s->kept = known;
		s->closed = shard->closed;
		sources[(*count)++] = s;
	}
	return 0;
}

/* Puts a new list in place. The heap is made anew, of what stays. */
static void set_sources(
	struct merged *m, struct source **sources, struct source **heap, size_t count)
{
	for (size_t i = 0; i < m->count; i++) {
		if (!m->sources[i]->kept)
			drop_source(m, m->sources[i]);
		else
			m->sources[i]->kept = false;
	}
	free(m->sources);
	free(m->heap);
	m->sources = sources;
	m->heap = heap;
	m->count = count;
	m->heap_count = 0;
	for (size_t i = 0; i < count; i++)
		sources[i]->queued = sources[i] == m->current;
}

/* The caller holds home.lock. */
static int refresh_held(struct merged *m)
{
	m->removed = m->stream->home.removed;
	if (m->removed)
		return -ENOENT;
	unsigned shape = atomic_load(&m->stream->shape);
	size_t room = m->stream->shard_count ? m->stream->shard_count : 1, count = 0;
	struct source **sources = calloc(room, sizeof(struct source *));
	struct source **heap = calloc(room, sizeof(struct source *));
	int r = sources && heap ? list_sources(m, sources, &count) : -ENOMEM;
	if (r < 0) {
		for (size_t i = 0; i < count; i++)
			if (!sources[i]->kept)
				source_free(m, sources[i]);
		for (size_t i = 0; i < m->count; i++)
			m->sources[i]->kept = false;
		free(sources);
		free(heap);
		return r;
	}
	set_sources(m, sources, heap, count);
	m->shape = shape;
	m->listed = true;
	return 0;
}

/* Brings the table of sources up to date. Takes no lock, as a rule: home.lock can be held long.
 */
static int refresh(struct merged *m)
{
	if (m->listed && !m->removed && atomic_load(&m->stream->shape) == m->shape)
		return 0;
	pthread_rwlock_rdlock(&m->stream->home.lock);
	int r = refresh_held(m);
	pthread_rwlock_unlock(&m->stream->home.lock);
	return r;
}

/* --- the next record of each --- */

/* Finds the first record. -ENODATA: it is not there yet. */
static int start_source(struct merged *m, struct source *s)
{
	int r = shard_open(s->shard);
	if (r < 0)
		return r;
	if (m->spec->start == SFS_FROM_TIME) {
		r = shard_since(s->shard, m->spec->since_ms, &s->cursor.offset);
		if (r < 0)
			return r;
	} else {
		SCOPED_LOCK(&s->shard->lock);
		bool now = m->spec->start == SFS_FROM_NOW && !s->from_first;
		s->cursor.offset = now ? s->shard->size : s->shard->horizon_offset;
	}
	s->started = true;
	return 0;
}

/*
 * Looks for the next record of a source; it has a place in the order then. So has an error: the
 * first. -ENODATA: nothing.
 */
static int peek(struct merged *m, struct source *s)
{
	int r = s->started ? 0 : start_source(m, s);
	if (r == 0)
		r = cursor_has_more(&s->cursor) ? cursor_arrival(&s->cursor, &s->head_ms)
						: -ENODATA;
	if (s->started && r != -ENODATA)
		used(m, s);
	s->queued = r != -ENODATA;
	if (r == -ENODATA) {
		unload(m, s);
		s->done = s->closed;
		return r;
	}
	s->error = s->started ? 0 : r;
	if (r < 0)
		s->head_ms = 0;
	return 0;
}

static bool is_blocked(const struct merged *m, const struct source *s)
{
	for (uint32_t i = 0; i < s->shard->parent_count; i++) {
		const struct source *parent = find_source(m, s->shard->parents[i]);
		if (parent && !parent->done)
			return true;
	}
	return false;
}

/* Queues all that have a next record and whose parents are done; parents stand before children. */
static void gather(struct merged *m)
{
	for (size_t i = 0; i < m->count; i++) {
		struct source *s = m->sources[i];
		if (s->queued || s->done || is_blocked(m, s))
			continue;
		if (peek(m, s) == 0)
			heap_push(m, s);
	}
}

static void release_current(struct merged *m)
{
	m->current->queued = false;
	m->current = NULL;
}

/* Puts the source whose record is next at hand. -ENODATA: there is none. */
static int choose(struct merged *m)
{
	struct source *s = m->current;
	if (s && cursor_in_record(&s->cursor))
		return 0;
	if (s && peek(m, s) == -ENODATA) {
		release_current(m);
		if (s->done)
			gather(m);
	} else if (s && m->heap_count && m->heap[0]->head_ms < s->head_ms) {
		heap_push(m, s);
		m->current = NULL;
	}
	if (!m->current && !m->heap_count)
		return -ENODATA;
	if (!m->current)
		m->current = heap_pop(m);
	return 0;
}

/* --- reading --- */

static uint64_t until(const struct merged *m)
{
	return m->heap_count ? m->heap[0]->head_ms : UINT64_MAX;
}

/* What makes the source at hand unreadable, if anything does. */
static int check_current(struct merged *m)
{
	struct source *s = m->current;
	if (s->error)
		return s->error;
	if (s->checked == m->turn)
		return 0;
	s->checked = m->turn;
	return cursor_check_horizon(&s->cursor);
}

static int copy_text(struct merged *m, uint8_t *buffer, size_t room, size_t *ret_bytes)
{
	struct cursor *cursor = &m->current->cursor;
	const uint8_t *text;
	size_t bytes;
	int r = cursor_text(cursor, until(m), &text, &bytes);
	if (r < 0)
		return r;
	if (bytes > room)
		bytes = room;
	memcpy(buffer, text, bytes);
	cursor_take(cursor, bytes);
	*ret_bytes = bytes;
	return 0;
}

/* Where a record that was rendered begins: in the JSON, and at the latest in the text. */
struct mark {
	size_t out;
	uint64_t text_offset;
};

/* What was rendered ahead and is trimmed by now is not handed out. */
static void drop_trimmed(struct merged *m)
{
	const struct mark *marks = (const struct mark *)(void *)m->marks.data;
	size_t i = m->marks.size / sizeof *marks;
	struct source *s = m->out_source;
	if (!s || s != m->current || m->out_at >= m->out.size)
		return;
	while (i > 1 && marks[i - 1].out > m->out_at)
		i--;
	struct cursor *cursor = &s->cursor;
	uint64_t offset = marks[i - 1].text_offset;
	{
		SCOPED_LOCK(&s->shard->lock);
		if (offset >= s->shard->horizon_offset)
			return;
	}
	m->out.size = m->out_at = 0;
	cursor->offset = offset;
	(void)cursor_fail(cursor, -ESTALE, 0);
}

/* Renders records of the source at hand while they are next. */
static int render(struct merged *m)
{
	struct cursor *cursor = &m->current->cursor;
	int r;
	uint64_t ms;
	buf_reset(&m->out, 2 * RENDER_BYTES);
	m->out_at = 0;
	m->marks.size = 0;
	m->out_source = m->current;
	do {
		struct mark mark = {m->out.size, cursor->offset};
		r = buf_append(&m->marks, &mark, sizeof mark);
		if (r == 0)
			r = render_next(&m->renderer, cursor, &m->out);
		if (r < 0 || m->out.size >= RENDER_BYTES)
			break;
		if (!cursor_in_record(cursor))
			r = cursor_arrival(cursor, &ms) == 0 && ms <= until(m) ? 0 : -ENODATA;
	} while (r == 0);
	return m->out.size ? 0 : r; /* what failed fails again when it is next */
}

static size_t copy_out(struct merged *m, uint8_t *buffer, size_t room)
{
	size_t bytes = m->out.size - m->out_at;
	if (bytes > room)
		bytes = room;
	if (bytes)
		memcpy(buffer, m->out.data + m->out_at, bytes);
	m->out_at += bytes;
	return bytes;
}

/* One step: more bytes, or none but a source less. */
static int read_step(struct merged *m, uint8_t *buffer, size_t room, size_t *ret_bytes)
{
	*ret_bytes = copy_out(m, buffer, room);
	if (*ret_bytes)
		return 0;
	int r = choose(m);
	if (r == 0)
		r = check_current(m);
	if (r < 0)
		return r;
	if (m->spec->json)
		r = render(m);
	else
		r = copy_text(m, buffer, room, ret_bytes);
	used(m, m->current);
	if (r == -ENODATA && !cursor_in_record(&m->current->cursor)) {
		release_current(m);
		return 0;
	}
	return r;
}

int merged_read(struct merged *m, void *buffer, size_t bytes, size_t *ret_bytes)
{
	int r = refresh(m);
	if (r == 0 && m->lost)
		r = -ESTALE;
	if (r < 0)
		return r;
	m->turn++;
	drop_trimmed(m);
	gather(m);
	size_t done = 0;
	while (r == 0 && done < bytes) {
		size_t n;
		r = read_step(m, (uint8_t *)buffer + done, bytes - done, &n);
		if (r == 0)
			done += n;
	}
	if (done)
		m->mid_record = ((uint8_t *)buffer)[done - 1] != '\n';
	if (r < 0 && r != -ENODATA && !done)
		return r;
	*ret_bytes = done;
	return 0;
}

int merged_skip(struct merged *m)
{
	struct source *s = m->current;
	if (m->lost) {
		m->lost = false;
	} else if (s) {
		s->done = s->done || s->error;
		s->error = 0;
		cursor_skip(&s->cursor);
		unload(m, s);
		release_current(m);
	}
	m->renderer = (struct renderer){0};
	if (!m->mid_record || m->out_at < m->out.size)
		return 0;
	m->mid_record = false; /* what was cut off must not run into the next record */
	m->out_at = m->out.size = 0;
	m->out_source = NULL;
	return buf_append(&m->out, "\n", 1);
}

/* --- waiting --- */

static bool might_have(const struct merged *m, struct source *s)
{
	if (s->queued)
		return true;
	if (s->done)
		return false;
	if (s->started)
		return cursor_has_more(&s->cursor);
	SCOPED_LOCK(&s->shard->lock);
	return s->shard->size > s->shard->horizon_offset &&
	       s->shard->last_arrival_ms >= m->spec->since_ms;
}

bool merged_might_have(struct merged *m)
{
	if (m->lost || m->out_at < m->out.size || atomic_load(&m->stream->shape) != m->shape)
		return true;
	for (size_t i = 0; i < m->count; i++)
		if (might_have(m, m->sources[i]))
			return true;
	return false;
}

struct sfs_shard *merged_growing(struct merged *m)
{
	struct sfs_shard *growing = NULL;
	for (size_t i = 0; i < m->count; i++) {
		if (m->sources[i]->closed)
			continue;
		if (growing)
			return NULL;
		growing = m->sources[i]->shard;
	}
	return growing;
}

/* --- life --- */

/* From now on: what is there now is not to come. */
static int start_now(struct merged *m)
{
	for (size_t i = 0; i < m->count; i++) {
		int r = start_source(m, m->sources[i]);
		if (r < 0 && r != -EBADMSG)
			return r;
	}
	return 0;
}

int merged_init(struct merged *m, struct sfs_stream *stream, const struct sfs_view_spec *spec)
{
	*m = (struct merged){.stream = stream, .spec = spec};
	TAILQ_INIT(&m->loaded);
	int r = refresh(m);
	if (r == 0 && spec->start == SFS_FROM_NOW)
		r = start_now(m);
	if (r < 0)
		merged_fini(m);
	return r;
}

void merged_fini(struct merged *m)
{
	for (size_t i = 0; i < m->count; i++)
		source_free(m, m->sources[i]);
	free(m->sources);
	free(m->heap);
	buf_fini(&m->out);
	buf_fini(&m->marks);
	m->count = 0;
}
