/* SPDX-License-Identifier: MIT */
/* The check of one stream: its document, its shards, its blobs, and what else lies about. */
#include "checker.h"

#include "cleanup.h"
#include "consumer_document.h"
#include "stream_document.h"
#include "shard.h"
#include "shard_name.h"
#include "stream.h"

#include <fcntl.h>
#include <stdio.h>

struct stream_id {
	uint64_t id;
	char name[SFS_NAME_MAX + 1];
};

static int remember_id(struct check *check, const struct sfs_stream *stream)
{
	struct stream_id id = {.id = stream->id};
	memcpy(id.name, stream->home.name, sizeof id.name);
	if (check->has_document && stream->id >= check->store->next_id)
		check_finding(check, false,
			"streams/%s/" STREAM_DOCUMENT ": id %llu, which is to be given yet",
			stream->home.name, (unsigned long long)stream->id);
	return buf_append(&check->streams, &id, sizeof id);
}

static int compare_ids(const void *a, const void *b)
{
	const struct stream_id *x = a, *y = b;
	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	return strcmp(x->name, y->name);
}

void check_stream_ids(struct check *check)
{
	struct stream_id *ids = (struct stream_id *)(void *)check->streams.data;
	size_t count = check->streams.size / sizeof *ids;
	if (count)
		qsort(ids, count, sizeof *ids, compare_ids);
	for (size_t i = 1; i < count; i++)
		if (ids[i].id == ids[i - 1].id)
			check_finding(check, false,
				"streams/%s/" STREAM_DOCUMENT ": id %llu, which is that of %s too",
				ids[i].name, (unsigned long long)ids[i].id, ids[i - 1].name);
}

/* The open shards' hash ranges in order, without a gap and without an overlap. */
static int check_ranges(struct stream_check *s)
{
	int r = shard_table_route(&s->stream->table);
	if (r < 0)
		return r;
	if (!routes_cover_once(&s->stream->table.routes))
		check_finding(s->check, false,
			"streams/%s/" STREAM_DOCUMENT
			": the hash ranges of its shards do not cover each key once",
			s->stream->home.name);
	return 0;
}

static const struct sfs_shard *shard_numbered(const struct sfs_stream *stream, uint32_t number)
{
	for (size_t i = 0; i < stream->table.count && stream->table.shards[i]->number <= number;
		i++)
		if (stream->table.shards[i]->number == number)
			return stream->table.shards[i];
	return NULL;
}

/* Those that are still there are closed: their children's records came after all of theirs. */
static void check_parents(struct stream_check *s)
{
	for (size_t i = 0; i < s->stream->table.count; i++) {
		const struct sfs_shard *shard = s->stream->table.shards[i];
		for (uint32_t k = 0; k < shard->parent_count; k++) {
			const struct sfs_shard *parent =
				shard_numbered(s->stream, shard->parents[k]);
			if (parent && !parent->closed)
				check_finding(s->check, false,
					"streams/%s/" STREAM_DOCUMENT ": " SHARD_NAME_FORMAT
					" has " SHARD_NAME_FORMAT ", which is open, as a parent",
					s->stream->home.name, shard->number, parent->number);
		}
	}
}

static int load_document(struct stream_check *s, bool *ret_loaded)
{
	struct sfs_diag diag = {.text = ""};
	int r = stream_document_load(s->stream, &diag);
	*ret_loaded = r == 0;
	if (r == 0 || r == -ENOMEM)
		return r;
	char prefix[SFS_NAME_MAX + 32];
	snprintf(prefix, sizeof prefix, "%s/" STREAM_DOCUMENT ": ", s->stream->home.name);
	const char *reason = *diag.text ? diag.text : strerror(-r);
	if (!strncmp(reason, prefix, strlen(prefix)))
		reason += strlen(prefix);
	check_finding(
		s->check, false, "streams/%s%s; its shards cannot be checked", prefix, reason);
	return 0;
}

/* ---- what lies about ---- */

static const struct sfs_shard *find_shard(const struct sfs_stream *stream, const char *name)
{
	for (size_t i = 0; i < stream->table.count; i++) {
		char expected[32];
		snprintf(expected, sizeof expected, SHARD_NAME_FORMAT,
			stream->table.shards[i]->number);
		if (!strcmp(name, expected))
			return stream->table.shards[i];
	}
	return NULL;
}

/* What tells nothing without segments: all that can be left of a shard that was trimmed. */
static bool is_of_no_use(const char *name)
{
	size_t length = strlen(name), suffix = strlen(INDEX_SUFFIX);
	return !strcmp(name, "synced") ||
	       (length > suffix && !strcmp(name + length - suffix, INDEX_SUFFIX));
}

/*
 * Of a shard that the stream does not have: fewer were asked for before there were records, or a
 * trim took its last one.
 */
