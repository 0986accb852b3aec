/* SPDX-License-Identifier: MIT */
/*
 * The happy path of a checkpoint: it is found to be where a record begins, and what is before it is
 * made durable; then it is queued. Who finds nobody writing the consumer's document takes all that
 * is queued, writes the document with it, and tells the others.
 *
 * Failure: the document is the old one or the new one, and the checkpoints in memory stay the old
 * ones; all that were in it get the error. A checkpoint is thus never behind one that was
 * acknowledged, nor ahead of one that was asked for.
 */
#include "consumers.h"

#include "cleanup.h"
#include "diag.h"
#include "clock.h"
#include "documents.h"
#include "position.h"
#include "shard.h"
#include "stream.h"
#include "store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#define CONSUMERS_DIR "consumers"
#define CONSUMER_SUFFIX ".json"
enum { CONSUMER_FILE_MAX = SFS_NAME_MAX + 8 };

struct change {
	STAILQ_ENTRY(change) link;
	struct checkpoint checkpoint;
	bool done;
	int result;
};

struct consumer {
	LIST_ENTRY(consumer) link;
	char name[SFS_NAME_MAX + 1];
	int error;			/* its document could not be read; else 0 */
	struct checkpoint *checkpoints; /* by rising shard; what the document has */
	size_t count;
	STAILQ_HEAD(, change) changes;
	bool writing;
};

static void consumer_free(struct consumer *c)
{
	free(c->checkpoints);
	free(c);
}

void consumers_init(struct consumers *consumers)
{
	LIST_INIT(&consumers->all);
	pthread_mutex_init(&consumers->lock, NULL);
	pthread_cond_init(&consumers->changed, NULL);
}

void consumers_fini(struct consumers *consumers)
{
	struct consumer *c;
	while ((c = LIST_FIRST(&consumers->all))) {
		LIST_REMOVE(c, link);
		consumer_free(c);
	}
	pthread_cond_destroy(&consumers->changed);
	pthread_mutex_destroy(&consumers->lock);
}

static struct consumer *find_locked(struct sfs_stream *stream, const char *name)
{
	struct consumer *c;
	LIST_FOREACH(c, &stream->consumers.all, link)
	if (!strcmp(c->name, name))
		return c;
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

/* ---- documents ---- */

static void file_name(const char *name, char file[CONSUMER_FILE_MAX])
{
	snprintf(file, CONSUMER_FILE_MAX, "%s" CONSUMER_SUFFIX, name);
}

bool consumer_file_name(const char *file, char name[SFS_NAME_MAX + 1])
{
	size_t length = strlen(file), suffix = strlen(CONSUMER_SUFFIX);
	if (length <= suffix || length - suffix > SFS_NAME_MAX ||
		strcmp(file + length - suffix, CONSUMER_SUFFIX))
		return false;
	snprintf(name, SFS_NAME_MAX + 1, "%.*s", (int)(length - suffix), file);
	return sfs_stream_name_valid(name);
}

static int checkpoint_from_json(json_t *json, struct checkpoint *ret_checkpoint)
{
	json_int_t shard, offset, sequence;
	if (json_unpack(json, "{s:I,s:I,s:I}", "shard", &shard, "offset", &offset, "sequence",
		    &sequence) < 0 ||
		shard < 0 || shard > UINT32_MAX || offset < 0 || sequence < 0)
		return -EBADMSG;
	*ret_checkpoint =
		(struct checkpoint){(uint32_t)shard, (uint64_t)offset, (uint64_t)sequence};
	return 0;
}

static int checkpoints_from_json(json_t *array, struct checkpoint *checkpoints, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int r = checkpoint_from_json(json_array_get(array, i), &checkpoints[i]);
		if (r < 0)
			return r;
		if (i && checkpoints[i].shard <= checkpoints[i - 1].shard)
			return -EBADMSG;
	}
	return 0;
}

