/* SPDX-License-Identifier: MIT */
#include "meta.h"

#include "format.h"

#include <errno.h>
#include <stdlib.h>
#include <xxhash.h>

enum { CODE_NEXT_KEY = 0, CODE_NO_KEY = 1, CODE_KEY_BASE = 2, SLOTS_MIN = 64 };

struct key_entry {
	uint64_t hash;
	uint32_t offset; /* of its bytes in `keys` */
	uint32_t bytes;
};

void meta_writer_fini(struct meta_writer *w)
{
	buf_fini(&w->keys);
	buf_fini(&w->codes);
	buf_fini(&w->times);
	buf_fini(&w->claims);
	vector_fini(&w->slots);
	vector_fini(&w->table);
	buf_fini(&w->out);
}

/* Gives memory back over what a usual chunk needs. */
enum { KEEP = 256 << 10, KEEP_KEYS = 16 << 10 };

static void reset_table(struct meta_writer *w)
{
	if (w->slots.capacity > 4 * KEEP_KEYS)
		vector_fini(&w->slots);
	else if (w->table.count)
		memset(w->slots.items, 0, w->slots.count * sizeof *w->slots.items);
	vector_clear(&w->table);
	if (w->table.capacity > KEEP_KEYS)
		vector_fini(&w->table);
}

void meta_writer_reset(struct meta_writer *w)
{
	buf_reset(&w->keys, KEEP);
	buf_reset(&w->codes, KEEP);
	buf_reset(&w->times, KEEP);
	buf_reset(&w->claims, KEEP);
	buf_reset(&w->out, KEEP);
	reset_table(w);
	w->records = w->keyed_records = 0;
	w->claim_count = w->claim_last = w->run_records = 0;
	w->run_ms = w->first_ms = w->last_ms = 0;
	w->many_times = w->finished = false;
}

/* The slot of a key, or a free one for it. */
static uint32_t *key_slot(struct meta_writer *w, const char *key, size_t bytes, uint64_t hash)
{
	uint32_t *slots = w->slots.items;
	size_t mask = w->slots.count - 1;
	for (size_t i = hash & mask;; i = (i + 1) & mask) {
		if (!slots[i])
			return &slots[i];
		const struct key_entry *e = &w->table.items[slots[i] - 1];
		if (e->hash == hash && e->bytes == bytes &&
			!memcmp(w->keys.data + e->offset, key, bytes))
			return &slots[i];
	}
}

static void fill_slots(struct meta_writer *w)
{
	uint32_t *slots = w->slots.items;
	size_t mask = w->slots.count - 1;
	memset(slots, 0, w->slots.count * sizeof *slots);
	for (uint32_t k = 0; k < w->table.count; k++) {
		size_t i = w->table.items[k].hash & mask;
		while (slots[i])
			i = (i + 1) & mask;
		slots[i] = k + 1;
	}
}

/* Room for one more key. */
static int grow_slots(struct meta_writer *w)
{
	size_t count = w->slots.count;
	if (count && w->table.count < count / 2)
		return 0;
	int r = vector_resize(&w->slots, count ? count * 2 : SLOTS_MIN);
	if (r == 0)
		fill_slots(w);
	return r;
}

/* A key that is not in the table yet: into the table and its slot. */
static int add_new_key(
	struct meta_writer *w, const char *key, size_t bytes, uint64_t hash, uint32_t *slot)
{
	int r = buf_varint(&w->keys, bytes);
	if (r < 0)
		return r;
	struct key_entry entry = {hash, (uint32_t)w->keys.size, (uint32_t)bytes};
	r = buf_append(&w->keys, key, bytes);
	if (r == 0)
		r = vector_push(&w->table, entry);
	if (r < 0)
		return r;
	*slot = (uint32_t)w->table.count;
	return buf_varint(&w->codes, CODE_NEXT_KEY);
}

static int add_key(struct meta_writer *w, const char *key, size_t bytes)
{
	int r = grow_slots(w);
	if (r < 0)
		return r;
	uint64_t hash = XXH3_64bits(key, bytes);
	uint32_t *slot = key_slot(w, key, bytes, hash);
	return *slot ? buf_varint(&w->codes, *slot - 1 + CODE_KEY_BASE)
		     : add_new_key(w, key, bytes, hash, slot);
}

