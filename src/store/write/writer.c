/* SPDX-License-Identifier: MIT */
/*
 * From bytes to lines. delivery.c makes records of the complete lines of a write. What is left of
 * the write, without a newline yet, is the line under way:
 *
 *              text              too long for memory
 *     NONE ----------> IN MEMORY -------------------> IN A FILE
 *     ^  |              |     |                        |     |
 *     |  |      newline |     | over a     over a      |     | newline
 *     |  |              v     | limit      limit       |     v
 *     |  |     appended: NONE |                        |    appended: NONE
 *     |  |                    v                        |
 *     |  '---------------> REFUSED <-------------------'
 *     |    over a limit       |
 *     '-----------------------'
 *      its newline was refused too
 *
 *     NONE       pending is empty, refusal.state is REFUSAL_NONE
 *     IN MEMORY  pending has bytes, pending.fd is -1
 *     IN A FILE  pending has bytes, pending.fd is a file without a name
 *     REFUSED    pending is empty, refusal.state is one of the others in refusal.h
 *
 * sfs_writer_end() is the newline of a line that has none.
 */
#include "writer.h"

#include "cleanup.h"
#include "delivery.h"
#include "lock.h"
#include "store.h"
#include "syncer.h"
#include "stream_blobs.h"
#include "trace.h"

#include <string.h>

/* Where the kernel cuts a write(2) into pieces, all but the last are at least this long. */
enum { KERNEL_PIECE_BYTES = 64 << 10 };

static int writer_new(struct sfs_stream *stream, enum target target, struct sfs_writer **ret_writer)
{
	struct sfs_writer *writer = calloc(1, sizeof *writer);
	if (!writer)
		return -ENOMEM;
	writer->stream = sfs_stream_ref(stream);
	writer->target = target;
	payload_init(&writer->pending, &stream->store->payloads);
	LIST_INIT(&writer->due);
	metric_add(&stream->store->env.metrics.open_writers, 1);
	*ret_writer = writer;
	return 0;
}

static void writer_free(struct sfs_writer *writer)
{
	metric_add(&writer->stream->store->env.metrics.open_writers, (uint64_t)-1);
	payload_fini(&writer->pending);
	shard_set_fini(&writer->appended);
	sfs_stream_unref(writer->stream);
	free(writer->key);
	free(writer);
}

static bool is_closed(struct sfs_shard *shard)
{
	SCOPED_RDLOCK(&shard->home->lock);
	return shard->closed;
}

int sfs_writer_open_shard(struct sfs_shard *shard, struct sfs_writer **ret_writer)
{
	if (is_closed(shard) || shard->stream->store->env.read_only)
		return -EROFS;
	struct sfs_writer *writer;
	int r = writer_new(shard->stream, TARGET_SHARD, &writer);
	if (r < 0)
		return r;
	writer->shard = shard;
	*ret_writer = writer;
	return 0;
}

int sfs_writer_open_key(struct sfs_stream *stream, const char *key, size_t key_bytes,
	struct sfs_writer **ret_writer)
{
	if (!sfs_key_valid(key, key_bytes))
		return -EINVAL;
	if (stream->store->env.read_only)
		return -EROFS;
	struct sfs_writer *writer;
	int r = writer_new(stream, TARGET_KEY, &writer);
	if (r < 0)
		return r;
	writer->key = malloc(key_bytes);
	if (!writer->key) {
		writer_free(writer);
		return -ENOMEM;
	}
	memcpy(writer->key, key, key_bytes);
	writer->key_bytes = key_bytes;
	*ret_writer = writer;
	return 0;
}

int sfs_writer_open_put(struct sfs_stream *stream, struct sfs_writer **ret_writer)
{
	if (stream->store->env.read_only)
		return -EROFS;
	return writer_new(stream, TARGET_PUT, ret_writer);
}

uint64_t sfs_writer_pending(const struct sfs_writer *writer)
{
	return writer->pending.size_bytes;
}

/*
 * Whether these bytes may be a later piece of a write(2) of which an earlier piece was taken. After
 * an error the program sees a short write then, not the error.
 */
static bool is_later_piece(const struct sfs_writer *writer)
{
	return writer->pending.size_bytes && writer->last_taken_bytes >= KERNEL_PIECE_BYTES;
}

/* Refuses the line under way, which goes on (or begins) with `data`. */
static int refuse(struct sfs_writer *writer, int error, const char *data, size_t bytes)
{
	TRACE(append, "%s: line of %llu bytes or more refused: error %d", writer->stream->home.name,
		(unsigned long long)writer->pending.size_bytes, -error);
	metric_add(&writer->stream->home.metrics.rejected, 1);
	refusal_begin(&writer->refusal, error, data, bytes, is_later_piece(writer));
	payload_reset(&writer->pending);
	return error;
}

