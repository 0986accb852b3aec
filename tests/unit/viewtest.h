/* SPDX-License-Identifier: MIT */
/*
 * For the tests of views: a clock that the test sets, and a model. The model keeps the records of
 * the stream in memory, and computes what a view must return. It takes the text of new records from
 * sfs_shard_read(), which has tests of its own. Keys and times come from the test.
 *
 * Linked with --wrap=clock_wall_ms.
 */
#ifndef TESTS_VIEWTEST_H
#define TESTS_VIEWTEST_H

#include <check.h>

#include "storetest.h"

#include "json_record.h"

#include "streamfs/view.h"

/* --- the clock --- */

static _Atomic uint64_t clock_ms; /* 0: the real one */

uint64_t __real_clock_wall_ms(void);
uint64_t __wrap_clock_wall_ms(void);

uint64_t __wrap_clock_wall_ms(void)
{
	uint64_t ms = atomic_load(&clock_ms);
	return ms ? ms : __real_clock_wall_ms();
}

/* --- random numbers --- */

static uint64_t random_state = 1;

static inline uint64_t next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

/* 0 to n - 1. */
static inline size_t below(size_t n)
{
	return (size_t)(next_random() >> 11) % n;
}

/* --- the model --- */

struct model_record {
	uint32_t shard; /* its index in the model */
	uint64_t sequence, offset, arrival_ms;
	const char *key;
	bool claimed;
	uint8_t *text;
	size_t bytes; /* with its newline */
};

struct model_shard {
	struct sfs_shard *shard;
	uint64_t size, last_ms;
	uint32_t *parents;
	size_t parent_count;
	struct buf records; /* size_t[]: indexes of its records */
};

static struct {
	struct model_record *records;
	size_t count, room;
	struct model_shard shards[64];
	size_t shard_count;
	uint64_t claim_above_bytes;
} model;

static inline struct model_record *record_of(const struct model_shard *s, size_t sequence)
{
	return &model.records[((size_t *)(void *)s->records.data)[sequence]];
}

static inline size_t record_count(const struct model_shard *s)
{
	return s->records.size / sizeof(size_t);
}

static inline void model_find_shards(void)
{
	uint32_t *numbers;
	size_t count;
	ck_assert_int_eq(sfs_stream_shards(stream, &numbers, &count), 0);
	for (size_t i = model.shard_count; i < count; i++) {
		struct model_shard *s = &model.shards[model.shard_count++];
		ck_assert_uint_eq(numbers[i], i);
		*s = (struct model_shard){0};
		ck_assert_int_eq(sfs_stream_shard(stream, numbers[i], &s->shard), 0);
		ck_assert_int_eq(sfs_shard_parents(s->shard, &s->parents, &s->parent_count), 0);
	}
	free(numbers);
}

static inline void model_leave_shards(void)
{
	for (size_t i = 0; i < model.shard_count; i++)
		sfs_shard_unref(model.shards[i].shard);
}

static inline void model_return_to_shards(void)
{
	for (size_t i = 0; i < model.shard_count; i++)
		ck_assert_int_eq(sfs_stream_shard(stream, (uint32_t)i, &model.shards[i].shard), 0);
}

static inline void model_free(void)
{
	model_leave_shards();
	for (size_t i = 0; i < model.count; i++)
		free(model.records[i].text);
	for (size_t i = 0; i < model.shard_count; i++) {
		free(model.shards[i].parents);
		buf_fini(&model.shards[i].records);
	}
	free(model.records);
	memset(&model, 0, sizeof model);
}

static inline void model_add(size_t i, const char *key, const uint8_t *text, size_t bytes)
{
	struct model_shard *s = &model.shards[i];
	if (model.count == model.room) {
		model.room = model.room ? 2 * model.room : 64;
		model.records = realloc(model.records, model.room * sizeof *model.records);
	}
	model.records[model.count] = (struct model_record){
		.shard = (uint32_t)i,
		.sequence = record_count(s),
		.offset = s->size,
		.arrival_ms = s->last_ms,
		.key = key,
		.claimed =
			model.claim_above_bytes && memmem(text, bytes, "claim_check", 11) != NULL,
		.text = malloc(bytes),
		.bytes = bytes,
	};
	memcpy(model.records[model.count].text, text, bytes);
	ck_assert_int_eq(buf_append(&s->records, &model.count, sizeof model.count), 0);
	model.count++;
	s->size += bytes;
}

