/* SPDX-License-Identifier: MIT */
#include "fan_in.h"

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

static void heap_push(struct fan_in *f, struct source *s)
{
	size_t i = f->heap_count++;
	for (; i && is_before(s, f->heap[(i - 1) / 2]); i = (i - 1) / 2)
		f->heap[i] = f->heap[(i - 1) / 2];
	f->heap[i] = s;
}

static struct source *heap_pop(struct fan_in *f)
{
	struct source *top = f->heap[0], *last = f->heap[--f->heap_count];
	size_t i = 0;
	for (size_t child; (child = 2 * i + 1) < f->heap_count; i = child) {
		if (child + 1 < f->heap_count && is_before(f->heap[child + 1], f->heap[child]))
			child++;
		if (!is_before(f->heap[child], last))
			break;
		f->heap[i] = f->heap[child];
	}
	f->heap[i] = last;
	return top;
}

/* --- what the cursors hold --- */

static void unload(struct fan_in *f, struct source *s)
{
	if (!s->is_loaded)
		return;
	TAILQ_REMOVE(&f->loaded, s, loaded);
	f->loaded_count--;
	f->loaded_bytes -= s->bytes;
	s->is_loaded = false;
	cursor_park(&s->cursor);
}

/* The cursor was used: the ones that were not for longest are parked. */
static void used(struct fan_in *f, struct source *s)
{
	if (s->is_loaded) {
		TAILQ_REMOVE(&f->loaded, s, loaded);
		f->loaded_bytes -= s->bytes;
	} else {
		f->loaded_count++;
	}
	s->bytes = cursor_bytes(&s->cursor);
	s->is_loaded = true;
	f->loaded_bytes += s->bytes;
	TAILQ_INSERT_HEAD(&f->loaded, s, loaded);
	while (f->loaded_count > 1 &&
		(f->loaded_count > LOADED_MAX || f->loaded_bytes > LOADED_BYTES_MAX)) {
		struct source *oldest = TAILQ_LAST(&f->loaded, loaded_list);
		if (oldest == f->current || oldest == s)
			oldest = TAILQ_PREV(oldest, loaded_list, loaded);
		if (!oldest || oldest == f->current || oldest == s)
			break;
		unload(f, oldest);
	}
}

/* --- the table of sources --- */

static void source_free(struct fan_in *f, struct source *s)
{
	unload(f, s);
	cursor_fini(&s->cursor);
	free(s);
}

static struct source *find_source(const struct fan_in *f, uint32_t number)
{
	size_t low = 0, high = f->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (f->sources[middle]->shard->number < number)
			low = middle + 1;
		else
			high = middle;
	}
	bool found = low < f->count && f->sources[low]->shard->number == number;
	return found ? f->sources[low] : NULL;
}

/* Whether records of the view can be in the shard. */
static bool has_part(const struct fan_in *f, const struct sfs_shard *shard, struct hash_key hash)
{
	return f->spec->filter == SFS_OF_ALL ||
	       (hash_key_le(shard->hash_first, hash) && hash_key_le(hash, shard->hash_last));
}

static struct source *source_new(struct fan_in *f, struct sfs_shard *shard)
{
	struct source *s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	s->shard = shard;
	s->from_first = f->listed;
	bool keyed = f->spec->filter == SFS_OF_KEY;
	cursor_init(&s->cursor, shard, 0, keyed ? f->spec->key : NULL, f->spec->key_bytes);
	return s;
}

/*
 * A shard is gone: its records that were not read are lost. Or numbering started over, before there
 * were any records, and it has another range now.
 */
static void drop_source(struct fan_in *f, struct source *s)
{
	{
		SCOPED_LOCK(&s->shard->lock);
		f->lost = f->lost || (s->shard->removed && s->started && !s->done &&
					     s->cursor.offset < s->shard->size);
	}
	if (f->current == s)
		f->current = NULL;
	if (f->out_source == s)
		f->out_source = NULL;
	source_free(f, s);
}

