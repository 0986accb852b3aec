/* SPDX-License-Identifier: MIT */
#include "span.h"

#include "active_files.h"
#include "cleanup.h"
#include "sealed_segment.h"
#include "shard_name.h"

#include <inttypes.h>

/* Copies the items that hold [offset, end) out of an index; none if it has no such text. */
static void fill_span(struct span *span, const struct index *index, uint64_t offset, uint64_t end)
{
	span->count = 0;
	if (!index->count || offset >= index->end.at.offset ||
		offset < index->items[0].start.offset)
		return;
	size_t first = index_find(index, offset);
	span->json_end = index_item_json_end(index, first);
	for (size_t i = first; i < index->count; i++) {
		if (index->items[i].start.offset >= end || span->count == SPAN_ITEMS)
			return;
		span->items[span->count] = index->items[i];
		span->ends[span->count++] = index_item_end(index, i);
	}
}

/* Which segment has the offset, by the rising bases. */
static size_t find_base(const struct sfs_shard *shard, uint64_t offset)
{
	size_t low = 0, high = shard->base_count;
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		if (shard->bases[middle] <= offset)
			low = middle;
		else
			high = middle;
	}
	return low;
}

static bool is_trimmed(struct sfs_shard *shard, uint64_t offset)
{
	SCOPED_LOCK(&shard->lock);
	return offset < shard->horizon.offset;
}

int shard_span(struct sfs_shard *shard, uint64_t offset, uint64_t end, struct span *span)
{
	uint64_t base;
	*span = (struct span){.segment = NULL};
	{
		SCOPED_LOCK(&shard->lock);
		if (offset >= shard->end.offset)
			return -ENODATA;
		if (offset < shard->horizon.offset)
			return -ESTALE;
		size_t i = find_base(shard, offset);
		base = shard->bases[i];
		if (offset < base) { /* the first segment is lost */
			span->limit = base;
			return -EBADMSG;
		}
		span->limit = i + 1 < shard->base_count ? shard->bases[i + 1] : shard->end.offset;
		if (end > span->limit)
			end = span->limit;
		if (shard->active && base == shard->active->base_offset) {
			int opened = active_file_open_locked(shard);
			if (opened < 0)
				return opened;
			span->segment = segment_ref(shard->active);
			fill_span(span, &shard->active->index, offset, end);
			return span->count ? 0 : -EBADMSG;
		}
	}
	int r = shard_sealed_segment(shard, base, &span->segment);
	if (r == -EBADMSG && is_trimmed(shard, offset))
		return -ESTALE; /* it went meanwhile */
	if (r < 0)
		return r;
	fill_span(span, &span->segment->index, offset, end);
	if (atomic_exchange(&span->segment->unindexed, false) && shard->env->sealed)
		shard->env->sealed(shard, base);
	return span->count ? 0 : -EBADMSG; /* a segment that ends before the next one begins */
}

int shard_chunk_at(struct sfs_shard *shard, uint64_t offset, struct chunk_place *ret_place)
{
	struct span span = {0};
	int r = shard_span(shard, offset, offset + 1, &span);
	if (r == 0 && !span.count)
		r = -EBADMSG;
	if (r < 0) {
		segment_unref(span.segment);
		return r;
	}
	*ret_place = (struct chunk_place){span.segment, span.items[0], span.ends[0], span.json_end};
	return 0;
}

/* True if it was not known: from now on it counts, so that later opens read around it. */
static bool remember_damage(struct sfs_shard *shard, uint64_t from, uint64_t to)
{
	SCOPED_LOCK(&shard->lock);
	const uint64_t *known = (const uint64_t *)(void *)shard->bad_chunks.data;
	for (size_t i = 0; i < shard->bad_chunks.size / sizeof from; i++)
		if (known[i] == from)
			return false;
	if (buf_append(&shard->bad_chunks, &from, sizeof from) == 0)
		shard->gap_bytes += to - from;
	return true;
}

int shard_note_damage(struct sfs_shard *shard, const struct span *span, size_t i)
{
	struct shard_env *env = shard->env;
	const struct index_item *item = &span->items[i];
	TRACE_SHARD(read, shard, "damage: text %" PRIu64 " to %" PRIu64, item->start.offset,
		span->ends[i]);
	if (item->flags & INDEX_DAMAGED ||
		!remember_damage(shard, item->start.offset, span->ends[i]))
		return -EBADMSG;
	metric_add(&env->metrics.quarantined_chunks, 1);
	char name[SFS_NAME_MAX + 1];
	home_name(shard->home, name);
	env_report(env, SFS_ERROR,
		"%s/" SHARD_NAME_FORMAT
		"/%020llu.lz4: offset %llu: a chunk fails its check; text %llu to %llu cannot be "
		"read",
		name, shard->number, (unsigned long long)span->segment->base_offset,
		(unsigned long long)item->file_offset, (unsigned long long)item->start.offset,
		(unsigned long long)span->ends[i]);
	return -EBADMSG;
}