/* Appends complete lines, up to one that is refused. The error, if that is the first of them. */
static int append_complete(
	struct sfs_writer *writer, const char *data, size_t bytes, size_t *ret_taken)
{
	struct delivered delivered;
	int r = delivery_append_locked(writer, data, bytes, &delivered);
	if (r < 0)
		return r;
	if (!delivered.bytes)
		return refuse(writer, delivered.refusal, data, bytes);
	payload_reset(&writer->pending);
	*ret_taken = delivered.bytes;
	return 0;
}

/* Adds text without a newline to the line under way. */
static int add_pending(struct sfs_writer *writer, const char *data, size_t bytes)
{
	struct sfs_stream *stream = writer->stream;
	struct payload *pending = &writer->pending;
	uint64_t total = pending->size_bytes + bytes;
	int r = settings_admit(&stream->home.settings, total);
	if (r < 0)
		return refuse(writer, r, data, bytes);
	if (!payload_fits(pending, total))
		r = stream_blobs_open(stream, true);
	return r < 0 ? r
		     : payload_append(
			       pending, &stream->store->env.disk, stream->blobs.dir, data, bytes);
}

/* Lines were taken, the rest could not be. The next write brings it again and meets its error. */
static void leave_rest(struct sfs_writer *writer)
{
	refusal_end(&writer->refusal);
}

static int check_open_locked(const struct sfs_writer *writer)
{
	if (writer->stream->home.removed)
		return -ENOENT;
	return writer->target == TARGET_SHARD && writer->shard->closed ? -EROFS : 0;
}

/* Takes all of `data`, or the lines before one that is refused or a rest that is. */
static int write_locked(
	struct sfs_writer *writer, const char *data, size_t bytes, size_t *ret_taken)
{
	ASSERT_RDLOCKED(&writer->stream->home.lock);
	int r = check_open_locked(writer);
	if (r == 0)
		r = refusal_check(&writer->refusal, data, bytes);
	if (r < 0)
		return r;
	const char *newline = memrchr(data, '\n', bytes);
	const size_t complete = newline ? (size_t)(newline - data) + 1 : 0;
	size_t taken = 0;
	if (complete) {
		r = append_complete(writer, data, complete, &taken);
		if (r < 0)
			return r;
		writer->last_taken_bytes = taken;
	}
	if (taken == complete && complete < bytes) {
		r = add_pending(writer, data + complete, bytes - complete);
		if (r == 0)
			writer->last_taken_bytes = taken = bytes;
		else if (!complete)
			return r;
		else
			leave_rest(writer);
	}
	*ret_taken = taken;
	return 0;
}

static int write_piece(struct sfs_writer *writer, const char *data, size_t bytes, size_t *ret_taken)
{
	SCOPED_RDLOCK(&writer->stream->home.lock);
	return write_locked(writer, data, bytes, ret_taken);
}

int sfs_writer_write(struct sfs_writer *writer, const void *data, size_t bytes, size_t *ret_taken)
{
	size_t done = 0;
	while (done < bytes) {
		size_t piece = bytes - done, taken = 0;
		if (piece > CHUNK_TEXT_TARGET)
			piece = CHUNK_TEXT_TARGET;
		int r = write_piece(writer, (const char *)data + done, piece, &taken);
		view_waiters_wake(&writer->due);
		if (r < 0 && !done)
			return r;
		done += taken;
		if (r < 0 || taken < piece)
			break;
	}
	*ret_taken = done;
	return 0;
}

int sfs_writer_end(struct sfs_writer *writer)
{
	refusal_end(&writer->refusal);
	if (!writer->pending.size_bytes)
		return 0;
	size_t taken;
	return sfs_writer_write(writer, "\n", 1, &taken);
}

int sfs_writer_close(struct sfs_writer *writer)
{
	if (!writer)
		return 0;
	int r = sfs_writer_end(writer);
	writer_free(writer);
	return r;
}

void sfs_writer_sync(
	struct sfs_writer *writer, void (*done)(void *context, int result), void *context)
{
	shard_set_sync(&writer->appended, done, context);
}

int sfs_writer_sync_wait(struct sfs_writer *writer)
{
	struct sync_wait wait = SYNC_WAIT_INIT;
	sfs_writer_sync(writer, sync_wait_done, &wait);
	return sync_wait(&wait);
}