int consumer_document_load(const struct disk *disk, int dir, const char *file,
	struct sfs_diag *diag, struct checkpoint **ret_checkpoints, size_t *ret_count)
{
	json_t *document;
	int r = document_load(disk, dir, file, diag, &document);
	if (r < 0)
		return r;
	json_t *array = json_object_get(document, "checkpoints");
	size_t count = json_array_size(array);
	_cleanup_free_ struct checkpoint *checkpoints = calloc(count + 1, sizeof *checkpoints);
	r = !checkpoints	   ? -ENOMEM
	    : json_is_array(array) ? checkpoints_from_json(array, checkpoints, count)
				   : -EBADMSG;
	json_decref(document);
	if (r == -EBADMSG)
		diag_set(diag, "%s: its checkpoints are wrong", file);
	if (r < 0)
		return r;
	*ret_checkpoints = checkpoints;
	*ret_count = count;
	checkpoints = NULL;
	return 0;
}

static int save_document(const struct disk *disk, int dir, const char *name,
	const struct checkpoint *checkpoints, size_t count)
{
	char file[CONSUMER_FILE_MAX];
	file_name(name, file);
	json_t *array = json_array();
	for (size_t i = 0; i < count; i++)
		json_array_append_new(
			array, json_pack("{s:I,s:I,s:I}", "shard", (json_int_t)checkpoints[i].shard,
				       "offset", (json_int_t)checkpoints[i].offset, "sequence",
				       (json_int_t)checkpoints[i].sequence));
	json_t *document = json_pack("{s:o}", "checkpoints", array);
	int r = document_save(disk, dir, file, document);
	json_decref(document);
	return r;
}

