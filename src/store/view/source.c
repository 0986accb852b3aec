/* SPDX-License-Identifier: MIT */
#include "source.h"

#include "cleanup.h"
#include "since.h"

enum {
	LOADED_MAX = 64,	     /* cursors that hold a chunk and a file */
	LOADED_BYTES_MAX = 64 << 20, /* ... and what they hold */
};

static void set_cursor(struct source *s, const struct sfs_view_spec *spec, uint64_t offset)
{
	bool keyed = spec->filter == SFS_OF_KEY;
	cursor_init(&s->cursor, s->shard, offset, keyed ? spec->key : NULL, spec->key_bytes);
}

struct source *source_new(struct sfs_shard *shard, const struct sfs_view_spec *spec)
{
	struct source *s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	s->shard = shard;
	set_cursor(s, spec, 0);
	return s;
}

void source_free(struct source *s)
{
	assert(!s->is_loaded);
	cursor_fini(&s->cursor);
	free(s);
}

int source_start(struct source *s, const struct sfs_view_spec *spec)
{
	int r = shard_open(s->shard);
	if (r < 0)
		return r;
	uint64_t offset;
	if (spec->start == SFS_FROM_TIME) {
		r = shard_since(s->shard, spec->since_ms, &offset);
		if (r < 0)
			return r;
	} else {
		SCOPED_LOCK(&s->shard->lock);
		bool now = spec->start == SFS_FROM_NOW && !s->from_first;
		offset = now ? s->shard->end.offset : s->shard->horizon.offset;
	}
	set_cursor(s, spec, offset);
	s->started = true;
	return 0;
}

int source_peek(struct source *s, const struct sfs_view_spec *spec)
{
	int r = s->started ? 0 : source_start(s, spec);
	if (r == 0)
		r = cursor_has_more(&s->cursor) ? cursor_arrival(&s->cursor, &s->head_ms)
						: -ENODATA;
	if (r == -ENODATA) {
		s->done = s->closed;
		return r;
	}
	s->error = s->started ? 0 : r; /* the cursor keeps its own */
	if (r < 0)
		s->head_ms = 0;
	return 0;
}

bool source_might_have(const struct source *s, const struct sfs_view_spec *spec)
{
	if (s->queued)
		return true;
	if (s->done)
		return false;
	if (s->started)
		return cursor_has_more(&s->cursor);
	SCOPED_LOCK(&s->shard->lock);
	return s->shard->end.offset > s->shard->horizon.offset &&
	       s->shard->last_arrival_ms >= spec->since_ms;
}

bool source_lost_records(const struct source *s)
{
	SCOPED_LOCK(&s->shard->lock);
	return s->shard->removed && s->started && !s->done &&
	       s->cursor.offset < s->shard->end.offset;
}

/* ---- the heap ---- */

static bool is_before(const struct source *a, const struct source *b)
{
	if (a->head_ms != b->head_ms)
		return a->head_ms < b->head_ms;
	return a->shard->number < b->shard->number;
}

void source_heap_push(struct source_vector *heap, struct source *s)
{
	assert(heap->count < heap->capacity);
	size_t i = heap->count++;
	for (; i && is_before(s, heap->items[(i - 1) / 2]); i = (i - 1) / 2)
		heap->items[i] = heap->items[(i - 1) / 2];
	heap->items[i] = s;
}

struct source *source_heap_pop(struct source_vector *heap)
{
	assert(heap->count > 0);
	struct source **items = heap->items;
	struct source *top = items[0], *last = items[--heap->count];
	size_t i = 0;
	for (size_t child; (child = 2 * i + 1) < heap->count; i = child) {
		if (child + 1 < heap->count && is_before(items[child + 1], items[child]))
			child++;
		if (!is_before(items[child], last))
			break;
		items[i] = items[child];
	}
	items[i] = last;
	return top;
}

/* ---- what the cursors hold ---- */

void loaded_init(struct loaded_sources *loaded)
{
	*loaded = (struct loaded_sources){.count = 0};
	TAILQ_INIT(&loaded->list);
}

void loaded_park(struct loaded_sources *loaded, struct source *s)
{
	if (!s->is_loaded)
		return;
	TAILQ_REMOVE(&loaded->list, s, loaded_link);
	loaded->count--;
	loaded->bytes -= s->loaded_bytes;
	s->is_loaded = false;
	cursor_park(&s->cursor);
}

/* The source to be parked next; NULL: none can be. */
static struct source *least_used(
	struct loaded_sources *loaded, const struct source *s, const struct source *current)
{
	struct source *oldest = TAILQ_LAST(&loaded->list, loaded_list);
	while (oldest && (oldest == current || oldest == s))
		oldest = TAILQ_PREV(oldest, loaded_list, loaded_link);
	return oldest;
}

void loaded_use(struct loaded_sources *loaded, struct source *s, const struct source *current)
{
	if (s->is_loaded) {
		TAILQ_REMOVE(&loaded->list, s, loaded_link);
		loaded->bytes -= s->loaded_bytes;
	} else {
		loaded->count++;
	}
	s->loaded_bytes = cursor_bytes(&s->cursor);
	s->is_loaded = true;
	loaded->bytes += s->loaded_bytes;
	TAILQ_INSERT_HEAD(&loaded->list, s, loaded_link);
	while (loaded->count > LOADED_MAX || loaded->bytes > LOADED_BYTES_MAX) {
		struct source *oldest = least_used(loaded, s, current);
		if (!oldest)
			break;
		loaded_park(loaded, oldest);
	}
}
