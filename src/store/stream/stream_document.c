/* SPDX-License-Identifier: MIT */
#include "stream_document.h"

#include "diag.h"
#include "document.h"
#include "owner_json.h"
#include "shard.h"
#include "store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static json_t *shard_to_json(const struct sfs_shard *shard)
{
	char tag[17], first[HASH_KEY_HEX + 1], last[HASH_KEY_HEX + 1];
	snprintf(tag, sizeof tag, "%016llx", (unsigned long long)shard->tag);
	hash_key_to_hex(shard->hash_first, first);
	hash_key_to_hex(shard->hash_last, last);
	json_t *parents = json_array();
	for (uint32_t i = 0; i < shard->parent_count; i++)
		json_array_append_new(parents, json_integer(shard->parents[i]));
	return json_pack("{s:I,s:s,s:s,s:s,s:b,s:I,s:o}", "number", (json_int_t)shard->number,
		"tag", tag, "first", first, "last", last, "closed",
		(int)(shard->closed || shard->closing), "created_ms", (json_int_t)shard->created_ms,
		"parents", parents);
}

int stream_document_save(struct sfs_stream *stream, const char *directory)
{
	json_t *shards = json_array();
	for (size_t i = 0; i < stream->table.count; i++)
		json_array_append_new(shards, shard_to_json(stream->table.shards[i]));
	_cleanup_json_ json_t *document = json_pack("{s:I,s:I,s:I,s:o,s:o,s:I,s:o}", "id",
		(json_int_t)stream->id, "created_ms", (json_int_t)stream->created_ms, "changed_ms",
		(json_int_t)stream->changed_ms, "owner", owner_to_json(&stream->owner), "settings",
		settings_to_json(&stream->home.settings), "next_shard",
		(json_int_t)stream->table.next_number, "shards", shards);
	char path[SHARD_PATH_MAX];
	snprintf(path, sizeof path, "%s/" STREAM_DOCUMENT, directory);
	return document_save(
		&stream->store->env.disk, stream->store->env.streams_dir, path, document);
}

static int parse_tag(const char *text, uint64_t *ret_tag)
{
	char *end;
	errno = 0;
	unsigned long long tag = strtoull(text, &end, 16);
	if (strlen(text) != 16 || *end || errno)
		return -EBADMSG;
	*ret_tag = tag;
	return 0;
}

/* Rising, and older than the shard. */
static int shard_parents(struct sfs_shard *shard, json_t *parents)
{
	size_t count = json_array_size(parents);
	if (!count)
		return 0;
	shard->parents = calloc(count, sizeof *shard->parents);
	if (!shard->parents)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		json_int_t number = json_integer_value(json_array_get(parents, i));
		if (number < 0 || number >= shard->number || (i && number <= shard->parents[i - 1]))
			return -EBADMSG;
		shard->parents[i] = (uint32_t)number;
	}
	shard->parent_count = (uint32_t)count;
	return 0;
}

static int shard_from_json(struct sfs_stream *stream, json_t *json, struct sfs_shard **ret_shard)
{
	json_int_t number, created;
	const char *tag, *first, *last;
	int closed;
	json_t *parents;
	if (json_unpack(json, "{s:I,s:s,s:s,s:s,s:b,s:I,s:o}", "number", &number, "tag", &tag,
		    "first", &first, "last", &last, "closed", &closed, "created_ms", &created,
		    "parents", &parents) < 0 ||
		number < 0 || number > UINT32_MAX)
		return -EBADMSG;
	struct sfs_shard *shard =
		shard_new(&stream->store->env, &stream->home, stream, (uint32_t)number);
	if (!shard)
		return -ENOMEM;
	shard->closed = closed;
	shard->created_ms = (uint64_t)created;
	int r = shard_parents(shard, parents);
	if (r == 0 && (parse_tag(tag, &shard->tag) < 0 ||
			      hash_key_from_hex(first, &shard->hash_first) < 0 ||
			      hash_key_from_hex(last, &shard->hash_last) < 0))
		r = -EBADMSG;
	if (r < 0) {
		shard_free(shard);
		return r;
	}
	*ret_shard = shard;
	return 0;
}

static int stream_shards(struct sfs_stream *stream, json_t *shards)
{
	size_t count = json_array_size(shards);
	stream->table.shards = calloc(count ? count : 1, sizeof(struct sfs_shard *));
	if (!stream->table.shards)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		int r = shard_from_json(
			stream, json_array_get(shards, i), &stream->table.shards[i]);
		if (r < 0)
			return r;
		stream->table.count++;
		if (i && stream->table.shards[i]->number <= stream->table.shards[i - 1]->number)
			return -EBADMSG;
	}
	return count && stream->table.shards[count - 1]->number < stream->table.next_number
		       ? 0
		       : -EBADMSG;
}

static int stream_fields(struct sfs_stream *stream, json_t *document, struct sfs_diag *diag)
{
	json_int_t id, created, changed, next_shard;
	json_t *owner, *settings, *shards;
	if (json_unpack(document, "{s:I,s:I,s:I,s:o,s:o,s:I,s:o}", "id", &id, "created_ms",
		    &created, "changed_ms", &changed, "owner", &owner, "settings", &settings,
		    "next_shard", &next_shard, "shards", &shards) < 0 ||
		id < 1 || next_shard < 0 || next_shard > UINT32_MAX ||
		owner_from_json(owner, &stream->owner) < 0) {
		diag_set(diag, "%s/" STREAM_DOCUMENT ": a member is missing or wrong",
			stream->home.name);
		return -EBADMSG;
	}
	stream->id = (uint64_t)id;
	stream->created_ms = (uint64_t)created;
	stream->changed_ms = (uint64_t)changed;
	stream->table.next_number = (uint32_t)next_shard;
	struct settings loaded;
	int r = settings_from_json(settings, diag, &loaded);
	if (r < 0)
		return r == -EINVAL ? -EBADMSG : r;
	settings_fini(&stream->home.settings);
	stream->home.settings = loaded;
	r = stream_shards(stream, shards);
	if (r == -EBADMSG)
		diag_set(diag, "%s/" STREAM_DOCUMENT ": its shards are wrong", stream->home.name);
	return r;
}

int stream_document_load(struct sfs_stream *stream, struct sfs_diag *diag)
{
	_cleanup_json_ json_t *document = NULL;
	char path[SHARD_PATH_MAX];
	snprintf(path, sizeof path, "%s/" STREAM_DOCUMENT, stream->home.name);
	int r = document_load(
		&stream->store->env.disk, stream->store->env.streams_dir, path, diag, &document);
	return r < 0 ? r : stream_fields(stream, document, diag);
}