/* The directory; with `make`, one that is there durably. -ENOENT: none, or the stream is gone. */
static int open_directory(struct sfs_stream *stream, bool make, int *ret_fd)
{
	struct sfs_store *store = stream->store;
	const struct disk *disk = &store->env.disk;
	char path[SHARD_PATH_MAX];
	_cleanup_close_ int parent = -1;
	pthread_rwlock_rdlock(&stream->home.path_lock);
	snprintf(path, sizeof path, "%s/" CONSUMERS_DIR, stream->home.name);
	int r = stream->home.removed ? -ENOENT : 0;
	if (r == 0 && make) {
		r = disk_mkdir(disk, store->env.streams_dir, path);
		r = r == -EEXIST ? 0 : r;
	}
	if (r == 0 && make)
		r = disk_open(disk, store->env.streams_dir, stream->home.name,
			O_RDONLY | O_DIRECTORY, &parent);
	if (r == 0)
		r = disk_open(disk, store->env.streams_dir, path, O_RDONLY | O_DIRECTORY, ret_fd);
	pthread_rwlock_unlock(&stream->home.path_lock);
	if (r < 0 || !make)
		return r;
	r = disk_sync_dir(disk, parent);
	if (r < 0)
		close(*ret_fd);
	return r;
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
	if (!consumer_file_name(file, name))
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

static int load_all_locked(struct sfs_stream *stream, int dir)
{
	int copy = fcntl(dir, F_DUPFD_CLOEXEC, 0);
	DIR *listing = copy < 0 ? NULL : fdopendir(copy);
	if (!listing) {
		int r = -errno;
		if (copy >= 0)
			close(copy);
		return r;
	}
	int r = 0;
	const struct dirent *entry;
	while (r == 0 && (entry = readdir(listing)))
		r = load_one_locked(stream, dir, entry->d_name);
	closedir(listing);
	return r;
}

static int load_locked(struct sfs_stream *stream)
{
	struct consumers *consumers = &stream->consumers;
	if (consumers->loaded)
		return 0;
	_cleanup_close_ int dir = -1;
	int r = open_directory(stream, false, &dir);
	if (r == 0)
		r = load_all_locked(stream, dir);
	if (r == -ENOENT)
		r = 0;
	consumers->loaded = r == 0;
	while (r < 0 && !LIST_EMPTY(&consumers->all)) {
		struct consumer *c = LIST_FIRST(&consumers->all);
		LIST_REMOVE(c, link);
		consumer_free(c);
	}
	return r;
}

/* Finds a consumer that nobody is writing. -ENOENT. */
static int find_idle_locked(struct sfs_stream *stream, const char *name, struct consumer **ret)
{
	int r = load_locked(stream);
	if (r < 0)
		return r;
	struct consumer *c;
	while ((c = find_locked(stream, name)) && (c->writing || !STAILQ_EMPTY(&c->changes)))
		pthread_cond_wait(&stream->consumers.changed, &stream->consumers.lock);
	if (!c)
		return -ENOENT;
	*ret = c;
	return 0;
}

/* ---- the set of consumers ---- */

static bool is_removed(struct sfs_stream *stream)
{
	pthread_rwlock_rdlock(&stream->home.path_lock);
	bool removed = stream->home.removed;
	pthread_rwlock_unlock(&stream->home.path_lock);
	return removed;
}

static int create_locked(struct sfs_stream *stream, const char *name)
{
	_cleanup_close_ int dir = -1;
	int r = load_locked(stream);
	if (r == 0 && find_locked(stream, name))
		r = -EEXIST;
	if (r == 0)
		r = open_directory(stream, true, &dir);
	if (r == 0)
		r = save_document(&stream->store->env.disk, dir, name, NULL, 0);
	if (r < 0 && dir >= 0) {
		char file[CONSUMER_FILE_MAX];
		file_name(name, file);
		(void)disk_unlink(&stream->store->env.disk, dir, file);
	}
	if (r == 0 && !add_locked(stream, name))
		r = -ENOMEM;
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
	file_name(name, file);
	int r = find_idle_locked(stream, name, &c);
	if (r < 0)
		return r;
	r = open_directory(stream, false, &dir);
	if (r < 0)
		return r;
	r = disk_unlink(&stream->store->env.disk, dir, file);
	if (r < 0 && r != -ENOENT)
		return r;
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
	file_name(from, from_file);
	file_name(to, to_file);
	int r = find_idle_locked(stream, from, &c);
	if (r == 0 && find_locked(stream, to))
		r = -EEXIST;
	if (r == 0)
		r = open_directory(stream, false, &dir);
	if (r == 0)
		r = disk_rename_noreplace(&stream->store->env.disk, dir, from_file, dir, to_file);
	if (r < 0)
		return r;
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
	return load_locked(stream) == 0 && find_locked(stream, name) && !is_removed(stream);
}

/* All names, each with its NUL. */
static int copy_names(struct sfs_stream *stream, struct buf *names)
{
	SCOPED_LOCK(&stream->consumers.lock);
	int r = load_locked(stream);
	const struct consumer *c;
	if (r == 0)
		LIST_FOREACH(c, &stream->consumers.all, link)
	if (r == 0)
		r = buf_append(names, c->name, strlen(c->name) + 1);
	return r;
}

int sfs_consumer_list(
	struct sfs_stream *stream, int (*each)(void *context, const char *name), void *context)
{
	_cleanup_(buf_fini) struct buf names = {0};
	int r = copy_names(stream, &names);
	const char *name = (const char *)names.data;
	for (size_t at = 0; r == 0 && at < names.size; at += strlen(name + at) + 1)
		r = each(context, name + at);
	return r;
}

/* ---- checkpoints ---- */

static size_t find_checkpoint(const struct checkpoint *checkpoints, size_t count, uint32_t shard)
{
	size_t i = 0;
	while (i < count && checkpoints[i].shard < shard)
		i++;
	return i;
}

/* A checkpoint as it was last written; 0 where none was. */
static int copy_checkpoint(
	struct sfs_stream *stream, const char *name, uint32_t shard, struct checkpoint *ret)
{
	SCOPED_LOCK(&stream->consumers.lock);
	int r = load_locked(stream);
	const struct consumer *c = r == 0 ? find_locked(stream, name) : NULL;
	if (r == 0)
		r = c ? c->error : -ENOENT;
	if (r < 0)
		return r;
	size_t i = find_checkpoint(c->checkpoints, c->count, shard);
	*ret = (struct checkpoint){.shard = shard};
	if (i < c->count && c->checkpoints[i].shard == shard)
		*ret = c->checkpoints[i];
	return 0;
}

/* A shard that lost its end to damage has less than was there. */
static uint64_t within(struct sfs_stream *stream, const struct checkpoint *checkpoint)
{
	struct sfs_shard *shard;
	if (sfs_stream_shard(stream, checkpoint->shard, &shard) < 0)
		return checkpoint->offset;
	uint64_t size = sfs_shard_size(shard);
	sfs_shard_unref(shard);
	return checkpoint->offset < size ? checkpoint->offset : size;
}

int sfs_consumer_get(
	struct sfs_stream *stream, const char *name, uint32_t shard, uint64_t *ret_offset)
{
	struct checkpoint checkpoint;
	if (!sfs_stream_has_shard(stream, shard))
		return -ENOENT;
	int r = copy_checkpoint(stream, name, shard, &checkpoint);
	if (r < 0)
		return r;
	*ret_offset = checkpoint.offset ? within(stream, &checkpoint) : 0;
	return 0;
}

/* What there is, with what is queued. */
static int merge_changes(
	const struct consumer *c, struct checkpoint **ret_checkpoints, size_t *ret_count)
{
	size_t room = c->count, count = 0;
	const struct change *change;
	STAILQ_FOREACH(change, &c->changes, link)
	room++;
	struct checkpoint *list = calloc(room + 1, sizeof *list);
	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < c->count; i++)
		list[count++] = c->checkpoints[i];
	STAILQ_FOREACH(change, &c->changes, link)
	{
		size_t i = find_checkpoint(list, count, change->checkpoint.shard);
		if (i == count || list[i].shard != change->checkpoint.shard) {
			memmove(list + i + 1, list + i, (count - i) * sizeof *list);
			count++;
		}
		list[i] = change->checkpoint;
	}
	*ret_checkpoints = list;
	*ret_count = count;
	return 0;
}

