/* SPDX-License-Identifier: MIT */
#include "consumers.h"

#include "cleanup.h"
#include "diag.h"
#include "dir.h"
#include "lock.h"
#include "store.h"
#include "stream.h"
#include "trace.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void consumer_free(struct consumer *c)
{
	free(c->checkpoints);
	free(c);
}

static void free_all(struct consumers *consumers)
{
	struct consumer *c;
	while ((c = LIST_FIRST(&consumers->all))) {
		assert(STAILQ_EMPTY(&c->changes) && !c->writing);
		LIST_REMOVE(c, link);
		consumer_free(c);
	}
}

void consumers_init(struct consumers *consumers)
{
	LIST_INIT(&consumers->all);
	pthread_mutex_init(&consumers->lock, NULL);
	pthread_cond_init(&consumers->changed, NULL);
}

void consumers_fini(struct consumers *consumers)
{
	free_all(consumers);
	pthread_cond_destroy(&consumers->changed);
	pthread_mutex_destroy(&consumers->lock);
}

/* Among those that are loaded; NULL: none has the name. */
static struct consumer *lookup_locked(struct sfs_stream *stream, const char *name)
{
	struct consumer *c;
	ASSERT_LOCKED(&stream->consumers.lock);
	LIST_FOREACH(c, &stream->consumers.all, link)
	{
		if (!strcmp(c->name, name))
			return c;
	}
	return NULL;
}

static struct consumer *add_locked(struct sfs_stream *stream, const char *name)
{
	struct consumer *c = calloc(1, sizeof *c);
	if (!c)
		return NULL;
	snprintf(c->name, sizeof c->name, "%s", name);
	STAILQ_INIT(&c->changes);
	LIST_INSERT_HEAD(&stream->consumers.all, c, link);
	return c;
}

/* ---- loading ---- */

static void report_damage(struct sfs_stream *stream, const char *reason)
{
	char name[SFS_NAME_MAX + 1];
	sfs_stream_name(stream, name);
	env_report(&stream->store->env, SFS_ERROR, "%s/" CONSUMERS_DIR "/%s", name, reason);
}

static int load_one_locked(struct sfs_stream *stream, int dir, const char *file)
{
	struct sfs_diag diag = {.text = ""};
	char name[SFS_NAME_MAX + 1];
	if (consumer_document_name(file, name) < 0)
		return 0;
	struct consumer *c = add_locked(stream, name);
	if (!c)
		return -ENOMEM;
	c->error = consumer_document_load(
		&stream->store->env.disk, dir, file, &diag, &c->checkpoints, &c->count);
	if (c->error == -ENOMEM)
		return -ENOMEM;
	if (c->error < 0)
		report_damage(stream, diag.text);
	return 0;
}

static int load_documents_locked(struct sfs_stream *stream)
{
	_cleanup_close_ int dir = -1;
	_cleanup_closedir_ DIR *listing = NULL;
	const char *file;
	int r = consumer_documents_open(stream, false, &dir);
	if (r == 0)
		r = dir_open(&stream->store->env.disk, dir, ".", &listing);
	while (r == 0 && (r = dir_next(listing, &file)) == 0 && file)
		r = load_one_locked(stream, dir, file);
	return r == -ENOENT ? 0 : r; /* no directory: nobody made a consumer */
}

static int load_locked(struct sfs_stream *stream)
{
	struct consumers *consumers = &stream->consumers;
	ASSERT_LOCKED(&consumers->lock);
	if (consumers->loaded)
		return 0;
	int r = load_documents_locked(stream);
	if (r < 0)
		free_all(consumers);
	consumers->loaded = r == 0;
	return r;
}

int consumers_find_locked(
	struct sfs_stream *stream, const char *name, struct consumer **ret_consumer)
{
	int r = load_locked(stream);
	if (r < 0)
		return r;
	struct consumer *c = lookup_locked(stream, name);
	if (!c)
		return -ENOENT;
	*ret_consumer = c;
	return 0;
}

/* Waits until nothing of the consumer is to be written. Gives the lock up meanwhile. -ENOENT. */
static int find_idle_locked(
	struct sfs_stream *stream, const char *name, struct consumer **ret_consumer)
{
	struct consumer *c;
	int r;
	while ((r = consumers_find_locked(stream, name, &c)) == 0 &&
		(c->writing || !STAILQ_EMPTY(&c->changes)))
		pthread_cond_wait(&stream->consumers.changed, &stream->consumers.lock);
	if (r == 0)
		*ret_consumer = c;
	return r;
}

/* ---- changes of the set ---- */

static bool is_removed(struct sfs_stream *stream)
{
	SCOPED_RDLOCK(&stream->home.path_lock);
	return stream->home.removed;
}

