/* SPDX-License-Identifier: MIT */
/* The keys of a stream's retained records, found in the metas of their chunks alone. */
#include "cleanup.h"
#include "cursor.h"
#include "stream.h"
#include "trace.h"
#include "vector.h"

#include "streamfs/view.h"

#include <inttypes.h>
#include <xxhash.h>

struct key_entry {
	uint64_t hash;
	size_t offset, bytes; /* in the set's bytes */
};

/* A set of distinct keys. */
struct key_set {
	struct buf bytes; /* of all keys, one behind the other */
	VECTOR(, struct key_entry) entries;
	uint32_t *slots;   /* hash table of entries: index + 1, or 0; at most half full */
	size_t slot_count; /* a power of two */
};

static void key_set_fini(struct key_set *set)
{
	buf_fini(&set->bytes);
	vector_fini(&set->entries);
	free(set->slots);
}

static bool key_set_is_full(const struct key_set *set)
{
	return set->entries.count == SFS_KEYS_LISTED;
}

/* The slot of a key, or the empty one that it would get. */
static uint32_t *find_slot(const struct key_set *set, const void *key, size_t bytes, uint64_t hash)
{
	for (size_t i = hash & (set->slot_count - 1);; i = (i + 1) & (set->slot_count - 1)) {
		if (!set->slots[i])
			return &set->slots[i];
		const struct key_entry *e = &set->entries.items[set->slots[i] - 1];
		if (e->hash == hash && e->bytes == bytes &&
			!memcmp(set->bytes.data + e->offset, key, bytes))
			return &set->slots[i];
	}
}

static int grow_slots(struct key_set *set)
{
	enum { SLOTS_MIN = 1024 };
	if (set->entries.count < set->slot_count / 2)
		return 0;
	size_t count = set->slot_count ? 2 * set->slot_count : SLOTS_MIN;
	uint32_t *slots = calloc(count, sizeof *slots);
	if (!slots)
		return -ENOMEM;
	free(set->slots);
	set->slots = slots;
	set->slot_count = count;
	for (size_t k = 0; k < set->entries.count; k++) {
		const struct key_entry *e = &set->entries.items[k];
		*find_slot(set, set->bytes.data + e->offset, e->bytes, e->hash) = (uint32_t)k + 1;
	}
	return 0;
}

static int add_key(struct key_set *set, const uint8_t *key, size_t bytes)
{
	if (!bytes || key_set_is_full(set))
		return 0;
	int r = grow_slots(set);
	if (r < 0)
		return r;
	uint64_t hash = XXH3_64bits(key, bytes);
	uint32_t *slot = find_slot(set, key, bytes, hash);
	if (*slot)
		return 0;
	struct key_entry entry = {hash, set->bytes.size, bytes};
	r = buf_append(&set->bytes, key, bytes);
	if (r == 0)
		r = vector_push(&set->entries, entry);
	if (r == 0)
		*slot = (uint32_t)set->entries.count;
	return r;
}

/* Adds the keys of the retained records of a chunk that holds the horizon. */
static int add_retained(struct key_set *set, struct cursor_meta *meta, uint64_t horizon_sequence)
{
	int r = 0;
	uint64_t sequence = meta->chunk.first_sequence;
	for (uint32_t i = 0; r == 0 && i < meta->chunk.record_count; i++, sequence++) {
		struct meta_record record;
		r = meta_view_next(&meta->view, &record);
		if (r == 0 && sequence >= horizon_sequence && record.key)
			r = add_key(set, record.key, record.key_bytes);
	}
	return r;
}

static int add_chunk(struct key_set *set, struct cursor_meta *meta, uint64_t horizon_sequence)
{
	const struct meta_view *view = &meta->view;
	if (meta->chunk.first_sequence < horizon_sequence)
		return add_retained(set, meta, horizon_sequence);
	if (!view->codes)
		return view->single_key ? add_key(set, view->single_key, view->single_key_bytes)
					: 0;
	int r = 0;
	for (uint64_t i = 0; r == 0 && i < view->table_count; i++)
		r = add_key(set, view->table[i].data, view->table[i].bytes);
	return r;
}

static uint64_t horizon_of(struct sfs_shard *shard, uint64_t *ret_sequence)
{
	SCOPED_LOCK(&shard->lock);
	*ret_sequence = shard->horizon.sequence;
	return shard->horizon.offset;
}

/* Damaged chunks add nothing. */
static int add_shard(struct key_set *set, struct sfs_shard *shard)
{
	int r = shard_open(shard);
	if (r < 0)
		return r == -EBADMSG ? 0 : r;
	struct cursor cursor;
	uint64_t horizon_sequence;
	cursor_init(&cursor, shard, horizon_of(shard, &horizon_sequence), NULL, 0);
	while (r == 0 && !key_set_is_full(set)) {
		struct cursor_meta meta;
		r = cursor_meta(&cursor, &meta);
		if (r == 0) {
			r = add_chunk(set, &meta, horizon_sequence);
			meta_view_fini(&meta.view);
		} else if (r == -EBADMSG || r == -ESTALE) {
			TRACE(read, "keys of shard %u: at offset %" PRIu64 ": %s", shard->number,
				cursor.offset, strerror(-r));
			cursor_skip(&cursor);
			r = 0;
		}
	}
	cursor_fini(&cursor);
	return r == -ENODATA ? 0 : r;
}

static int call_each(const struct key_set *set,
	int (*each)(void *context, const char *key, size_t key_bytes), void *context)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < set->entries.count; i++) {
		const struct key_entry *e = &set->entries.items[i];
		r = each(context, (const char *)set->bytes.data + e->offset, e->bytes);
	}
	return r;
}

int sfs_stream_keys(struct sfs_stream *stream,
	int (*each)(void *context, const char *key, size_t key_bytes), void *context)
{
	struct shard_list shards = {0};
	int r = shard_table_copy(stream, &shards);
	if (r < 0)
		return r;
	struct key_set set = {.slots = NULL};
	for (size_t i = 0; r == 0 && i < shards.count; i++)
		r = add_shard(&set, shards.items[i]);
	if (r == 0)
		r = call_each(&set, each, context);
	TRACE(read, "stream %" PRIu64 ": %zu keys of %zu shards", stream->id, set.entries.count,
		shards.count);
	key_set_fini(&set);
	vector_fini(&shards);
	return r;
}