/* Without the shards that left the table. Returns how many are left. */
static size_t drop_gone(struct sfs_stream *stream, struct checkpoint *checkpoints, size_t count)
{
	size_t kept = 0;
	for (size_t i = 0; i < count; i++)
		if (sfs_stream_has_shard(stream, checkpoints[i].shard))
			checkpoints[kept++] = checkpoints[i];
	return kept;
}

static int write_document(struct sfs_stream *stream, const char *name,
	const struct checkpoint *checkpoints, size_t count)
{
	_cleanup_close_ int dir = -1;
	int r = open_directory(stream, false, &dir);
	return r < 0 ? r : save_document(&stream->store->env.disk, dir, name, checkpoints, count);
}

/* Writes all that is queued, with the lock given up meanwhile. */
static void write_changes_locked(struct sfs_stream *stream, struct consumer *c)
{
	struct consumers *consumers = &stream->consumers;
	struct checkpoint *checkpoints = NULL;
	size_t count = 0;
	c->writing = true;
	int r = merge_changes(c, &checkpoints, &count);
	struct change *last = STAILQ_LAST(&c->changes, change, link);
	if (r == 0) {
		pthread_mutex_unlock(&consumers->lock);
		count = drop_gone(stream, checkpoints, count);
		r = write_document(stream, c->name, checkpoints, count);
		/* It may stand although writing it failed: what was told before must stand there.
		 */
		if (r < 0)
			(void)write_document(stream, c->name, c->checkpoints, c->count);
		pthread_mutex_lock(&consumers->lock);
	}
	if (r == 0) {
		free(c->checkpoints);
		c->checkpoints = checkpoints;
		c->count = count;
	} else {
		free(checkpoints);
	}
	for (bool more = true; more;) {
		struct change *change = STAILQ_FIRST(&c->changes);
		STAILQ_REMOVE_HEAD(&c->changes, link);
		more = change != last;
		change->result = r;
		change->done = true;
	}
	c->writing = false;
	pthread_cond_broadcast(&consumers->changed);
}

