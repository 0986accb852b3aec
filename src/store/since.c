/* SPDX-License-Identifier: MIT */
#include "since.h"

#include "cleanup.h"
#include "cursor.h"

/* The segments that have published text. */
struct bases {
	uint64_t *offsets;
	size_t count;
	uint64_t size, horizon_offset;
};

static int list_bases(struct sfs_shard *shard, uint64_t since_ms, struct bases *ret_bases)
{
	SCOPED_LOCK(&shard->lock);
	struct bases bases = {.size = shard->size, .horizon_offset = shard->horizon_offset};
	if (shard->last_arrival_ms < since_ms || bases.horizon_offset >= bases.size)
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

/* What a segment's index tells of a time. */
struct place {
	uint64_t first_ms;	    /* of the segment */
	bool found;		    /* there is an item that begins earlier; the last one: */
	uint64_t item_offset, item_end;
	bool damaged, has_meta;
	uint64_t next_offset;	    /* of the next item that begins with a record */
};

static void search_index(
	const struct index *index, uint64_t since_ms, uint64_t size, struct place *place)
{
	size_t low = 0, high = index->count; /* items below low are earlier, those from high not */
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct index_item *item = &index->items[middle];
		if (item->text_offset < size && item->arrival_ms < since_ms)
			low = middle + 1;
		else
			high = middle;
	}
	*place = (struct place){.first_ms = index->items[0].arrival_ms, .found = low > 0};
	if (!low)
		return;
	const struct index_item *item = &index->items[low - 1];
	place->item_offset = item->text_offset;
	place->item_end = index_item_end(index, low - 1);
	place->damaged = item->flags & INDEX_DAMAGED;
	place->has_meta = item->flags & INDEX_HAS_META;
	while (low < index->count && index->items[low].flags & INDEX_CONTINUES)
		low++;
	place->next_offset = low < index->count ? index->items[low].text_offset
						: index->end_offset;
}

/* -EBADMSG: the segment cannot be read. */
static int search_segment(struct sfs_shard *shard, uint64_t base, uint64_t since_ms, uint64_t size,
	struct place *ret_place)
{
	struct segment *segment;
	bool active;
	int r = get_segment(shard, base, &segment, &active);
	if (r < 0)
		return r;
	if (active)
		pthread_mutex_lock(&shard->lock); /* it grows */
	if (segment->index.count)
		search_index(&segment->index, since_ms, size, ret_place);
	else
		r = -EBADMSG;
	if (active)
		pthread_mutex_unlock(&shard->lock);
	segment_unref(segment);
	return r;
}

struct search {
	struct sfs_shard *shard;
	uint64_t since_ms;
	struct bases bases;
};

/* The next segment from `i` on, up to but without `end`, that can be read. -ENOENT: none. */
static int next_readable(const struct search *s, size_t i, size_t end, size_t *ret_i,
	struct place *ret_place)
{
	for (; i < end; i++) {
		int r = search_segment(
			s->shard, s->bases.offsets[i], s->since_ms, s->bases.size, ret_place);
		if (r == 0)
			*ret_i = i;
		if (r != -EBADMSG)
			return r;
	}
	return -ENOENT;
}

/* The last segment that begins earlier. -ENOENT: none does. What cannot be read tells nothing. */
static int search_bases(const struct search *s, struct place *ret_place)
{
	size_t low = 0, high = s->bases.count;
	int result = -ENOENT;
	while (low < high) {
		size_t middle = low + (high - low) / 2, at;
		struct place place;
		int r = next_readable(s, middle, high, &at, &place);
		if (r == 0 && place.first_ms < s->since_ms) {
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
	cursor_init(&cursor, s->shard, place->item_offset, NULL, 0);
	int r = 0;
	while (cursor.offset < place->item_end) {
		struct cursor_record record;
		r = cursor_record(&cursor, &record);
		if (r < 0 || cursor.offset >= place->item_end)
			break;
		if (record.first && record.arrival_ms >= s->since_ms) {
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

int shard_since(struct sfs_shard *shard, uint64_t since_ms, uint64_t *ret_offset)
{
	struct search s = {.shard = shard, .since_ms = since_ms};
	int r = list_bases(shard, since_ms, &s.bases);
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
