/* SPDX-License-Identifier: MIT */
/*
 * The happy path of setting a checkpoint: it is at a position where a record begins, and what is
 * before it is made durable. Then it is queued. The first thread that finds nobody writing the
 * consumer's document takes all that is queued, writes the document with it, and wakes the others.
 *
 * Failure: the document is the old one or the new one, and the checkpoints in memory stay the old
 * ones. All threads whose checkpoints were in it get the error. So a checkpoint is never behind one
 * that was acknowledged, nor ahead of one that was asked for.
 */
#include "checkpoints.h"

#include "cleanup.h"
#include "lock.h"
#include "locate.h"
#include "shard.h"
#include "store.h"
#include "stream.h"
#include "trace.h"

#include <errno.h>

static size_t find_checkpoint(const struct checkpoint *checkpoints, size_t count, uint32_t shard)
{
	size_t i = 0;
	while (i < count && checkpoints[i].shard < shard)
		i++;
	return i;
}

static int find_sound_locked(
	struct sfs_stream *stream, const char *name, struct consumer **ret_consumer)
{
	int r = consumers_find_locked(stream, name, ret_consumer);
	return r < 0 ? r : (*ret_consumer)->error;
}

int checkpoint_read(struct sfs_stream *stream, const char *consumer, uint32_t shard,
	struct checkpoint *ret_checkpoint)
{
	struct consumer *c;
	SCOPED_LOCK(&stream->consumers.lock);
	int r = find_sound_locked(stream, consumer, &c);
	if (r < 0)
		return r;
	size_t i = find_checkpoint(c->checkpoints, c->count, shard);
	*ret_checkpoint = (struct checkpoint){.shard = shard};
	if (i < c->count && c->checkpoints[i].shard == shard)
		*ret_checkpoint = c->checkpoints[i];
	return 0;
}

/* A shard that lost its end to damage ends before the checkpoint. */
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
	int r = checkpoint_read(stream, name, shard, &checkpoint);
	if (r < 0)
		return r;
	*ret_offset = checkpoint.offset ? within(stream, &checkpoint) : 0;
	return 0;
}

/* The checkpoints with what is queued. */
static int merge_changes(
	const struct consumer *c, struct checkpoint **ret_checkpoints, size_t *ret_count)
{
	size_t room = c->count, count = 0;
	const struct checkpoint_change *change;
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
	int r = consumer_documents_open(stream, false, &dir);
	return r < 0 ? r
		     : consumer_document_save(
			       &stream->store->env.disk, dir, name, checkpoints, count);
}

/* Ends the queued changes up to `last`, inclusive, with this result. */
static void finish_changes_locked(
	struct consumer *c, const struct checkpoint_change *last, int result)
{
	for (bool more = true; more;) {
		struct checkpoint_change *change = STAILQ_FIRST(&c->changes);
		STAILQ_REMOVE_HEAD(&c->changes, link);
		more = change != last;
		change->result = result;
		change->done = true;
	}
}

/* Writes all that is queued. Gives the lock up meanwhile. */
static void write_changes_locked(struct sfs_stream *stream, struct consumer *c)
{
	struct consumers *consumers = &stream->consumers;
	struct checkpoint *checkpoints = NULL;
	size_t count = 0;
	ASSERT_LOCKED(&consumers->lock);
	assert(!c->writing && !STAILQ_EMPTY(&c->changes));
	c->writing = true;
	int r = merge_changes(c, &checkpoints, &count);
	struct checkpoint_change *last = STAILQ_LAST(&c->changes, checkpoint_change, link);
	if (r == 0) {
		pthread_mutex_unlock(&consumers->lock);
		count = drop_gone(stream, checkpoints, count);
		r = write_document(stream, c->name, checkpoints, count);
		/* The new document may stand although writing it failed. It must not: the
		 * checkpoints that were acknowledged stand in the old one. */
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
	TRACE(consumer, "stream %llu: consumer %s: %zu checkpoints written: %d",
		(unsigned long long)stream->id, c->name, c->count, r);
	finish_changes_locked(c, last, r);
	c->writing = false;
	pthread_cond_broadcast(&consumers->changed);
}

static int set_checkpoint(
	struct sfs_stream *stream, const char *name, const struct checkpoint *checkpoint)
{
	struct checkpoint_change change = {.checkpoint = *checkpoint};
	SCOPED_LOCK(&stream->consumers.lock);
	struct consumer *c;
	int r = find_sound_locked(stream, name, &c);
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
	bool durable = offset <= shard->sync.synced_offset;
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