/* Fills the lists with the present shards; those that are known keep their source. */
static int list_sources(struct fan_in *f, struct source **sources, size_t *count)
{
	struct hash_key hash = {0};
	if (f->spec->filter == SFS_OF_KEY)
		hash = route_hash(f->spec->key, f->spec->key_bytes);
	for (size_t i = 0; i < f->stream->shard_count; i++) {
		struct sfs_shard *shard = f->stream->shards[i];
		if (!has_part(f, shard, hash))
			continue;
		struct source *s = find_source(f, shard->number);
		bool known = s && s->shard == shard;
		if (!known)
			s = source_new(f, shard);
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
	struct fan_in *f, struct source **sources, struct source **heap, size_t count)
{
	for (size_t i = 0; i < f->count; i++) {
		if (!f->sources[i]->kept)
			drop_source(f, f->sources[i]);
		else
			f->sources[i]->kept = false;
	}
	free(f->sources);
	free(f->heap);
	f->sources = sources;
	f->heap = heap;
	f->count = count;
	f->heap_count = 0;
	for (size_t i = 0; i < count; i++)
		sources[i]->queued = sources[i] == f->current;
}

/* The caller holds home.lock. */
static int refresh_held(struct fan_in *f)
{
	f->removed = f->stream->home.removed;
	if (f->removed)
		return -ENOENT;
	unsigned shape = atomic_load(&f->stream->shape);
	size_t room = f->stream->shard_count ? f->stream->shard_count : 1, count = 0;
	struct source **sources = calloc(room, sizeof(struct source *));
	struct source **heap = calloc(room, sizeof(struct source *));
	int r = sources && heap ? list_sources(f, sources, &count) : -ENOMEM;
	if (r < 0) {
		for (size_t i = 0; i < count; i++)
			if (!sources[i]->kept)
				source_free(f, sources[i]);
		for (size_t i = 0; i < f->count; i++)
			f->sources[i]->kept = false;
		free(sources);
		free(heap);
		return r;
	}
	set_sources(f, sources, heap, count);
	f->shape = shape;
	f->listed = true;
	return 0;
}

/* Brings the table of sources up to date. Takes no lock, as a rule: home.lock can be held long.
 */
static int refresh(struct fan_in *f)
{
	if (f->listed && !f->removed && atomic_load(&f->stream->shape) == f->shape)
		return 0;
	pthread_rwlock_rdlock(&f->stream->home.lock);
	int r = refresh_held(f);
	pthread_rwlock_unlock(&f->stream->home.lock);
	return r;
}

/* --- the next record of each --- */

/* Finds the first record. -ENODATA: it is not there yet. */
static int start_source(struct fan_in *f, struct source *s)
{
	int r = shard_open(s->shard);
	if (r < 0)
		return r;
	if (f->spec->start == SFS_FROM_TIME) {
		r = shard_since(s->shard, f->spec->since_ms, &s->cursor.offset);
		if (r < 0)
			return r;
	} else {
		SCOPED_LOCK(&s->shard->lock);
		bool now = f->spec->start == SFS_FROM_NOW && !s->from_first;
		s->cursor.offset = now ? s->shard->size : s->shard->horizon_offset;
	}
	s->started = true;
	return 0;
}

/*
 * Looks for the next record of a source; it has a place in the order then. So has an error: the
 * first. -ENODATA: nothing.
 */
static int peek(struct fan_in *f, struct source *s)
{
	int r = s->started ? 0 : start_source(f, s);
	if (r == 0)
		r = cursor_has_more(&s->cursor) ? cursor_arrival(&s->cursor, &s->head_ms)
						: -ENODATA;
	if (s->started && r != -ENODATA)
		used(f, s);
	s->queued = r != -ENODATA;
	if (r == -ENODATA) {
		unload(f, s);
		s->done = s->closed;
		return r;
	}
	s->error = s->started ? 0 : r;
	if (r < 0)
		s->head_ms = 0;
	return 0;
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

/* Queues all that have a next record and whose parents are done; parents stand before children. */
static void gather(struct fan_in *f)
{
	for (size_t i = 0; i < f->count; i++) {
		struct source *s = f->sources[i];
		if (s->queued || s->done || is_blocked(f, s))
			continue;
		if (peek(f, s) == 0)
			heap_push(f, s);
	}
}

static void release_current(struct fan_in *f)
{
	f->current->queued = false;
	f->current = NULL;
}

/* Puts the source whose record is next at hand. -ENODATA: there is none. */
static int choose(struct fan_in *f)
{
	struct source *s = f->current;
	if (s && cursor_in_record(&s->cursor))
		return 0;
	if (s && peek(f, s) == -ENODATA) {
		release_current(f);
		if (s->done)
			gather(f);
	} else if (s && f->heap_count && f->heap[0]->head_ms < s->head_ms) {
		heap_push(f, s);
		f->current = NULL;
	}
	if (!f->current && !f->heap_count)
		return -ENODATA;
	if (!f->current)
		f->current = heap_pop(f);
	return 0;
}

/* --- reading --- */

static uint64_t until(const struct fan_in *f)
{
	return f->heap_count ? f->heap[0]->head_ms : UINT64_MAX;
}

/* What makes the source at hand unreadable, if anything does. */
static int check_current(struct fan_in *f)
{
	struct source *s = f->current;
	if (s->error)
		return s->error;
	if (s->checked == f->turn)
		return 0;
	s->checked = f->turn;
	return cursor_check_horizon(&s->cursor);
}

static int copy_text(struct fan_in *f, uint8_t *buffer, size_t room, size_t *ret_bytes)
{
	struct cursor *cursor = &f->current->cursor;
	const uint8_t *text;
	size_t bytes;
	int r = cursor_text(cursor, until(f), &text, &bytes);
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
static void drop_trimmed(struct fan_in *f)
{
	const struct mark *marks = (const struct mark *)(void *)f->marks.data;
	size_t i = f->marks.size / sizeof *marks;
	struct source *s = f->out_source;
	if (!s || s != f->current || f->out_at >= f->out.size)
		return;
	while (i > 1 && marks[i - 1].out > f->out_at)
		i--;
	struct cursor *cursor = &s->cursor;
	uint64_t offset = marks[i - 1].text_offset;
	{
		SCOPED_LOCK(&s->shard->lock);
		if (offset >= s->shard->horizon_offset)
			return;
	}
	f->out.size = f->out_at = 0;
	cursor->offset = offset;
	(void)cursor_fail(cursor, -ESTALE, 0);
}

/* Renders records of the source at hand while they are next. */
static int render(struct fan_in *f)
{
	struct cursor *cursor = &f->current->cursor;
	int r;
	uint64_t ms;
	buf_reset(&f->out, 2 * RENDER_BYTES);
	f->out_at = 0;
	f->marks.size = 0;
	f->out_source = f->current;
	do {
		struct mark mark = {f->out.size, cursor->offset};
		r = buf_append(&f->marks, &mark, sizeof mark);
		if (r == 0)
			r = render_next(&f->renderer, cursor, &f->out);
		if (r < 0 || f->out.size >= RENDER_BYTES)
			break;
		if (!cursor_in_record(cursor))
			r = cursor_arrival(cursor, &ms) == 0 && ms <= until(f) ? 0 : -ENODATA;
	} while (r == 0);
	return f->out.size ? 0 : r; /* what failed fails again when it is next */
}

static size_t copy_out(struct fan_in *f, uint8_t *buffer, size_t room)
{
	size_t bytes = f->out.size - f->out_at;
	if (bytes > room)
		bytes = room;
	if (bytes)
		memcpy(buffer, f->out.data + f->out_at, bytes);
	f->out_at += bytes;
	return bytes;
}

/* One step: more bytes, or none but a source less. */
static int read_step(struct fan_in *f, uint8_t *buffer, size_t room, size_t *ret_bytes)
{
	*ret_bytes = copy_out(f, buffer, room);
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
	used(f, f->current);
	if (r == -ENODATA && !cursor_in_record(&f->current->cursor)) {
		release_current(f);
		return 0;
	}
	return r;
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
	if (r < 0 && r != -ENODATA && !done)
		return r;
	*ret_bytes = done;
	return 0;
}

int fan_in_skip(struct fan_in *f)
{
	struct source *s = f->current;
	if (f->lost) {
		f->lost = false;
	} else if (s) {
		s->done = s->done || s->error;
		s->error = 0;
		cursor_skip(&s->cursor);
		unload(f, s);
		release_current(f);
	}
	f->renderer = (struct renderer){0};
	if (!f->mid_record || f->out_at < f->out.size)
		return 0;
	f->mid_record = false; /* what was cut off must not run into the next record */
	f->out_at = f->out.size = 0;
	f->out_source = NULL;
	return buf_append(&f->out, "\n", 1);
}

/* --- waiting --- */

static bool might_have(const struct fan_in *f, struct source *s)
{
	if (s->queued)
		return true;
	if (s->done)
		return false;
	if (s->started)
		return cursor_has_more(&s->cursor);
	SCOPED_LOCK(&s->shard->lock);
	return s->shard->size > s->shard->horizon_offset &&
	       s->shard->last_arrival_ms >= f->spec->since_ms;
}

bool fan_in_might_have(struct fan_in *f)
{
	if (f->lost || f->out_at < f->out.size || atomic_load(&f->stream->shape) != f->shape)
		return true;
	for (size_t i = 0; i < f->count; i++)
		if (might_have(f, f->sources[i]))
			return true;
	return false;
}

struct sfs_shard *fan_in_growing(struct fan_in *f)
{
	struct sfs_shard *growing = NULL;
	for (size_t i = 0; i < f->count; i++) {
		if (f->sources[i]->closed)
			continue;
		if (growing)
			return NULL;
		growing = f->sources[i]->shard;
	}
	return growing;
}

/* --- life --- */

/* From now on: what is there now is not to come. */
static int start_now(struct fan_in *f)
{
	for (size_t i = 0; i < f->count; i++) {
		int r = start_source(f, f->sources[i]);
		if (r < 0 && r != -EBADMSG)
			return r;
	}
	return 0;
}

int fan_in_init(struct fan_in *f, struct sfs_stream *stream, const struct sfs_view_spec *spec)
{
	*f = (struct fan_in){.stream = stream, .spec = spec};
	TAILQ_INIT(&f->loaded);
	int r = refresh(f);
	if (r == 0 && spec->start == SFS_FROM_NOW)
		r = start_now(f);
	if (r < 0)
		fan_in_fini(f);
	return r;
}

void fan_in_fini(struct fan_in *f)
{
	for (size_t i = 0; i < f->count; i++)
		source_free(f, f->sources[i]);
	free(f->sources);
	free(f->heap);
	buf_fini(&f->out);
	buf_fini(&f->marks);
	f->count = 0;
}
