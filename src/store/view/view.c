/* SPDX-License-Identifier: MIT */
/*
 * A view is one of two kinds. A view of one shard is bytes with offsets: the shard's text, or its
 * JSON (json_reader.h). A view of a key or of all shards is a fan-in (fan_in.h), which has no
 * offsets.
 */
#include "cleanup.h"
#include "fan_in.h"
#include "json_reader.h"
#include "key_rule.h"
#include "since.h"
#include "span.h"
#include "stream.h"
#include "trace.h"

#include "streamfs/view.h"

#include <assert.h>
#include <inttypes.h>

/*
 * Invariants of a view of a shard:
 *  1. `base` and `position` mean something once `started` and `positioned` are set. `positioned`
 *     implies `started`. Neither is ever taken back.
 *  2. An offset of the view plus `base` is an offset of the shard, of its text or of its JSON.
 *     `base` is 0 from the horizon: those offsets last.
 */
struct sfs_view {
	struct sfs_stream *stream; /* counted */
	struct sfs_view_spec spec; /* its key is `key`; its shard is not used */
	char *key;		   /* owned; NULL: not of a key */
	struct sfs_shard *shard;   /* counted; NULL: a fan-in */
	/* A view of a shard: */
	bool started;	   /* its first record is known */
	uint64_t base;	   /* where the view begins in the shard */
	bool positioned;   /* sfs_view_read() was called */
	uint64_t position; /* of the next sfs_view_read(), in the view */
	struct json_reader json;
	/* Any other: */
	struct fan_in fan_in;
};

/* ---- views of a shard ---- */

/* What counts of the shard, all of one moment; size and horizon in the view's format. */
struct extent {
	uint64_t size, horizon;
	bool closed, removed;
};

static struct extent shard_extent(struct sfs_view *view)
{
	struct sfs_shard *shard = view->shard;
	SCOPED_LOCK(&shard->lock);
	bool json = view->spec.json;
	return (struct extent){
		.size = json ? shard->end.json_offset : shard->end.offset,
		.horizon = json ? shard->horizon.json_offset : shard->horizon.offset,
		.closed = shard->closed,
		.removed = shard->removed,
	};
}

/* Finds where the view begins. -ENODATA: no record is there yet that it could begin with. */
static int start_shard(struct sfs_view *view)
{
	if (view->started)
		return 0;
	uint64_t base = 0;
	int r = shard_open(view->shard);
	if (r == 0 && view->spec.start == SFS_FROM_TIME)
		r = shard_since(view->shard, view->spec.since_ms, &base);
	if (r == 0 && view->spec.start == SFS_FROM_TIME && view->spec.json)
		r = shard_json_offset(view->shard, base, &base);
	if (r < 0)
		return r;
	if (view->spec.start == SFS_FROM_NOW)
		base = shard_extent(view).size;
	view->base = base;
	view->started = true;
	TRACE(read, "stream %" PRIu64 " shard %u: a view starts at offset %" PRIu64,
		view->stream->id, view->shard->number, base);
	return 0;
}

uint64_t sfs_view_size(struct sfs_view *view)
{
	if (!view->shard || start_shard(view) < 0)
		return 0;
	return shard_extent(view).size - view->base;
}

uint64_t sfs_view_horizon(struct sfs_view *view)
{
	if (!view->shard || start_shard(view) < 0)
		return 0;
	uint64_t horizon = shard_extent(view).horizon;
	return horizon > view->base ? horizon - view->base : 0;
}

int sfs_view_pread(
	struct sfs_view *view, uint64_t offset, void *buffer, size_t bytes, size_t *ret_bytes)
{
	if (!view->shard)
		return -ESPIPE;
	int r = start_shard(view);
	if (r == -ENODATA || (r == 0 && offset > UINT64_MAX - view->base)) {
		*ret_bytes = 0;
		return 0;
	}
	if (r < 0)
		return r;
	offset += view->base;
	return view->spec.json ? json_reader_read(&view->json, offset, buffer, bytes, ret_bytes)
			       : sfs_shard_read(view->shard, offset, buffer, bytes, ret_bytes);
}

/* At the end of what there is: 0, or why nothing will ever follow. */
static int shard_end(struct sfs_view *view)
{
	struct extent e = shard_extent(view);
	if (e.removed)
		return -ENOENT;
	bool read = !view->started || view->position >= e.size - view->base;
	return e.closed && read ? -EPIPE : 0;
}

static int read_shard(struct sfs_view *view, void *buffer, size_t bytes, size_t *ret_bytes)
{
	if (!view->positioned) {
		view->position = sfs_view_horizon(view);
		view->positioned = view->started;
	}
	size_t n = 0;
	int r = sfs_view_pread(view, view->position, buffer, bytes, &n);
	if (r == 0 && !n && bytes)
		r = shard_end(view);
	if (r < 0) {
		TRACE(read, "stream %" PRIu64 " shard %u: at offset %" PRIu64 ": %s",
			view->stream->id, view->shard->number, view->base + view->position,
			strerror(-r));
		return r;
	}
	assert(view->started || n == 0);
	view->position += n;
	*ret_bytes = n;
	return 0;
}

