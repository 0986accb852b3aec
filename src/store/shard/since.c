/* SPDX-License-Identifier: MIT */
#include "since.h"

#include "cleanup.h"
#include "cursor.h"
#include "render.h"

/* The segments that have published text. */
struct bases {
	uint64_t *offsets;
	size_t count;
	uint64_t size, horizon_offset;
};

static int list_bases(struct sfs_shard *shard, struct bases *ret_bases)
{
	SCOPED_LOCK(&shard->lock);
	struct bases bases = {.size = shard->end.offset, .horizon_offset = shard->horizon.offset};
	if (bases.horizon_offset >= bases.size)
		return -ENODATA;
	bases.offsets = malloc((shard->base_count ? shard->base_count : 1) * sizeof(uint64_t));
	if (!bases.offsets)
		return -ENOMEM;
	for (size_t i = 0; i < shard->base_count; i++)
		if (shard->bases[i] < bases.size)
			bases.offsets[bases.count++] = shard->bases[i];
	*ret_bases = bases;
	return 0;
}

static int get_segment(
	struct sfs_shard *shard, uint64_t base, struct segment **ret_segment, bool *ret_active)
{
	{
		SCOPED_LOCK(&shard->lock);
		*ret_active = shard->active && shard->active->base_offset == base;
		if (*ret_active) {
			*ret_segment = segment_ref(shard->active);
			return 0;
		}
	}
	return shard_sealed_segment(shard, base, ret_segment);
}

/* What is searched for: a time or a JSON offset. */
struct search {
	struct sfs_shard *shard;
	bool by_json;
	uint64_t value;
	struct bases bases;
};

static bool is_before(const struct search *s, const struct index_item *item)
{
	return s->by_json ? item->start.json_offset <= s->value : item->arrival_ms < s->value;
}

/* What a segment's index tells of it. */
struct place {
	bool first_before;		/* the segment's first item is */
	uint64_t item_offset, item_end; /* of the last item that is; void if none is */
	uint64_t json_offset, json_end;
	bool damaged, has_meta;
	uint64_t next_offset;  /* of the next item that begins with a record */
	uint64_t start_offset; /* of the item in which this item's first record begins */
	bool start_damaged;
};

static void fill_place(const struct index *index, size_t i, struct place *place)
{
	const struct index_item *item = &index->items[i];
	size_t start = index_record_start(index, i), next = i + 1;
	while (next < index->count && index->items[next].flags & INDEX_CONTINUES)
		next++;
	*place = (struct place){
		.first_before = true,
		.item_offset = item->start.offset,
		.item_end = index_item_end(index, i),
		.json_offset = item->start.json_offset,
		.json_end = index_item_json_end(index, i),
		.damaged = item->flags & INDEX_DAMAGED,
		.has_meta = item->flags & INDEX_HAS_META,
		.next_offset = next < index->count ? index->items[next].start.offset
						   : index->end.at.offset,
		.start_offset = index->items[start].start.offset,
		.start_damaged = index->items[start].flags & (INDEX_DAMAGED | INDEX_CONTINUES),
	};
}

static void search_index(const struct search *s, const struct index *index, struct place *place)
{
	size_t low = 0, high = index->count; /* items below low are before, those from high not */
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct index_item *item = &index->items[middle];
		if (item->start.offset < s->bases.size && is_before(s, item))
			low = middle + 1;
		else
			high = middle;
	}
	if (low)
		fill_place(index, low - 1, place);
	else
		*place = (struct place){.first_before = false};
}

/* -EBADMSG: the segment cannot be read. */
static int search_segment(const struct search *s, uint64_t base, struct place *ret_place)
{
	struct segment *segment;
	bool active;
	int r = get_segment(s->shard, base, &segment, &active);
	if (r < 0)
		return r;
	if (active)
		pthread_mutex_lock(&s->shard->lock); /* it grows */
	if (segment->index.count)
		search_index(s, &segment->index, ret_place);
	else
		r = -EBADMSG;
	if (active)
		pthread_mutex_unlock(&s->shard->lock);
	segment_unref(segment);
	return r;
}

/* The next segment from `i` on, up to but without `end`, that can be read. -ENOENT: none. */
static int next_readable(
	const struct search *s, size_t i, size_t end, size_t *ret_i, struct place *ret_place)
{
	for (; i < end; i++) {
		int r = search_segment(s, s->bases.offsets[i], ret_place);
		if (r == 0)
			*ret_i = i;
		if (r != -EBADMSG)
			return r;
	}
	return -ENOENT;
}

/*
 * The last segment of which the first item is before. -ENOENT: there is none. What cannot be read
 * tells nothing.
 */
static int search_bases(const struct search *s, struct place *ret_place)
{
	size_t low = 0, high = s->bases.count;
	int result = -ENOENT;
	while (low < high) {
		size_t middle = low + (high - low) / 2, at;
		struct place place;
		int r = next_readable(s, middle, high, &at, &place);
		if (r == 0 && place.first_before) {
			*ret_place = place;
			result = 0;
			low = at + 1;
		} else if (r < 0 && r != -ENOENT) {
			return r;
		} else {
			high = middle; /* from here on all are later, or unreadable */
		}
	}
	return result;
}