/* A run ends: how many records, and how much later they came than the run before. */
static int end_run(struct meta_writer *w)
{
	if (!w->run_records)
		return 0;
	int r = buf_varint(&w->times, w->run_records);
	if (r == 0)
		r = buf_varint(&w->times, w->run_ms - w->last_ms);
	w->last_ms = w->run_ms;
	w->run_records = 0;
	return r;
}

static int add_time(struct meta_writer *w, uint64_t arrival_ms)
{
	if (!w->records)
		w->first_ms = w->last_ms = w->run_ms = arrival_ms;
	if (arrival_ms > w->run_ms) {
		int r = end_run(w);
		if (r < 0)
			return r;
		w->run_ms = arrival_ms;
		w->many_times = true;
	}
	w->run_records++;
	return 0;
}

static int add_claim(struct meta_writer *w, const struct claim *claim)
{
	int r = buf_varint(&w->claims, w->records - w->claim_last);
	if (r == 0)
		r = buf_append(&w->claims, claim->digest, sizeof claim->digest);
	if (r == 0)
		r = buf_varint(&w->claims, claim->payload_bytes);
	w->claim_last = w->records + 1;
	w->claim_count++;
	return r;
}

int meta_writer_record(struct meta_writer *w, const char *key, size_t key_bytes,
	uint64_t arrival_ms, const struct claim *claim)
{
	assert(!w->finished && (!w->records || arrival_ms >= w->run_ms));
	int r = add_time(w, arrival_ms);
	if (r == 0 && claim)
		r = add_claim(w, claim);
	if (r == 0)
		r = key_bytes ? add_key(w, key, key_bytes) : buf_varint(&w->codes, CODE_NO_KEY);
	if (r < 0)
		return r;
	w->keyed_records += key_bytes != 0;
	w->records++;
	return 0;
}

static int section(struct buf *out, uint8_t type, uint64_t count, bool counted, const struct buf *a,
	const struct buf *b)
{
	uint8_t head[10];
	struct buf count_buf = {.data = head, .capacity = sizeof head};
	if (counted)
		(void)buf_varint(&count_buf, count);
	int r = buf_append(out, &type, 1);
	if (r == 0)
		r = buf_varint(out, count_buf.size + a->size + (b ? b->size : 0));
	if (r == 0)
		r = buf_append(out, head, count_buf.size);
	if (r == 0)
		r = buf_append(out, a->data, a->size);
	if (r == 0 && b)
		r = buf_append(out, b->data, b->size);
	return r;
}

/* One key for all of them needs no codes. */
static int finish_keys(struct meta_writer *w)
{
	if (!w->keyed_records)
		return 0;
	if (w->table.count > 1 || w->keyed_records != w->records)
		return section(&w->out, META_KEYS, w->table.count, true, &w->keys, &w->codes);
	const struct key_entry *e = w->table.items;
	struct buf key = {.data = w->keys.data + e->offset, .size = e->bytes};
	return section(&w->out, META_KEY, 0, false, &key, NULL);
}

const struct buf *meta_writer_finish(struct meta_writer *w)
{
	assert(!w->finished);
	w->finished = true;
	int r = finish_keys(w);
	if (r == 0 && w->many_times)
		r = end_run(w);
	if (r == 0 && w->many_times)
		r = section(&w->out, META_TIMES, 0, false, &w->times, NULL);
	if (r == 0 && w->claim_count)
		r = section(&w->out, META_CLAIMS, w->claim_count, true, &w->claims, NULL);
	return r < 0 ? NULL : &w->out;
}

static int get_bytes(const uint8_t **p, const uint8_t *end, uint64_t bytes, const uint8_t **ret)
{
	if (bytes > (uint64_t)(end - *p))
		return -EBADMSG;
	*ret = *p;
	*p += bytes;
	return 0;
}

