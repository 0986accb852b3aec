/* SPDX-License-Identifier: MIT */
/* The check of one stream: its document, its shards, its blobs, and what else lies about. */
#include "check_stream.h"

#include "check_blob.h"
#include "check_shard.h"
#include "cleanup.h"
#include "consumer_document.h"

#include "leftovers.h"
#include "file_names.h"
#include "shard_name.h"
#include "stream.h"
#include "stream_document.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

struct stream_check {
	struct checker *checker;
	struct sfs_stream *stream;
	uint64_t unrepaired_before, repaired_before; /* the summary's when the stream began */
	struct blob_check blobs;
	struct leftovers leftovers;
};

static bool has_damage(const struct stream_check *s)
{
	return s->checker->summary.unrepaired != s->unrepaired_before;
}

static bool is_sound(const struct stream_check *s)
{
	return !has_damage(s) && s->checker->summary.repaired == s->repaired_before;
}

/* ---- the document ---- */

static int remember_id(struct checker *checker, const struct sfs_stream *stream)
{
	struct stream_id id = {.id = stream->id};
	memcpy(id.name, stream->home.name, sizeof id.name);
	if (checker->has_document && stream->id >= checker->store->next_id)
		checker_finding(checker, false,
			"streams/%s/" STREAM_DOCUMENT ": id %llu, which is to be given yet",
			stream->home.name, (unsigned long long)stream->id);
	return vector_push(&checker->stream_ids, id);
}

static int compare_ids(const void *a, const void *b)
{
	const struct stream_id *x = a, *y = b;
	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	return strcmp(x->name, y->name);
}

void check_stream_ids(struct checker *checker)
{
	vector_sort(&checker->stream_ids, compare_ids);
	const struct stream_id *ids = checker->stream_ids.items;
	for (size_t i = 1; i < checker->stream_ids.count; i++)
		if (ids[i].id == ids[i - 1].id)
			checker_finding(checker, false,
				"streams/%s/" STREAM_DOCUMENT ": id %llu, which is that of %s too",
				ids[i].name, (unsigned long long)ids[i].id, ids[i - 1].name);
}