/* Adds the records appended under this key (NULL: none) at the clock's time. */
static inline void model_update(const char *key)
{
	model_find_shards();
	for (size_t i = 0; i < model.shard_count; i++) {
		struct model_shard *s = &model.shards[i];
		size_t bytes = (size_t)(sfs_shard_size(s->shard) - s->size), n = 0;
		if (!bytes)
			continue;
		if (s->last_ms < clock_ms)
			s->last_ms = clock_ms;
		uint8_t *text = malloc(bytes);
		ck_assert_int_eq(sfs_shard_read(s->shard, s->size, text, bytes, &n), 0);
		ck_assert_uint_eq(n, bytes);
		for (size_t at = 0; at < bytes;) {
			uint8_t *newline = memchr(text + at, '\n', bytes - at);
			ck_assert_ptr_nonnull(newline);
			size_t end = (size_t)(newline - text) + 1;
			model_add(i, key, text + at, end - at);
			at = end;
		}
		free(text);
	}
}

static inline void write_to(struct sfs_writer *writer, const void *text, size_t bytes)
{
	size_t taken;
	ck_assert_int_eq(sfs_writer_write(writer, text, bytes, &taken), 0);
	ck_assert_uint_eq(taken, bytes);
	ck_assert_int_eq(sfs_writer_close(writer), 0);
}

/* Appends lines to a shard (key NULL) or under a key. The key must live as long as the model. */
static inline void model_append(
	struct sfs_shard *to, const char *key, const void *text, size_t bytes)
{
	struct sfs_writer *writer;
	if (key)
		ck_assert_int_eq(sfs_writer_open_key(stream, key, strlen(key), &writer), 0);
	else
		ck_assert_int_eq(sfs_writer_open_shard(to, &writer), 0);
	write_to(writer, text, bytes);
	model_update(key);
}

/* --- what a view must return --- */

static inline void render_record(struct buf *out, const struct model_record *r, bool json)
{
	if (!json) {
		ck_assert_int_eq(buf_append(out, r->text, r->bytes), 0);
		return;
	}
	struct json_record described = {
		.shard = r->shard,
		.sequence = r->sequence,
		.offset = r->offset,
		.arrival_ms = r->arrival_ms,
		.key = r->key,
		.key_bytes = r->key ? strlen(r->key) : 0,
	};
	ck_assert_int_eq(json_record_append(out, &described, r->text, r->bytes - 1, r->claimed), 0);
}

/* A reader in the model: its position in each shard. */
struct model_reader {
	struct sfs_view_spec spec;
	size_t next[64]; /* sequence number */
	bool known[64];	 /* the shard existed when the view was opened */
};

static inline bool is_of(const struct sfs_view_spec *spec, const struct model_record *r)
{
	if (spec->start == SFS_FROM_TIME && r->arrival_ms < spec->since_ms)
		return false;
	if (spec->filter == SFS_OF_SHARD)
		return model.shards[r->shard].shard == spec->shard;
	if (spec->filter == SFS_OF_ALL)
		return true;
	return r->key && strlen(r->key) == spec->key_bytes &&
	       !memcmp(r->key, spec->key, spec->key_bytes);
}

static inline struct model_reader model_open(const struct sfs_view_spec *spec)
{
	struct model_reader reader = {.spec = *spec};
	for (size_t i = 0; spec->start == SFS_FROM_NOW && i < model.shard_count; i++)
		reader.next[i] = record_count(&model.shards[i]);
	return reader;
}

/* The next record of a shard for the reader. NULL: none at present. */
static inline struct model_record *model_head(struct model_reader *reader, size_t i)
{
	struct model_shard *s = &model.shards[i];
	while (reader->next[i] < record_count(s)) {
		struct model_record *r = record_of(s, reader->next[i]);
		if (is_of(&reader->spec, r))
			return r;
		reader->next[i]++;
	}
	return NULL;
}

