/* SPDX-License-Identifier: MIT */
#include "documents.h"

#include "cleanup.h"
#include "diag.h"
#include "shard.h"

#include <errno.h>
#include <stdio.h>
#include <xxhash.h>

enum { DOCUMENT_MAX_BYTES = 64 << 20, DUMP_FLAGS = JSON_COMPACT | JSON_SORT_KEYS };

static void cleanup_json(json_t **json)
{
	json_decref(*json);
}

#define _cleanup_json_ _cleanup_(cleanup_json)

static int dump_hash(const json_t *document, char hex[17])
{
	_cleanup_free_ char *text = json_dumps(document, DUMP_FLAGS);
	if (!text)
		return -ENOMEM;
	snprintf(hex, 17, "%016llx", (unsigned long long)XXH3_64bits(text, strlen(text)));
	return 0;
}

int document_save(const struct disk *disk, int dir, const char *path, json_t *document)
{
	char hex[17];
	int r = document ? dump_hash(document, hex) : -ENOMEM;
	if (r < 0)
		return r;
	if (json_object_set_new(document, "checksum", json_string(hex)) < 0)
		return -ENOMEM;
	_cleanup_free_ char *text = json_dumps(document, JSON_INDENT(1) | JSON_SORT_KEYS);
	if (!text)
		return -ENOMEM;
	size_t bytes = strlen(text);
	if (bytes >= DOCUMENT_MAX_BYTES)
		return -EFBIG;
	text[bytes] = '\n'; /* in place of the NUL: the length is what counts from here */
	return disk_replace(disk, dir, path, text, bytes + 1);
}

/* Before anything else: another version may have another way to tell that it is whole. */
static int check_format(const json_t *document, const char *path, struct sfs_diag *diag)
{
	const json_t *format = json_object_get(document, "format");
	if (!json_is_integer(format) || json_integer_value(format) == FORMAT_VERSION)
		return 0;
	diag_set(diag, "%s: format version %lld; this program knows version %d", path,
		(long long)json_integer_value(format), FORMAT_VERSION);
	return -EPROTONOSUPPORT;
}

int document_load(const struct disk *disk, int dir, const char *path, struct sfs_diag *diag,
	json_t **ret_document)
{
	_cleanup_free_ char *text = NULL;
	size_t bytes;
	int r = disk_slurp(disk, dir, path, DOCUMENT_MAX_BYTES, &text, &bytes);
	if (r < 0) {
		diag_set(diag, "%s: %s", path, strerror(-r));
		return r == -EFBIG || r == -ELOOP ? -EBADMSG : r;
	}
	json_error_t error;
	_cleanup_json_ json_t *document = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &error);
	r = document ? check_format(document, path, diag) : 0;
	if (r < 0)
		return r;
	char expected[17], hex[17];
	const char *checksum = json_string_value(json_object_get(document, "checksum"));
	if (!checksum || strlen(checksum) != 16) {
		diag_set(diag, "%s: damaged: not a document with a checksum", path);
		return -EBADMSG;
	}
	memcpy(expected, checksum, sizeof expected);
	json_object_del(document, "checksum");
	r = dump_hash(document, hex);
	if (r < 0)
		return r;
	if (strcmp(hex, expected)) {
		diag_set(diag, "%s: damaged: its checksum is %s, not %s", path, hex, expected);
		return -EBADMSG;
	}
	*ret_document = document;
	document = NULL;
	return 0;
}

static json_t *owner_to_json(const struct sfs_owner *owner)
{
	return json_pack("{s:I,s:I,s:I}", "mode", (json_int_t)owner->mode, "uid",
		(json_int_t)owner->uid, "gid", (json_int_t)owner->gid);
}

static int owner_from_json(json_t *json, struct sfs_owner *ret_owner)
{
	json_int_t mode, uid, gid;
	if (json_unpack(json, "{s:I,s:I,s:I}", "mode", &mode, "uid", &uid, "gid", &gid) < 0 ||
		mode < 0 || mode > 07777 || uid < 0 || uid > UINT32_MAX || gid < 0 ||
		gid > UINT32_MAX)
		return -EBADMSG;
	*ret_owner = (struct sfs_owner){(uint32_t)mode, (uint32_t)uid, (uint32_t)gid};
	return 0;
}

int store_document_save(struct sfs_store *store)
{
	_cleanup_json_ json_t *document = json_pack("{s:i,s:{s:[],s:[]},s:s,s:I,s:o,s:o}", "format",
		FORMAT_VERSION, "features", "compatible", "incompatible", "uuid", store->uuid,
		"next_id", (json_int_t)store->reserved_id, "owner", owner_to_json(&store->owner),
		"defaults", settings_to_json(&store->defaults));
	return document_save(&store->env.disk, store->dir, STORE_DOCUMENT, document);
}

static int store_fields(struct sfs_store *store, json_t *document, struct sfs_diag *diag)
{
	json_int_t next_id;
	const char *uuid;
	json_t *owner, *defaults;
	if (json_unpack(document, "{s:s,s:I,s:o,s:o}", "uuid", &uuid, "next_id", &next_id, "owner",
		    &owner, "defaults", &defaults) < 0 ||
		strlen(uuid) != 36 || next_id < 1 || owner_from_json(owner, &store->owner) < 0) {
		diag_set(diag, STORE_DOCUMENT ": a member is missing or wrong");
		return -EBADMSG;
	}
	memcpy(store->uuid, uuid, sizeof store->uuid);
	store->next_id = store->reserved_id = (uint64_t)next_id;
	struct settings settings;
	int r = settings_from_json(defaults, diag, &settings);
	if (r < 0)
		return r == -EINVAL ? -EBADMSG : r;
	settings_fini(&store->defaults);
	store->defaults = settings;
	return 0;
}

int store_document_load(struct sfs_store *store, struct sfs_diag *diag)
{
	_cleanup_json_ json_t *document = NULL;
	int r = document_load(&store->env.disk, store->dir, STORE_DOCUMENT, diag, &document);
	if (r < 0)
		return r;
	json_t *features = json_object_get(document, "features");
	json_t *unknown = json_array_get(json_object_get(features, "incompatible"), 0);
	if (unknown) {
		diag_set(diag, "%s: needs the feature %s, which this program does not know",
			store->path, json_string_value(unknown) ? json_string_value(unknown) : "?");
		return -EPROTONOSUPPORT;
	}
	return store_fields(store, document, diag);
}

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
