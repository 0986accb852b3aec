/* SPDX-License-Identifier: MIT */
#include "chunk_search.h"

#include "cleanup.h"
#include "sealed_segment.h"

struct search {
	struct sfs_shard *shard;
	enum chunk_key key;
	uint64_t value;
	uint64_t *bases; /* of the segments that have published text, rising */
	size_t base_count;
	struct chunk_found chunk; /* so far */
};

static int search_begin(struct search *s)
{
	struct sfs_shard *shard = s->shard;
	SCOPED_LOCK(&shard->lock);
	s->chunk.shard_horizon = shard->horizon.offset;
	s->chunk.shard_end = shard->end.offset;
	s->chunk.json_behind = shard->end.json_offset;
	if (shard->horizon.offset >= shard->end.offset)
		return -ENODATA;
	s->bases = malloc((shard->base_count ? shard->base_count : 1) * sizeof *s->bases);
	if (!s->bases)
		return -ENOMEM;
	for (size_t i = 0; i < shard->base_count; i++)
		if (shard->bases[i] < shard->end.offset)
			s->bases[s->base_count++] = shard->bases[i];
	return 0;
}

/*
 * A scan cannot know the sequence number and the time at which a gap begins that begins a segment.
 * It counts as the chunk behind it, or it would hide the segments before it.
 */
static const struct index_item *known_item(const struct index *index, size_t i)
{
	const struct index_item *item = &index->items[i];
	bool unknown = i == 0 && item->flags & INDEX_DAMAGED && index->count > 1;
	return unknown ? item + 1 : item;
}

static bool is_before(const struct search *s, const struct index *index, size_t i)
{
	uint64_t key = s->key == CHUNK_ARRIVAL_MS ? known_item(index, i)->arrival_ms
		       : s->key == CHUNK_SEQUENCE ? known_item(index, i)->start.sequence
						  : index->items[i].start.json_offset;
	return index->items[i].start.offset < s->chunk.shard_end && key < s->value;
}

static size_t count_before(const struct search *s, const struct index *index)
{
	size_t low = 0, high = index->count; /* items below low are before, those from high not */
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (is_before(s, index, middle))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void describe_chunk(const struct index *index, size_t i, struct chunk_found *chunk)
{
	const struct index_item *item = &index->items[i];
	size_t start = index_record_start(index, i), next = i + 1;
	while (next < index->count && index->items[next].flags & INDEX_CONTINUES)
		next++;
	chunk->found = true;
	chunk->offset = item->start.offset;
	chunk->end = index_item_end(index, i);
	chunk->json_offset = item->start.json_offset;
	chunk->json_end = index_item_json_end(index, i);
	chunk->damaged = item->flags & INDEX_DAMAGED;
	chunk->has_meta = item->flags & INDEX_HAS_META;
	chunk->next_offset = index_item_end(index, next - 1);
	chunk->start_offset = index->items[start].start.offset;
	chunk->start_damaged = index->items[start].flags & (INDEX_DAMAGED | INDEX_CONTINUES);
}

/* Notes what the segment's index adds to the search. -EBADMSG: it has none. */
static int search_index(struct search *s, const struct index *index, bool *ret_before)
{
	if (!index->count)
		return -EBADMSG;
	size_t before = count_before(s, index);
	if (before)
		describe_chunk(index, before - 1, &s->chunk);
	else
		s->chunk.json_behind = index->items[0].start.json_offset;
	*ret_before = before;
	return 0;
}

/* The active segment's index grows, so the lock is held while it is searched. */
static int search_active(struct search *s, uint64_t base, bool *ret_before)
{
	struct sfs_shard *shard = s->shard;
	SCOPED_LOCK(&shard->lock);
	if (!shard->active || shard->active->base_offset != base)
		return -ENOENT;
	return search_index(s, &shard->active->index, ret_before);
}

/* *ret_before: the segment's first chunk is before. -EBADMSG: the segment cannot be read. */
static int search_segment(struct search *s, uint64_t base, bool *ret_before)
{
	int r = search_active(s, base, ret_before);
	if (r != -ENOENT)
		return r;
	struct segment *segment;
	r = shard_sealed_segment(s->shard, base, &segment);
	if (r < 0)
		return r;
	r = search_index(s, &segment->index, ret_before);
	segment_unref(segment);
	return r;
}

/* The first segment from *i on, up to but without `end`, that can be read. -ENOENT: none. */
static int search_readable(struct search *s, size_t *i, size_t end, bool *ret_before)
{
	for (; *i < end; ++*i) {
		int r = search_segment(s, s->bases[*i], ret_before);
		if (r != -EBADMSG)
			return r;
	}
	return -ENOENT;
}

/*
 * Every look at a segment notes what it found. Later looks are always nearer to the place, from
 * either side, so the last note of each kind stands.
 */
static int search_bases(struct search *s)
{
	size_t low = 0, high = s->base_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2, at = middle;
		bool before = false;
		int r = search_readable(s, &at, high, &before);
		if (r < 0 && r != -ENOENT)
			return r;
		if (before)
			low = at + 1;
		else
			high = middle; /* from here on all are later, or unreadable */
	}
	return 0;
}

int shard_chunk_before(
	struct sfs_shard *shard, enum chunk_key key, uint64_t value, struct chunk_found *ret_chunk)
{
	struct search s = {.shard = shard, .key = key, .value = value};
	int r = search_begin(&s);
	if (r == 0)
		r = search_bases(&s);
	free(s.bases);
	if (r == 0)
		*ret_chunk = s.chunk;
	return r;
}