static int check_stray_shard(struct stream_check *s, const char *path)
{
	struct sfs_store *store = s->check->store;
	struct names names;
	int r = names_read(s->check, store->env.streams_dir, path, &names);
	if (r == -ENOTDIR || r == -ELOOP) {
		check_note(s->check, "streams/%s: not a file of the store", path);
		return 0;
	}
	if (r < 0)
		return r;
	uint64_t bytes = 0;
	for (size_t i = 0; i < names.count; i++) {
		char file[SHARD_PATH_MAX + NAME_MAX + 2];
		struct stat st;
		snprintf(file, sizeof file, "%s/%s", path, names.list[i]);
		if (!is_of_no_use(names.list[i]) &&
			fstatat(store->env.streams_dir, file, &st, AT_SYMLINK_NOFOLLOW) == 0)
			bytes += (uint64_t)st.st_size;
	}
	names_fini(&names);
	if (bytes)
		check_finding(s->check, false,
			"streams/%s: holds %llu bytes, but " STREAM_DOCUMENT " names no such shard",
			path, (unsigned long long)bytes);
	return 0;
}

/* A consumer's document; nothing but its owner can tell what was in it. */
static int check_consumer(struct stream_check *s, const char *path, const char *file)
{
	struct sfs_store *store = s->check->store;
	struct sfs_diag diag = {.text = ""};
	struct checkpoint *checkpoints;
	size_t count;
	char name[SFS_NAME_MAX + 1];
	if (consumer_document_name(file, name) < 0) {
		check_note(s->check, "streams/%s: not a file of the store", path);
		return 0;
	}
	int r = consumer_document_load(
		&store->env.disk, store->env.streams_dir, path, &diag, &checkpoints, &count);
	if (r == 0)
		free(checkpoints);
	else if (r != -ENOMEM)
		check_finding(s->check, false, "streams/%s", diag.text);
	return r == -ENOMEM ? r : 0;
}

static int check_consumers(struct stream_check *s, const char *path)
{
	struct sfs_store *store = s->check->store;
	struct names names;
	int r = names_read(s->check, store->env.streams_dir, path, &names);
	if (r < 0)
		return check_trouble(s->check, path, r);
	for (size_t i = 0; r == 0 && i < names.count; i++) {
		char file[SHARD_PATH_MAX + NAME_MAX + 2];
		snprintf(file, sizeof file, "%s/%s", path, names.list[i]);
		if (name_is_temporary(file))
			r = buf_append(&s->leftovers, file, strlen(file) + 1);
		else
			r = check_consumer(s, file, names.list[i]);
	}
	names_fini(&names);
	return r;
}

static int check_entry(struct stream_check *s, const char *name)
{
	char path[SHARD_PATH_MAX + NAME_MAX];
	snprintf(path, sizeof path, "%s/%s", s->stream->home.name, name);
	if (!strcmp(name, STREAM_DOCUMENT) || !strcmp(name, "blobs") || find_shard(s->stream, name))
		return 0;
	if (!strcmp(name, "consumers"))
		return check_consumers(s, path);
	if (!strncmp(name, "shard-", 6))
		return check_stray_shard(s, path);
	if (!strcmp(name, STREAM_DOCUMENT DISK_TMP_SUFFIX))
		return buf_append(&s->leftovers, path, strlen(path) + 1);
	check_note(s->check, "streams/%s: not a file of the store", path);
	return 0;
}

static int check_entries(struct stream_check *s)
{
	struct names names;
	int r = names_read(
		s->check, s->check->store->env.streams_dir, s->stream->home.name, &names);
	if (r < 0)
		return r == -ENOMEM ? r : 0; /* named when the document was read */
	for (size_t i = 0; r == 0 && i < names.count; i++)
		r = check_entry(s, names.list[i]);
	names_fini(&names);
	return r;
}

/* Beside damage they stay: what was being written might be all that is left of something. */
static void remove_leftovers(struct stream_check *s)
{
	struct sfs_store *store = s->check->store;
	bool remove =
		s->check->options->repair && s->check->summary.unrepaired == s->unrepaired_before;
	const char *path = (const char *)s->leftovers.data;
	const char *end = path ? path + s->leftovers.size : path;
	for (; path < end; path += strlen(path) + 1) {
		bool removed =
			remove && disk_unlink(&store->env.disk, store->env.streams_dir, path) == 0;
		check_finding(s->check, removed,
			"streams/%s: left behind by a write that was cut short", path);
	}
}

static int check_contents(struct stream_check *s)
{
	int r = remember_id(s->check, s->stream);
	if (r == 0)
		r = check_ranges(s);
	if (r == 0)
		check_parents(s);
	if (r == 0)
		r = check_blobs(s);
	for (size_t i = 0; r == 0 && i < s->stream->table.count; i++)
		r = check_shard(s, s->stream->table.shards[i]);
	if (r == 0)
		r = check_entries(s);
	if (r == 0)
		r = check_orphans(s);
	if (r == 0)
		remove_leftovers(s);
	return r;
}

int check_stream(struct check *check, const char *name)
{
	struct stat st;
	check->summary.streams++;
	if (fstatat(check->store->env.streams_dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		!S_ISDIR(st.st_mode)) {
		check_finding(check, false, "streams/%s: not a directory", name);
		return 0;
	}
	struct stream_check s = {
		.check = check,
		.stream = stream_new(check->store, name),
		.unrepaired_before = check->summary.unrepaired,
		.repaired_before = check->summary.repaired,
	};
	if (!s.stream)
		return -ENOMEM;
	bool loaded = false;
	int r = load_document(&s, &loaded);
	if (r == 0 && loaded)
		r = check_contents(&s);
	buf_fini(&s.blobs);
	buf_fini(&s.leftovers);
	stream_free(s.stream);
	return r;
}