static int view_keys(struct meta_view *v, const uint8_t *p, const uint8_t *end)
{
	uint64_t count;
	if (varint_get(&p, end, &count) < 0 || count > (uint64_t)(end - p) || v->table)
		return -EBADMSG;
	v->table = calloc(count ? count : 1, sizeof *v->table);
	if (!v->table)
		return -ENOMEM;
	for (uint64_t i = 0; i < count; i++) {
		uint64_t bytes;
		if (varint_get(&p, end, &bytes) < 0 ||
			get_bytes(&p, end, bytes, &v->table[i].data) < 0)
			return -EBADMSG;
		v->table[i].bytes = bytes;
	}
	v->table_count = count;
	v->codes = p;
	v->codes_end = end;
	return 0;
}

/* How many ordinary records come before the next claim. */
static int next_claim(struct meta_view *v)
{
	if (!v->claims_left)
		return 0;
	v->claims_left--;
	if (varint_get(&v->claims, v->claims_end, &v->claim_wait) < 0 ||
		v->claim_wait == UINT64_MAX)
		return -EBADMSG;
	v->claim_wait++; /* counted down to the claim at 1; 0: no more claims */
	return 0;
}

static int view_section(struct meta_view *v, uint8_t type, const uint8_t *p, const uint8_t *end)
{
	switch (type) {
	case META_KEY:
		v->single_key = p;
		v->single_key_bytes = (size_t)(end - p);
		return 0;
	case META_KEYS:
		return view_keys(v, p, end);
	case META_TIMES:
		v->times = p;
		v->times_end = end;
		return 0;
	case META_CLAIMS:
		if (varint_get(&p, end, &v->claims_left) < 0)
			return -EBADMSG;
		v->claims = p;
		v->claims_end = end;
		return next_claim(v);
	default:
		return 0;
	}
}

int meta_view_init(struct meta_view *v, const struct buf *raw, uint64_t arrival_ms)
{
	*v = (struct meta_view){.run_ms = arrival_ms};
	const uint8_t *p = raw->data, *end = p ? p + raw->size : p;
	while (p < end) {
		uint8_t type = *p++;
		uint64_t bytes;
		const uint8_t *body;
		int r = varint_get(&p, end, &bytes);
		if (r == 0)
			r = get_bytes(&p, end, bytes, &body);
		if (r == 0)
			r = view_section(v, type, body, body + bytes);
		if (r < 0) {
			meta_view_fini(v);
			return r;
		}
	}
	return 0;
}

void meta_view_fini(struct meta_view *v)
{
	free(v->table);
	v->table = NULL;
}

static int next_key(struct meta_view *v, struct meta_record *record)
{
	if (v->single_key) {
		record->key = v->single_key;
		record->key_bytes = v->single_key_bytes;
	}
	if (!v->codes)
		return 0;
	uint64_t code;
	if (varint_get(&v->codes, v->codes_end, &code) < 0)
		return -EBADMSG;
	if (code == CODE_NO_KEY)
		return 0;
	uint64_t index = code == CODE_NEXT_KEY ? v->table_next++ : code - CODE_KEY_BASE;
	if (index >= v->table_count)
		return -EBADMSG;
	record->key = v->table[index].data;
	record->key_bytes = v->table[index].bytes;
	return 0;
}

static int next_time(struct meta_view *v, struct meta_record *record)
{
	while (v->times && !v->run_left) {
		uint64_t delta;
		if (varint_get(&v->times, v->times_end, &v->run_left) < 0 ||
			varint_get(&v->times, v->times_end, &delta) < 0)
			return -EBADMSG;
		v->run_ms += delta;
	}
	v->run_left -= v->times != NULL;
	record->arrival_ms = v->run_ms;
	return 0;
}

int meta_view_next(struct meta_view *v, struct meta_record *ret_record)
{
	struct meta_record record = {0};
	int r = next_key(v, &record);
	if (r == 0)
		r = next_time(v, &record);
	if (r < 0)
		return r;
	if (v->claim_wait && !--v->claim_wait) {
		const uint8_t *digest;
		r = get_bytes(&v->claims, v->claims_end, sizeof record.claim.digest, &digest);
		if (r == 0)
			r = varint_get(&v->claims, v->claims_end, &record.claim.payload_bytes);
		if (r < 0)
			return r;
		memcpy(record.claim.digest, digest, sizeof record.claim.digest);
		record.has_claim = true;
		r = next_claim(v);
		if (r < 0)
			return r;
	}
	*ret_record = record;
	return 0;
}
