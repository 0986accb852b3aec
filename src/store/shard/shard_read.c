/* SPDX-License-Identifier: MIT */
/*
 * Reading a shard: the index says which chunks hold the range; each is read, checked, and
 * decompressed, straight into the caller's buffer when the whole chunk is wanted. Neighbouring
 * chunks are read from the disk together.
 */
#include "shard.h"
#include "shard_name.h"

#include "active_files.h"
#include "cleanup.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

enum { SPAN_STORED_BYTES = 1 << 20 }; /* read from the disk at once, unless one chunk is larger */

void chunk_text_ref(void *text)
{
	atomic_fetch_add(&((struct chunk_text *)text)->refs, 1);
}

void chunk_text_unref(void *text)
{
	struct chunk_text *t = text;
	if (t && atomic_fetch_sub(&t->refs, 1) == 1)
		free(t);
}

/* A sealed segment's file, and its index if that is in a file too. */
struct sealed_file {
	char path[SHARD_PATH_MAX]; /* for reports */
	int fd;
	bool indexed;
	struct index index;
};

static int load_index(struct sfs_shard *shard, uint64_t base, struct sealed_file *file)
{
	struct shard_env *env = shard->env;
	char path[SHARD_PATH_MAX];
	struct stat st;
	if (fstat(file->fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EBADMSG;
	shard_segment_path(shard, path, base, INDEX_SUFFIX);
	file->indexed = index_load(&env->disk, env->streams_dir, path, shard->tag, file->fd,
				(uint64_t)st.st_size, base, &file->index) == 0;
	return 0;
}

/* The descriptor is the caller's to close, also on failure. */
static int open_files(struct sfs_shard *shard, uint64_t base, struct sealed_file *file)
{
	struct shard_env *env = shard->env;
	struct home *home = shard->home;
	pthread_rwlock_rdlock(&home->path_lock);
	shard_segment_path(shard, file->path, base, SEGMENT_SUFFIX);
	int r = home->removed ? -ENOENT
			      : disk_open(&env->disk, env->streams_dir, file->path,
					O_RDONLY | O_NONBLOCK, &file->fd);
	if (r == -ENOENT || r == -ELOOP)
		r = -EBADMSG;
	if (r == 0)
		r = load_index(shard, base, file);
	pthread_rwlock_unlock(&home->path_lock);
	return r;
}

/* Walks the segment where no index tells of it. */
static int scan_sealed(
	struct sfs_shard *shard, uint64_t base, struct sealed_file *file, bool *ret_unindexed)
{
	struct shard_env *env = shard->env;
	struct scan scan;
	int r = segment_scan(&env->disk, file->fd, shard->tag, base, UINT64_MAX, &scan);
	if (r < 0)
		return r;
	if (scan.gap_count || scan.tail_damaged) {
		metric_add(&env->metrics.quarantined_chunks, scan.gap_count + scan.tail_damaged);
		env_report(env, SFS_ERROR,
			"%s: damaged: %llu gaps%s; what they held cannot be read", file->path,
			(unsigned long long)scan.gap_count,
			scan.tail_damaged ? " and the end" : "");
	}
	file->index = scan.index;
	*ret_unindexed = !scan.gap_count && !scan.tail_damaged;
	return 0;
}

int shard_uncached_segment(
	struct sfs_shard *shard, uint64_t base_offset, struct segment **ret_segment)
{
	struct sealed_file file = {.fd = -1};
	bool unindexed = false;
	int r = open_files(shard, base_offset, &file);
	if (r == 0 && !file.indexed)
		r = scan_sealed(shard, base_offset, &file, &unindexed);
	struct segment *segment = r == 0 ? segment_new(base_offset, file.fd, &file.index) : NULL;
	if (!segment) {
		index_fini(&file.index);
		if (file.fd >= 0)
			close(file.fd);
		return r < 0 ? r : -ENOMEM;
	}
	atomic_init(&segment->unindexed, unindexed && !shard->env->read_only);
	*ret_segment = segment;
	return 0;
}

static uint64_t replaced_count(struct sfs_shard *shard)
{
	SCOPED_LOCK(&shard->lock);
	return shard->replaced_count;
}

/* Into the cache, unless a merge may have replaced the file since, or a trim have removed it. */
static void cache_segment(struct sfs_shard *shard, struct segment *segment, uint64_t replaced)
{
	SCOPED_LOCK(&shard->lock);
	if (shard->replaced_count == replaced)
		lru_put(shard->env->segments, shard->tag, segment->base_offset, segment, 1);
}

int shard_sealed_segment(
	struct sfs_shard *shard, uint64_t base_offset, struct segment **ret_segment)
{
	struct segment *segment = lru_get(shard->env->segments, shard->tag, base_offset);
	if (!segment) {
		uint64_t replaced = replaced_count(shard);
		int r = shard_uncached_segment(shard, base_offset, &segment);
		if (r < 0)
			return r;
		cache_segment(shard, segment, replaced);
	}
	*ret_segment = segment;
	return 0;
}

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
	metric_add(&env->metrics.checksum_errors, 1);
	if (item->flags & INDEX_DAMAGED ||
		!remember_damage(shard, item->start.offset, span->ends[i]))
		return -EBADMSG;
	metric_add(&env->metrics.quarantined_chunks, 1);
	char name[SFS_NAME_MAX + 1];
	home_name(shard->home, name);
	env_report(env, SFS_ERROR,
		"%s/" SHARD_NAME_FORMAT
		"/%020llu.lz4: offset %llu: a chunk fails its check; text %llu to "
		"%llu "
		"cannot be read",
		name, shard->number, (unsigned long long)span->segment->base_offset,
		(unsigned long long)item->file_offset, (unsigned long long)item->start.offset,
		(unsigned long long)span->ends[i]);
	return -EBADMSG;
}

/* What a read wants, and how far it has got. */
struct request {
	struct sfs_shard *shard;
	uint64_t offset, end;
	uint8_t *buffer;
	uint64_t done; /* text offset */
};

static void copy_text(struct request *q, uint64_t text_offset, const uint8_t *text, uint64_t bytes)
{
	uint64_t skip = q->done - text_offset;
	uint64_t take = bytes - skip < q->end - q->done ? bytes - skip : q->end - q->done;
	memcpy(q->buffer + (q->done - q->offset), text + skip, take);
	q->done += take;
}

/* Decodes one stored chunk to where the request wants it. */
static int take_chunk(struct request *q, const struct span *span, size_t i, const void *stored)
{
	const struct index_item *item = &span->items[i];
	struct lru *cache = q->shard->env->chunks;
	uint64_t text_bytes = span->ends[i] - item->start.offset;
	struct chunk chunk;
	if (segment_check_chunk(item, q->shard->tag, text_bytes, stored, &chunk) < 0)
		return shard_note_damage(q->shard, span, i);
	const void *frame = chunk_frame_of(&chunk, stored);
	if (q->done == item->start.offset && span->ends[i] <= q->end) {
		if (chunk_decode(&chunk, frame, q->buffer + (q->done - q->offset)) < 0)
			return shard_note_damage(q->shard, span, i);
		q->done = span->ends[i];
		return 0;
	}
	struct chunk_text *text = malloc(sizeof *text + text_bytes);
	if (!text)
		return -ENOMEM;
	atomic_init(&text->refs, 1);
	text->bytes = text_bytes;
	int r = chunk_decode(&chunk, frame, text->data);
	if (r == 0) {
		copy_text(q, item->start.offset, text->data, text_bytes);
		lru_put(cache, span->segment->uid, item->file_offset, text, text_bytes);
	} else {
		r = shard_note_damage(q->shard, span, i);
	}
	chunk_text_unref(text);
	return r;
}

/* True if the decoded chunk was still there. */
static bool take_cached(struct request *q, const struct span *span, size_t i)
{
	struct chunk_text *text =
		lru_get(q->shard->env->chunks, span->segment->uid, span->items[i].file_offset);
	if (!text)
		return false;
	copy_text(q, span->items[i].start.offset, text->data, text->bytes);
	chunk_text_unref(text);
	return true;
}

/* How many items from `i` on can be read at once: side by side, and not too much. */
static size_t run_length(const struct span *span, size_t i, size_t *ret_bytes)
{
	uint64_t bytes = span->items[i].stored_bytes;
	size_t n = 1;
	for (; i + n < span->count; n++) {
		const struct index_item *item = &span->items[i + n];
		if (item->flags & INDEX_DAMAGED || item->stored_bytes > SPAN_STORED_BYTES ||
			item->file_offset != span->items[i].file_offset + bytes ||
			bytes + item->stored_bytes > SPAN_STORED_BYTES)
			break;
		bytes += item->stored_bytes;
	}
	*ret_bytes = (size_t)bytes;
	return n;
}

static int take_run(struct request *q, const struct span *span, size_t i, size_t n, size_t bytes)
{
	_cleanup_free_ uint8_t *stored = malloc(bytes);
	if (!stored)
		return -ENOMEM;
	size_t got;
	int r = disk_read(&q->shard->env->disk, span->segment->fd, span->items[i].file_offset,
		stored, bytes, &got);
	if (r < 0)
		return r;
	size_t at = 0;
	for (size_t k = i; k < i + n; k++) {
		if (span->items[k].stored_bytes > got - at)
			return shard_note_damage(q->shard, span, k);
		r = take_chunk(q, span, k, stored + at);
		if (r < 0)
			return r;
		at += span->items[k].stored_bytes;
	}
	return 0;
}

static int take_span(struct request *q, const struct span *span)
{
	for (size_t i = 0; i < span->count;) {
		if (span->items[i].flags & INDEX_DAMAGED)
			return shard_note_damage(q->shard, span, i);
		if (take_cached(q, span, i)) {
			i++;
			continue;
		}
		size_t bytes, n = run_length(span, i, &bytes);
		int r = take_run(q, span, i, n, bytes);
		if (r < 0)
			return r;
		i += n;
	}
	return 0;
}

int sfs_shard_read(
	struct sfs_shard *shard, uint64_t offset, void *buffer, size_t bytes, size_t *ret_bytes)
{
	int r = shard_open(shard);
	if (r < 0)
		return r;
	uint64_t size = sfs_shard_size(shard);
	struct request q = {.shard = shard, .offset = offset, .buffer = buffer, .done = offset};
	q.end = offset >= size ? offset : size - offset < bytes ? size : offset + bytes;
	while (q.done < q.end) {
		struct span span = {0};
		r = shard_span(shard, q.done, q.end, &span);
		if (r == 0)
			r = take_span(&q, &span);
		segment_unref(span.segment);
		if (r < 0)
			break;
	}
	if (r < 0 && q.done == offset)
		return r;
	*ret_bytes = (size_t)(q.done - offset);
	return 0;
}

/* What is kept of the horizon's page, from `offset` on. */
static size_t copy_kept(struct sfs_shard *shard, uint64_t offset, void *buffer, size_t bytes)
{
	SCOPED_LOCK(&shard->lock);
	const struct buf *page = &shard->horizon_page;
	uint64_t from = shard->horizon.offset - page->size;
	if (offset < from || offset >= shard->horizon.offset)
		return 0;
	size_t left = (size_t)(shard->horizon.offset - offset);
	size_t n = left < bytes ? left : bytes;
	memcpy(buffer, page->data + (offset - from), n);
	return n;
}

int sfs_shard_read_page(
	struct sfs_shard *shard, uint64_t offset, void *buffer, size_t bytes, size_t *ret_bytes)
{
	int r = sfs_shard_read(shard, offset, buffer, bytes, ret_bytes);
	if (r != -ESTALE)
		return r;
	size_t kept = copy_kept(shard, offset, buffer, bytes), more = 0;
	if (!kept)
		return r;
	if (kept < bytes)
		r = sfs_shard_read(
			shard, offset + kept, (char *)buffer + kept, bytes - kept, &more);
	*ret_bytes = kept + (kept < bytes && r == 0 ? more : 0);
	return 0;
}