/* The hash ranges of the open shards follow on each other, without a gap or an overlap. */
static int check_ranges(struct stream_check *s)
{
	int r = shard_table_route(&s->stream->table);
	if (r < 0)
		return r;
	if (!routes_cover_once(&s->stream->table.routes))
		checker_finding(s->checker, false,
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

/* Parents that are still there are closed: their children's records came after all of theirs. */
static void check_parents(struct stream_check *s)
{
	for (size_t i = 0; i < s->stream->table.count; i++) {
		const struct sfs_shard *shard = s->stream->table.shards[i];
		for (uint32_t k = 0; k < shard->parent_count; k++) {
			const struct sfs_shard *parent =
				shard_numbered(s->stream, shard->parents[k]);
			if (parent && !parent->closed)
				checker_finding(s->checker, false,
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
	checker_finding(
		s->checker, false, "streams/%s%s; its shards cannot be checked", prefix, reason);
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

/* A file that means nothing without segments: all that can be left of a shard that was trimmed. */
static bool is_of_no_use(const char *name)
{
	return !strcmp(name, WATERMARK_FILE) || file_name_ends(name, INDEX_SUFFIX);
}

/*
 * The directory of a shard that the stream does not have: the number of shards was lowered before
 * there were records, or a trim took the shard's last record.
 */
static int check_stray_shard(struct stream_check *s, const char *path)
{
	struct file_names names;
	int r = file_names_read(
		checker_disk(s->checker), checker_streams(s->checker), path, &names);
	if (r == -ENOTDIR || r == -ELOOP) {
		checker_note(s->checker, "streams/%s: not a file of the store", path);
		return 0;
	}
	if (r < 0)
		return r;
	uint64_t bytes = 0;
	for (size_t i = 0; i < names.list.count; i++) {
		char file[SHARD_PATH_MAX + NAME_MAX + 2];
		struct stat st;
		snprintf(file, sizeof file, "%s/%s", path, names.list.items[i]);
		if (!is_of_no_use(names.list.items[i]) &&
			fstatat(checker_streams(s->checker), file, &st, AT_SYMLINK_NOFOLLOW) == 0)
			bytes += (uint64_t)st.st_size;
	}
	file_names_fini(&names);
	if (bytes)
		checker_finding(s->checker, false,
			"streams/%s: holds %llu bytes, but " STREAM_DOCUMENT " names no such shard",
			path, (unsigned long long)bytes);
	return 0;
}

/* A consumer's document. Only its owner knows what was in a damaged one. */
static int check_consumer(struct stream_check *s, const char *path, const char *file)
{
	struct sfs_diag diag = {.text = ""};
	struct checkpoint *checkpoints;
	size_t count;
	char name[SFS_NAME_MAX + 1];
	if (consumer_document_name(file, name) < 0) {
		checker_note(s->checker, "streams/%s: not a file of the store", path);
		return 0;
	}
	int r = consumer_document_load(checker_disk(s->checker), checker_streams(s->checker), path,
		&diag, &checkpoints, &count);
	if (r == 0)
		free(checkpoints);
	else if (r != -ENOMEM)
		checker_finding(s->checker, false, "streams/%s", diag.text);
	return r == -ENOMEM ? r : 0;
}

static int check_consumers(struct stream_check *s, const char *path)
{
	struct file_names names;
	int r = file_names_read(
		checker_disk(s->checker), checker_streams(s->checker), path, &names);
	if (r < 0)
		return checker_trouble(s->checker, path, r);
	for (size_t i = 0; r == 0 && i < names.list.count; i++) {
		char file[SHARD_PATH_MAX + NAME_MAX + 2];
		snprintf(file, sizeof file, "%s/%s", path, names.list.items[i]);
		if (file_name_is_temporary(file))
			r = leftovers_add(&s->leftovers, file);
		else
			r = check_consumer(s, file, names.list.items[i]);
	}
	file_names_fini(&names);
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
		return leftovers_add(&s->leftovers, path);
	checker_note(s->checker, "streams/%s: not a file of the store", path);
	return 0;
}

static int check_entries(struct stream_check *s)
{
	struct file_names names;
	int r = file_names_read(checker_disk(s->checker), checker_streams(s->checker),
		s->stream->home.name, &names);
	if (r < 0)
		return r == -ENOMEM ? r : 0; /* named when the document was read */
	for (size_t i = 0; r == 0 && i < names.list.count; i++)
		r = check_entry(s, names.list.items[i]);
	file_names_fini(&names);
	return r;
}

static int check_contents(struct stream_check *s)
{
	blob_check_init(&s->blobs, s->checker, s->stream);
	int r = remember_id(s->checker, s->stream);
	if (r == 0)
		r = check_ranges(s);
	if (r == 0)
		check_parents(s);
	if (r == 0)
		r = check_blobs(&s->blobs);
	for (size_t i = 0; r == 0 && i < s->stream->table.count; i++)
		r = check_shard(s->checker, s->stream->table.shards[i], &s->blobs, &s->leftovers);
	if (r == 0)
		r = check_entries(s);
	if (r == 0 && is_sound(s))
		r = check_orphans(&s->blobs);
	if (r == 0)
		leftovers_report(
			&s->leftovers, s->checker, s->checker->options->repair && !has_damage(s));
	return r;
}

int check_stream(struct checker *checker, const char *name)
{
	struct stat st;
	checker->summary.streams++;
	if (fstatat(checker_streams(checker), name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
		!S_ISDIR(st.st_mode)) {
		checker_finding(checker, false, "streams/%s: not a directory", name);
		return 0;
	}
	struct stream_check s = {
		.checker = checker,
		.stream = stream_new(checker->store, name),
		.unrepaired_before = checker->summary.unrepaired,
		.repaired_before = checker->summary.repaired,
	};
	if (!s.stream)
		return -ENOMEM;
	bool loaded = false;
	int r = load_document(&s, &loaded);
	if (r == 0 && loaded)
		r = check_contents(&s);
	blob_check_fini(&s.blobs);
	leftovers_fini(&s.leftovers);
	stream_free(s.stream);
	return r;
}