static inline bool model_is_blocked(struct model_reader *reader, size_t i)
{
	const struct model_shard *s = &model.shards[i];
	for (size_t p = 0; p < s->parent_count; p++)
		if (model_head(reader, s->parents[p]) || model_is_blocked(reader, s->parents[p]))
			return true;
	return false;
}

/*
 * Checks that `got` is all that the reader must get next. Of several records with the same time,
 * any may be next.
 */
static inline void model_check(struct model_reader *reader, const struct buf *got)
{
	size_t at = 0;
	struct buf want = {0};
	for (;;) {
		uint64_t least = UINT64_MAX;
		bool any = false, matched = false;
		for (size_t i = 0; i < model.shard_count; i++) {
			struct model_record *head = model_head(reader, i);
			if (!head || model_is_blocked(reader, i))
				continue;
			any = true;
			least = head->arrival_ms < least ? head->arrival_ms : least;
		}
		if (!any)
			break;
		for (size_t i = 0; !matched && i < model.shard_count; i++) {
			struct model_record *head = model_head(reader, i);
			if (!head || head->arrival_ms != least || model_is_blocked(reader, i))
				continue;
			want.size = 0;
			render_record(&want, head, reader->spec.json);
			if (want.size > got->size - at ||
				memcmp(want.data, got->data + at, want.size) != 0)
				continue;
			matched = true;
			at += want.size;
			reader->next[i]++;
		}
		ck_assert_msg(matched, "at byte %zu of %zu: not a record that can be next: %.*s",
			at, got->size, (int)(got->size - at < 300 ? got->size - at : 300),
			got->size ? (char *)got->data + at : "");
	}
	ck_assert_uint_eq(at, got->size);
	buf_fini(&want);
}

/* --- the store --- */

static inline void append_of_key(const char *key, const char *text)
{
	struct sfs_writer *writer;
	size_t taken;
	ck_assert_int_eq(sfs_writer_open_key(stream, key, strlen(key), &writer), 0);
	ck_assert_int_eq(sfs_writer_write(writer, text, strlen(text), &taken), 0);
	ck_assert_int_eq(sfs_writer_close(writer), 0);
}

/* Moves the horizon of shard 0 to the record `sequence`, which begins at `offset`. */
static inline void set_horizon(uint64_t offset, uint64_t sequence, uint64_t json_offset)
{
	SCOPED_LOCK(&shard->lock);
	shard->horizon.offset = offset;
	shard->horizon.sequence = sequence;
	shard->horizon.json_offset = json_offset;
}

static inline size_t count_lines(const struct buf *text)
{
	size_t count = 0;
	for (size_t i = 0; i < text->size; i++)
		count += text->data[i] == '\n';
	return count;
}

/* --- a reader of the store --- */

static inline struct sfs_view *open_view(struct sfs_view_spec spec)
{
	struct sfs_view *view;
	if (spec.filter == SFS_OF_SHARD && !spec.shard)
		spec.shard = shard;
	ck_assert_int_eq(sfs_view_open(stream, &spec, &view), 0);
	return view;
}

/* Reads to the present end, at most `step` bytes at a time. Returns the last result. */
static inline int drain(struct sfs_view *view, size_t step, bool random, struct buf *out)
{
	for (;;) {
		size_t n = 0, ask = random ? 1 + below(step) : step;
		ck_assert_int_eq(buf_reserve(out, ask), 0);
		int r = sfs_view_read(view, out->data + out->size, ask, &n);
		if (r < 0 || !n)
			return r;
		ck_assert_uint_le(n, ask);
		out->size += n;
	}
}

static inline void check_drains(struct sfs_view *view, size_t step, int result, const char *want)
{
	struct buf got = {0};
	ck_assert_int_eq(drain(view, step, false, &got), result);
	ck_assert_int_eq(buf_append(&got, "", 1), 0);
	ck_assert_str_eq((char *)got.data, want);
	buf_fini(&got);
}

#endif