static int create_locked(struct sfs_stream *stream, const char *name)
{
	_cleanup_close_ int dir = -1;
	int r = load_locked(stream);
	if (r == 0 && lookup_locked(stream, name))
		r = -EEXIST;
	if (r == 0)
		r = consumer_documents_open(stream, true, &dir);
	if (r == 0)
		r = consumer_document_save(&stream->store->env.disk, dir, name, NULL, 0);
	if (r < 0 && dir >= 0) {
		char file[CONSUMER_FILE_MAX];
		consumer_document_file(name, file);
		(void)disk_unlink(&stream->store->env.disk, dir, file);
	}
	if (r == 0 && !add_locked(stream, name))
		r = -ENOMEM;
	TRACE(consumer, "stream %llu: consumer %s made: %d", (unsigned long long)stream->id, name,
		r);
	return r;
}

int sfs_consumer_create(struct sfs_stream *stream, const char *name)
{
	if (!sfs_stream_name_valid(name))
		return -EINVAL;
	if (stream->store->env.read_only)
		return -EROFS;
	SCOPED_LOCK(&stream->consumers.lock);
	return create_locked(stream, name);
}

static int remove_locked(struct sfs_stream *stream, const char *name)
{
	_cleanup_close_ int dir = -1;
	char file[CONSUMER_FILE_MAX];
	struct consumer *c;
	consumer_document_file(name, file);
	int r = find_idle_locked(stream, name, &c);
	if (r < 0)
		return r;
	r = consumer_documents_open(stream, false, &dir);
	if (r < 0)
		return r;
	r = disk_unlink(&stream->store->env.disk, dir, file);
	if (r < 0 && r != -ENOENT)
		return r;
	TRACE(consumer, "stream %llu: consumer %s removed", (unsigned long long)stream->id, name);
	LIST_REMOVE(c, link);
	consumer_free(c);
	return disk_sync_dir(&stream->store->env.disk, dir);
}

int sfs_consumer_remove(struct sfs_stream *stream, const char *name)
{
	if (stream->store->env.read_only)
		return -EROFS;
	SCOPED_LOCK(&stream->consumers.lock);
	return remove_locked(stream, name);
}

static int rename_locked(struct sfs_stream *stream, const char *from, const char *to)
{
	_cleanup_close_ int dir = -1;
	char from_file[CONSUMER_FILE_MAX], to_file[CONSUMER_FILE_MAX];
	struct consumer *c;
	consumer_document_file(from, from_file);
	consumer_document_file(to, to_file);
	int r = find_idle_locked(stream, from, &c);
	if (r == 0 && lookup_locked(stream, to))
		r = -EEXIST;
	if (r == 0)
		r = consumer_documents_open(stream, false, &dir);
	if (r == 0)
		r = disk_rename_noreplace(&stream->store->env.disk, dir, from_file, dir, to_file);
	if (r < 0)
		return r;
	TRACE(consumer, "stream %llu: consumer %s renamed to %s", (unsigned long long)stream->id,
		from, to);
	snprintf(c->name, sizeof c->name, "%s", to);
	return disk_sync_dir(&stream->store->env.disk, dir);
}

int sfs_consumer_rename(struct sfs_stream *stream, const char *from, const char *to)
{
	if (!sfs_stream_name_valid(from))
		return -ENOENT;
	if (!sfs_stream_name_valid(to))
		return -EINVAL;
	if (stream->store->env.read_only)
		return -EROFS;
	SCOPED_LOCK(&stream->consumers.lock);
	return rename_locked(stream, from, to);
}

bool sfs_consumer_exists(struct sfs_stream *stream, const char *name)
{
	SCOPED_LOCK(&stream->consumers.lock);
	return load_locked(stream) == 0 && lookup_locked(stream, name) && !is_removed(stream);
}

int consumers_names(struct sfs_stream *stream, struct buf *names)
{
	SCOPED_LOCK(&stream->consumers.lock);
	int r = load_locked(stream);
	if (r < 0)
		return r;
	const struct consumer *c;
	LIST_FOREACH(c, &stream->consumers.all, link)
	{
		r = buf_append(names, c->name, strlen(c->name) + 1);
		if (r < 0)
			return r;
	}
	return 0;
}

int sfs_consumer_list(
	struct sfs_stream *stream, int (*each)(void *context, const char *name), void *context)
{
	_cleanup_(buf_fini) struct buf names = {0};
	int r = consumers_names(stream, &names);
	const char *name = (const char *)names.data;
	for (size_t at = 0; r == 0 && at < names.size; at += strlen(name + at) + 1)
		r = each(context, name + at);
	return r;
}