/* Where reading the text goes on after an error: at the horizon, or behind the chunk. */
static int text_behind(struct sfs_view *view, uint64_t at, uint64_t *ret_offset)
{
	struct span *span = malloc(sizeof *span);
	if (!span)
		return -ENOMEM;
	int r = shard_span(view->shard, at, UINT64_MAX, span);
	if (r == 0)
		at = span->ends[0];
	else if (r == -EBADMSG)
		at = span->limit;
	else if (r == -ESTALE)
		at = shard_extent(view).horizon;
	segment_unref(span->segment);
	free(span);
	*ret_offset = at;
	return r == -EBADMSG || r == -ESTALE || r == -ENODATA ? 0 : r;
}

static int skip_shard(struct sfs_view *view)
{
	uint64_t at = view->base + view->position;
	int r = view->spec.json ? json_reader_behind(&view->json, at, &at)
				: text_behind(view, at, &at);
	if (r < 0)
		return r;
	TRACE(read, "stream %" PRIu64 " shard %u: skips from offset %" PRIu64 " to %" PRIu64,
		view->stream->id, view->shard->number, view->base + view->position, at);
	view->position = at - view->base;
	return 0;
}

static bool shard_might_have(struct sfs_view *view)
{
	struct extent e = shard_extent(view);
	if (e.removed || e.closed)
		return true;
	if (start_shard(view) < 0)
		return false;
	return !view->positioned ? e.size > view->base : e.size - view->base > view->position;
}

/* ---- all views ---- */

static int check_spec(const struct sfs_view_spec *spec)
{
	if (spec->filter == SFS_OF_KEY && !sfs_key_valid(spec->key, spec->key_bytes))
		return -EINVAL;
	return 0;
}

static int init_view(struct sfs_view *view, const struct sfs_view_spec *spec)
{
	view->spec = *spec;
	view->spec.key = NULL;
	if (spec->filter == SFS_OF_SHARD) {
		view->shard = sfs_shard_ref(spec->shard);
		json_reader_init(&view->json, view->shard);
		int r = start_shard(view);
		return r == -ENODATA ? 0 : r;
	}
	if (spec->filter == SFS_OF_KEY) {
		view->key = malloc(spec->key_bytes);
		if (!view->key)
			return -ENOMEM;
		view->spec.key = memcpy(view->key, spec->key, spec->key_bytes);
	}
	return fan_in_init(&view->fan_in, view->stream, &view->spec);
}

static const char *start_name(enum sfs_view_start start)
{
	return start == SFS_FROM_HORIZON ? "from the horizon"
	       : start == SFS_FROM_TIME	 ? "from a time"
					 : "from now";
}

static const char *filter_name(enum sfs_view_filter filter)
{
	return filter == SFS_OF_SHARD ? "a shard" : filter == SFS_OF_KEY ? "a key" : "all shards";
}

int sfs_view_open(
	struct sfs_stream *stream, const struct sfs_view_spec *spec, struct sfs_view **ret_view)
{
	int r = check_spec(spec);
	if (r < 0)
		return r;
	struct sfs_view *view = calloc(1, sizeof *view);
	if (!view)
		return -ENOMEM;
	view->stream = sfs_stream_ref(stream);
	TRACE(read, "stream %" PRIu64 ": opens a view: %s, %s, %s", stream->id,
		start_name(spec->start), filter_name(spec->filter), spec->json ? "JSON" : "text");
	r = init_view(view, spec);
	if (r < 0) {
		sfs_view_close(view);
		return r;
	}
	*ret_view = view;
	return 0;
}

void sfs_view_close(struct sfs_view *view)
{
	if (!view)
		return;
	json_reader_fini(&view->json);
	fan_in_fini(&view->fan_in);
	sfs_shard_unref(view->shard);
	free(view->key);
	sfs_stream_unref(view->stream);
	free(view);
}

int sfs_view_read(struct sfs_view *view, void *buffer, size_t bytes, size_t *ret_bytes)
{
	return view->shard ? read_shard(view, buffer, bytes, ret_bytes)
			   : fan_in_read(&view->fan_in, buffer, bytes, ret_bytes);
}

int sfs_view_skip(struct sfs_view *view)
{
	return view->shard ? skip_shard(view) : fan_in_skip(&view->fan_in);
}

static bool might_have(struct sfs_view *view)
{
	return view->shard ? shard_might_have(view) : fan_in_might_have(&view->fan_in);
}

bool sfs_view_wait(struct sfs_view *view, struct sfs_waiter *waiter)
{
	struct sfs_shard *shard = view->shard ? view->shard : fan_in_growing(&view->fan_in);
	view_waiters_add(waiter, view->stream, shard);
	/* A waiter that is on its list no more is being called: that is its answer. */
	bool again = might_have(view) && view_waiters_remove(waiter);
	TRACE(live, "stream %" PRIu64 ": a view %s", view->stream->id,
		again ? "has more already" : "waits");
	return again;
}

bool sfs_view_cancel(struct sfs_waiter *waiter)
{
	return view_waiters_remove(waiter);
}