/* The record within the chunk in which the time lies. */
static int search_chunk(const struct search *s, const struct place *place, uint64_t *ret_offset)
{
	*ret_offset = place->next_offset;
	if (place->damaged)
		*ret_offset = place->item_offset;
	if (place->damaged || !place->has_meta)
		return 0;
	struct cursor cursor;
	uint64_t from = place->item_offset > s->bases.horizon_offset ? place->item_offset
								     : s->bases.horizon_offset;
	cursor_init(&cursor, s->shard, from, NULL, 0);
	int r = 0;
	while (cursor.offset < place->item_end) {
		struct cursor_record record;
		r = cursor_record(&cursor, &record);
		if (r < 0 || cursor.offset >= place->item_end)
			break;
		if (record.first && record.arrival_ms >= s->value) {
			*ret_offset = record.offset;
			break;
		}
		cursor_pass(&cursor);
	}
	if (r == -EBADMSG)
		*ret_offset = place->item_offset;
	cursor_fini(&cursor);
	return r == -EBADMSG || r == -ENODATA || r == -ESTALE ? 0 : r;
}

/* Whether the shard has a record that came then or later. */
static bool reaches(struct sfs_shard *shard, uint64_t since_ms)
{
	SCOPED_LOCK(&shard->lock);
	return shard->last_arrival_ms >= since_ms;
}

int shard_since(struct sfs_shard *shard, uint64_t since_ms, uint64_t *ret_offset)
{
	struct search s = {.shard = shard, .value = since_ms};
	int r = reaches(shard, since_ms) ? list_bases(shard, &s.bases) : -ENODATA;
	if (r < 0)
		return r;
	struct place place = {0};
	uint64_t offset = s.bases.horizon_offset;
	r = search_bases(&s, &place);
	if (r == 0)
		r = search_chunk(&s, &place, &offset);
	free(s.bases.offsets);
	if (r < 0 && r != -ENOENT)
		return r;
	if (offset >= s.bases.size)
		return -ENODATA;
	*ret_offset = offset > s.bases.horizon_offset ? offset : s.bases.horizon_offset;
	return 0;
}

/* Where the readable text behind a JSON offset begins, as JSON. */
static uint64_t json_behind(const struct search *s)
{
	uint64_t json = shard_json_size(s->shard);
	for (size_t i = s->bases.count; i-- > 0;) {
		struct segment *segment;
		bool active;
		if (get_segment(s->shard, s->bases.offsets[i], &segment, &active) < 0)
			continue;
		SCOPED_LOCK(&s->shard->lock);
		uint64_t first =
			segment->index.count ? segment->index.items[0].start.json_offset : json;
		segment_unref(segment);
		if (first <= s->value)
			break;
		json = first;
	}
	return json;
}

int shard_json_place(struct sfs_shard *shard, uint64_t json_offset, struct json_chunk *ret_chunk)
{
	struct search s = {.shard = shard, .by_json = true, .value = json_offset};
	int r = list_bases(shard, &s.bases);
	if (r < 0)
		return r;
	struct place place = {0};
	r = search_bases(&s, &place);
	bool outside = r == -ENOENT || (r == 0 && json_offset >= place.json_end);
	if (r == 0 || outside) {
		*ret_chunk = (struct json_chunk){
			.text_offset = place.start_offset,
			.json_offset = place.json_offset,
			.json_end = outside ? json_behind(&s) : place.json_end,
			.damaged = outside || place.damaged || place.start_damaged,
		};
		r = 0;
	}
	free(s.bases.offsets);
	return r;
}

static uint64_t line_bytes(const struct cursor *cursor, const struct cursor_record *record)
{
	const struct json_record json = render_describe(cursor, record);
	return json_record_bytes(&json, record->text, record->bytes - 1, record->claimed);
}

/* JSON bytes of the records from a text offset on that end before `chunk_end`. */
static int json_from(
	struct sfs_shard *shard, uint64_t offset, uint64_t chunk_end, uint64_t *ret_bytes)
{
	struct cursor cursor;
	struct cursor_record record;
	uint64_t bytes = 0;
	int r = 0;
	cursor_init(&cursor, shard, offset, NULL, 0);
	while (cursor.offset < chunk_end && (r = cursor_record(&cursor, &record)) == 0) {
		if (record.offset < chunk_end && record.last)
			bytes += line_bytes(&cursor, &record);
		cursor_pass(&cursor);
	}
	cursor_fini(&cursor);
	if (r == 0)
		*ret_bytes = bytes;
	return r;
}

/* A chunk of the index, the one that holds a text offset. */
struct found_chunk {
	uint64_t offset, end, json_offset, json_end;
	bool damaged;
};

static int find_chunk(struct sfs_shard *shard, uint64_t offset, struct found_chunk *ret_chunk)
{
	struct span *span = malloc(sizeof *span);
	if (!span)
		return -ENOMEM;
	int r = shard_span(shard, offset, offset + 1, span);
	if (r == 0)
		*ret_chunk = (struct found_chunk){
			.offset = span->items[0].start.offset,
			.end = span->ends[0],
			.json_offset = span->items[0].start.json_offset,
			.json_end = span->json_end,
			.damaged = span->items[0].flags & INDEX_DAMAGED,
		};
	segment_unref(span->segment);
	free(span);
	return r;
}

int shard_json_offset(struct sfs_shard *shard, uint64_t offset, uint64_t *ret_json_offset)
{
	struct found_chunk chunk = {0};
	uint64_t bytes;
	int r = find_chunk(shard, offset, &chunk);
	if (r < 0)
		return r;
	if (chunk.offset == offset || chunk.damaged) {
		*ret_json_offset = chunk.json_offset;
		return 0;
	}
	r = json_from(shard, offset, chunk.end, &bytes);
	if (r == 0)
		*ret_json_offset = chunk.json_end - bytes;
	return r;
}