static int set_checkpoint(
	struct sfs_stream *stream, const char *name, const struct checkpoint *checkpoint)
{
	struct change change = {.checkpoint = *checkpoint};
	SCOPED_LOCK(&stream->consumers.lock);
	int r = load_locked(stream);
	struct consumer *c = r == 0 ? find_locked(stream, name) : NULL;
	if (r == 0)
		r = c ? c->error : -ENOENT;
	if (r < 0)
		return r;
	STAILQ_INSERT_TAIL(&c->changes, &change, link);
	while (!change.done) {
		if (c->writing)
			pthread_cond_wait(&stream->consumers.changed, &stream->consumers.lock);
		else
			write_changes_locked(stream, c);
	}
	return change.result;
}

/* A checkpoint must not outlive what is before it: new records would come where it stands. */
static int sync_before(struct sfs_shard *shard, uint64_t offset)
{
	pthread_mutex_lock(&shard->lock);
	bool durable = offset <= shard->synced_offset;
	pthread_mutex_unlock(&shard->lock);
	return durable ? 0 : sfs_shard_sync(shard);
}

int sfs_consumer_set(struct sfs_stream *stream, const char *name, uint32_t shard, uint64_t offset)
{
	if (stream->store->env.read_only)
		return -EROFS;
	struct sfs_shard *object;
	struct checkpoint checkpoint = {.shard = shard, .offset = offset};
	int r = sfs_stream_shard(stream, shard, &object);
	if (r < 0)
		return r;
	r = offset ? shard_sequence_at(object, offset, &checkpoint.sequence) : 0;
	if (r == -ESTALE)
		r = 0; /* its sequence is below that of the horizon, whatever it was */
	if (r == 0)
		r = sync_before(object, offset);
	sfs_shard_unref(object);
	return r < 0 ? r : set_checkpoint(stream, name, &checkpoint);
}

/* ---- lag ---- */

static void measure(struct sfs_shard *shard, const struct checkpoint *at, struct consumer_lag *lag)
{
	pthread_mutex_lock(&shard->lock);
	uint64_t size = shard->size, next = shard->next_sequence;
	uint64_t offset = shard->horizon_offset, sequence = shard->horizon_sequence;
	pthread_mutex_unlock(&shard->lock);
	if (at->offset > offset) {
		offset = at->offset;
		sequence = at->sequence;
	}
	*lag = (struct consumer_lag){.shard = shard->number, .offset = at->offset};
	if (offset >= size)
		return;
	uint64_t arrival_ms, now = clock_wall_ms();
	lag->bytes = size - offset;
	lag->records = next - sequence;
	if (shard_arrival_at(shard, offset, sequence, &arrival_ms) == 0 && now > arrival_ms)
		lag->seconds = (double)(now - arrival_ms) / 1000;
}

/* One that cannot be read has no figures, as in all of the stream's. */
static int tell_shard(struct sfs_stream *stream, const char *name, uint32_t number,
	int (*each)(void *context, const char *name, const struct consumer_lag *lag), void *context)
{
	struct sfs_shard *shard;
	struct checkpoint at;
	struct consumer_lag lag;
	if (sfs_stream_shard(stream, number, &shard) < 0)
		return 0;
	int r = copy_checkpoint(stream, name, number, &at);
	if (r == 0)
		measure(shard, &at, &lag);
	sfs_shard_unref(shard);
	if (r == -ENOENT)
		return 0;
	return r < 0 ? r : each(context, name, &lag);
}

int consumers_each_lag(struct sfs_stream *stream,
	int (*each)(void *context, const char *name, const struct consumer_lag *lag), void *context)
{
	_cleanup_(buf_fini) struct buf names = {0};
	_cleanup_free_ uint32_t *numbers = NULL;
	size_t count = 0;
	int r = copy_names(stream, &names);
	if (r == 0 && names.size)
		r = sfs_stream_shards(stream, &numbers, &count);
	const char *name = (const char *)names.data;
	for (size_t at = 0; r == 0 && at < names.size; at += strlen(name + at) + 1) {
		struct checkpoint any;
		int bad = copy_checkpoint(stream, name + at, 0, &any);
		if (bad < 0 && bad != -ENOENT)
			r = each(context, name + at, NULL);
		for (size_t i = 0; bad == 0 && r == 0 && i < count; i++)
			r = tell_shard(stream, name + at, numbers[i], each, context);
	}
	return r;
}
