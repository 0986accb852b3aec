/* SPDX-License-Identifier: MIT */
/*
 * The keys of a stream's retained records, by the metas of their chunks alone.
 */
#include "cleanup.h"
#include "store.h"
#include "cursor.h"

#include "streamfs/view.h"

#include <xxhash.h>

/* A set of distinct keys. */
struct keys {
	struct buf bytes;   /* of all of them, one behind the other */
	struct buf entries; /* struct key_entry[] */
	uint32_t *slots;    /* hash table of entries, index + 1; at most half full */
	size_t slot_count, count;
};

struct key_entry {
	uint64_t hash;
	size_t offset, bytes;
};

static void keys_fini(struct keys *keys)
{
	buf_fini(&keys->bytes);
	buf_fini(&keys->entries);
	free(keys->slots);
}

static struct key_entry *entry_at(const struct keys *keys, size_t i)
{
	return (struct key_entry *)(void *)keys->entries.data + i;
}

static uint32_t *find_slot(const struct keys *keys, const void *key, size_t bytes, uint64_t hash)
{
	for (size_t i = hash & (keys->slot_count - 1);; i = (i + 1) & (keys->slot_count - 1)) {
		if (!keys->slots[i])
			return &keys->slots[i];
		const struct key_entry *e = entry_at(keys, keys->slots[i] - 1);
		if (e->hash == hash && e->bytes == bytes &&
			!memcmp(keys->bytes.data + e->offset, key, bytes))
			return &keys->slots[i];
	}
}

static int grow(struct keys *keys)
{
	enum { SLOTS_MIN = 1024 };
	if (keys->count < keys->slot_count / 2)
		return 0;
	size_t count = keys->slot_count ? 2 * keys->slot_count : SLOTS_MIN;
	uint32_t *slots = calloc(count, sizeof *slots);
	if (!slots)
		return -ENOMEM;
	free(keys->slots);
	keys->slots = slots;
	keys->slot_count = count;
	for (size_t k = 0; k < keys->count; k++) {
		const struct key_entry *e = entry_at(keys, k);
		*find_slot(keys, keys->bytes.data + e->offset, e->bytes, e->hash) = (uint32_t)k + 1;
	}
	return 0;
}

static int add_key(struct keys *keys, const uint8_t *key, size_t bytes)
{
	if (!bytes || keys->count == SFS_KEYS_LISTED)
		return 0;
	int r = grow(keys);
	if (r < 0)
		return r;
	uint64_t hash = XXH3_64bits(key, bytes);
	uint32_t *slot = find_slot(keys, key, bytes, hash);
	if (*slot)
		return 0;
	struct key_entry entry = {hash, keys->bytes.size, bytes};
	r = buf_append(&keys->bytes, key, bytes);
	if (r == 0)
		r = buf_append(&keys->entries, &entry, sizeof entry);
	if (r == 0)
		*slot = (uint32_t)++keys->count;
	return r;
}

/* Of a chunk in which the horizon is: those of the records that are left. */
static int add_retained(struct keys *keys, struct cursor_meta *meta, uint64_t horizon_sequence)
{
	int r = 0;
	uint64_t sequence = meta->chunk.first_sequence;
	for (uint32_t i = 0; r == 0 && i < meta->chunk.record_count; i++, sequence++) {
		struct meta_record record;
		r = meta_view_next(&meta->view, &record);
		if (r == 0 && sequence >= horizon_sequence && record.key)
			r = add_key(keys, record.key, record.key_bytes);
	}
	return r;
}

static int add_chunk(struct keys *keys, struct cursor_meta *meta, uint64_t horizon_sequence)
{
	const struct meta_view *view = &meta->view;
	if (meta->chunk.first_sequence < horizon_sequence)
		return add_retained(keys, meta, horizon_sequence);
	if (!view->codes)
		return view->single_key ? add_key(keys, view->single_key, view->single_key_bytes)
					: 0;
	int r = 0;
	for (uint64_t i = 0; r == 0 && i < view->table_count; i++)
		r = add_key(keys, view->table[i].data, view->table[i].bytes);
	return r;
}

static uint64_t horizon_of(struct sfs_shard *shard, uint64_t *ret_sequence)
{
	SCOPED_LOCK(&shard->lock);
	*ret_sequence = shard->horizon_sequence;
	return shard->horizon_offset;
}

/* What is damaged lists nothing. */
static int add_shard(struct keys *keys, struct sfs_shard *shard)
{
	int r = shard_open(shard);
	if (r < 0)
		return r == -EBADMSG ? 0 : r;
	struct cursor cursor;
	uint64_t horizon_sequence;
	cursor_init(&cursor, shard, horizon_of(shard, &horizon_sequence), NULL, 0);
	while (r == 0 && keys->count < SFS_KEYS_LISTED) {
		struct cursor_meta meta;
		r = cursor_meta(&cursor, &meta);
		if (r == 0) {
			r = add_chunk(keys, &meta, horizon_sequence);
			meta_view_fini(&meta.view);
		} else if (r == -EBADMSG || r == -ESTALE) {
			cursor_skip(&cursor);
			r = 0;
		}
	}
	cursor_fini(&cursor);
	return r == -ENODATA ? 0 : r;
}

/* The shards of the stream, which live as long as it does. The caller frees the list. */
static int list_shards(struct sfs_stream *stream, struct sfs_shard ***ret_shards, size_t *ret_count)
{
	pthread_rwlock_rdlock(&stream->home.lock);
	size_t count = stream->shard_count;
	struct sfs_shard **shards = malloc((count ? count : 1) * sizeof(struct sfs_shard *));
	if (shards && count)
		memcpy(shards, stream->shards, count * sizeof(struct sfs_shard *));
	int r = stream->home.removed ? -ENOENT : shards ? 0 : -ENOMEM;
	pthread_rwlock_unlock(&stream->home.lock);
	if (r < 0) {
		free(shards);
		return r;
	}
	*ret_shards = shards;
	*ret_count = count;
	return 0;
}

static int tell(const struct keys *keys,
	int (*each)(void *context, const char *key, size_t key_bytes), void *context)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < keys->count; i++) {
		const struct key_entry *e = entry_at(keys, i);
		r = each(context, (const char *)keys->bytes.data + e->offset, e->bytes);
	}
	return r;
}

int sfs_stream_keys(struct sfs_stream *stream,
	int (*each)(void *context, const char *key, size_t key_bytes), void *context)
{
	_cleanup_free_ struct sfs_shard **shards = NULL;
	size_t count;
	int r = list_shards(stream, &shards, &count);
	if (r < 0)
		return r;
	struct keys keys = {0};
	for (size_t i = 0; r == 0 && i < count; i++)
		r = add_shard(&keys, shards[i]);
	if (r == 0)
		r = tell(&keys, each, context);
	keys_fini(&keys);
	return r;
}
