/* SPDX-License-Identifier: MIT */
/*
 * Framing: a stream of bytes becomes lines, lines become records.
 *
 * The plain way, for a shard or a key: all complete lines of a write are one run of text, appended
 * as it is. Line by line, when the key is in the record or a line is over the threshold: each goes
 * into the batch of its shard. A line over CHUNK_TEXT_TARGET, which only the unfinished line of
 * earlier writes can be, is appended piece by piece.
 */
#include "cleanup.h"
#include "records.h"
#include "shard.h"
#include "stream.h"
#include "stream_blobs.h"
#include "store.h"
#include "syncer.h"

#include "streamfs/writer.h"

#include <string.h>
#include <xxhash.h>

/*
 * After a record was refused. The kernel hands a large write(2) over in pieces; when a later piece
 * is refused, the program sees a short write, not the error, and writes the rest once more: that
 * must be refused again, and what belongs to the refused line must not become a record. Where the
 * piece before was small there was no such write(2): the program has seen the error, and what
 * comes after the line's end is new, be it equal or not.
 */
enum { KERNEL_PIECE_BYTES = 64 << 10 };
enum refusal {
	REFUSED_NOTHING,
	REFUSED_ONCE, /* the bytes of retry_hash were; if they come again, again */
	REFUSED_OPEN, /* everything up to the end of the line is */
};

/* How far into a line that waited on disk its key is looked for. */
enum { KEY_REACH_BYTES = 4 << 20 };

enum target { TARGET_SHARD, TARGET_KEY, TARGET_PUT };

struct sfs_writer {
	struct sfs_stream *stream; /* counted */
	enum target target;
	struct sfs_shard *shard; /* TARGET_SHARD */
	char *key;		 /* TARGET_KEY */
	size_t key_bytes;
	struct payload pending; /* the unfinished line */
	enum refusal refusal;
	int refusal_error;
	bool refused_end;   /* the refused bytes had the line's end */
	size_t taken_bytes; /* by the last write that was taken */
	size_t retry_bytes;
	uint64_t retry_hash;
	struct waiter_list due;	 /* whom the append under way wakes */
	struct buf touched;	 /* struct sfs_shard *[]: appended to by this writer */
	struct buf touched_bits; /* by shard serial, to keep that list free of repeats */
};

static int writer_new(struct sfs_stream *stream, enum target target, struct sfs_writer **ret_writer)
{
	struct sfs_writer *w = calloc(1, sizeof *w);
	if (!w)
		return -ENOMEM;
	w->stream = sfs_stream_ref(stream);
	w->target = target;
	payload_init(&w->pending, &stream->store->payloads);
	LIST_INIT(&w->due);
	metric_add(&stream->store->env.metrics.open_writers, 1);
	*ret_writer = w;
	return 0;
}

static void writer_free(struct sfs_writer *w)
{
	metric_add(&w->stream->store->env.metrics.open_writers, (uint64_t)-1);
	payload_fini(&w->pending);
	buf_fini(&w->touched);
	buf_fini(&w->touched_bits);
	sfs_stream_unref(w->stream);
	free(w->key);
	free(w);
}

int sfs_writer_open_shard(struct sfs_shard *shard, struct sfs_writer **ret_writer)
{
	pthread_rwlock_rdlock(&shard->stream->home.lock);
	bool closed = shard->closed;
	pthread_rwlock_unlock(&shard->stream->home.lock);
	if (closed || shard->stream->store->env.read_only)
		return -EROFS;
	struct sfs_writer *w;
	int r = writer_new(shard->stream, TARGET_SHARD, &w);
	if (r < 0)
		return r;
	w->shard = shard;
	*ret_writer = w;
	return 0;
}

int sfs_writer_open_key(struct sfs_stream *stream, const char *key, size_t key_bytes,
	struct sfs_writer **ret_writer)
{
	if (!sfs_key_valid(key, key_bytes))
		return -EINVAL;
	if (stream->store->env.read_only)
		return -EROFS;
	struct sfs_writer *w;
	int r = writer_new(stream, TARGET_KEY, &w);
	if (r < 0)
		return r;
	w->key = malloc(key_bytes);
	if (!w->key) {
		writer_free(w);
		return -ENOMEM;
	}
	memcpy(w->key, key, key_bytes);
	w->key_bytes = key_bytes;
	*ret_writer = w;
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

/* ---- what was refused ---- */

/* Bytes of `data` that belong to its first line, newline included; 0: it has no newline. */
static size_t first_line(const char *data, size_t bytes)
{
	const char *newline = memchr(data, '\n', bytes);
	return newline ? (size_t)(newline - data) + 1 : 0;
}

/* Notes that the line that goes on in (or begins) `data` is refused. */
static int refuse(struct sfs_writer *w, int error, const char *data, size_t bytes)
{
	size_t line = first_line(data, bytes);
	bool told = line && w->taken_bytes < KERNEL_PIECE_BYTES;
	bool whole = line && !w->pending.size_bytes;
	metric_add(&w->stream->home.metrics.rejected, 1);
	payload_reset(&w->pending);
	w->refusal_error = error;
	w->refused_end = line != 0;
	w->retry_bytes = bytes;
	w->retry_hash = XXH3_64bits(data, w->retry_bytes);
	/* A line that came whole meets its refusal again whenever it comes again. */
	w->refusal = whole || told ? REFUSED_NOTHING : REFUSED_ONCE;
	return error;
}

/* Whether this write still belongs to what was refused: 0 or the error. */
static int check_refused(struct sfs_writer *w, const char *data, size_t bytes)
{
	if (w->refusal == REFUSED_NOTHING)
		return 0;
	bool again = w->refusal == REFUSED_ONCE && bytes >= w->retry_bytes &&
		     XXH3_64bits(data, w->retry_bytes) == w->retry_hash;
	if (w->refused_end || (!again && first_line(data, bytes))) {
		/* This is the refused line's end, its repetition, or what follows on it. */
		bool over = w->refused_end && !again;
		w->refusal = REFUSED_NOTHING;
		return over ? 0 : w->refusal_error;
	}
	w->refusal = again ? REFUSED_ONCE : REFUSED_OPEN;
	return w->refusal_error;
}

/* ---- appending ---- */

/* Notes, before it is appended to, that a shard will have to be synced. 0 or -ENOMEM. */
static int touch(struct sfs_writer *w, struct sfs_shard *shard)
{
	size_t byte = shard->serial / 8;
	uint8_t bit = (uint8_t)(1 << shard->serial % 8);
	if (w->touched_bits.size <= byte) {
		size_t more = byte + 1 - w->touched_bits.size;
		int r = buf_reserve(&w->touched_bits, more);
		if (r < 0)
			return r;
		memset(w->touched_bits.data + w->touched_bits.size, 0, more);
		w->touched_bits.size += more;
	}
	if (w->touched_bits.data[byte] & bit)
		return 0;
	int r = buf_append(&w->touched, &shard, sizeof(struct sfs_shard *));
	if (r == 0)
		w->touched_bits.data[byte] |= bit;
	return r;
}

/* One write on its way. */
struct run {
	struct sfs_writer *writer;
	struct workspace *w;
	size_t spread_route; /* of this write's records without a key */
	struct long_record long_record;
	struct sfs_shard *long_shard; /* NULL: there is no long record */
	struct batch *head_batch;     /* with the line that began in earlier writes */
	bool head_done;		      /* which was appended */
};

static struct key_text find_key(struct run *run, const char *line, size_t bytes, char *scratch)
{
	struct sfs_writer *w = run->writer;
	struct key_text key = {w->key, w->key_bytes};
	const struct key_rule *rule = &w->stream->home.settings.key;
	if (w->target != TARGET_PUT || rule->kind == KEY_RULE_NONE)
		return key;
	if (key_rule_find(rule, line, bytes, scratch, &key.data, &key.bytes) < 0)
		metric_add(&w->stream->home.metrics.keyless, 1);
	return key;
}

static struct batch *batch_for(struct run *run, struct key_text key)
{
	struct sfs_writer *w = run->writer;
	if (w->target == TARGET_SHARD) {
		struct batch *batch = SLIST_FIRST(&run->w->used);
		return batch ? batch : workspace_new_batch(run->w, w->shard);
	}
	size_t route = key.bytes ? stream_route(w->stream, key.data, key.bytes) : run->spread_route;
	return workspace_batch(run->w, &w->stream->table.routes, route);
}

/* Whether the text of a line that began in earlier writes is looked at here at all. */
static bool head_is_wanted(const struct run *run, uint64_t bytes)
{
	const struct sfs_writer *w = run->writer;
	return bytes < CHUNK_TEXT_TARGET ||
	       (w->target == TARGET_PUT && w->stream->home.settings.key.kind != KEY_RULE_NONE);
}

/*
 * The key of such a line, of which `reach` of the `bytes` are at hand. What ends where these end
 * may go on behind it, and is none. The line goes, the key stays: it lies in `scratch` or in the
 * writer.
 */
static struct key_text find_head_key(
	struct run *run, const char *line, size_t reach, uint64_t bytes, char *scratch)
{
	struct key_text key = find_key(run, line, reach, scratch);
	if (!key.bytes || key.data == scratch || key.data == run->writer->key)
		return key;
	if (reach < bytes && key.data + key.bytes + 1 >= line + reach) {
		metric_add(&run->writer->stream->home.metrics.keyless, 1);
		return (struct key_text){0};
	}
	memcpy(scratch, key.data, key.bytes);
	key.data = scratch;
	return key;
}

/* The line that began in earlier writes and ends with `end`. */
static int add_head(struct run *run, const char *end, size_t end_bytes)
{
	struct sfs_writer *w = run->writer;
	struct sfs_stream *stream = w->stream;
	uint64_t bytes = w->pending.size_bytes + end_bytes;
	int r = record_limit(&stream->home.settings, bytes);
	if (r < 0)
		return r;
	r = payload_fits(&w->pending, bytes) ? 0 : stream_blobs_open(stream, true);
	if (r == 0)
		r = payload_append(
			&w->pending, &stream->store->env.disk, stream->blobs.dir, end, end_bytes);
	const char *line = NULL;
	size_t reach = bytes < KEY_REACH_BYTES ? (size_t)bytes : KEY_REACH_BYTES;
	if (r == 0 && head_is_wanted(run, bytes))
		r = payload_text(
			&w->pending, &stream->store->env.disk, reach, &run->w->head, &line);
	if (r < 0)
		return r;
	char scratch[SFS_KEY_MAX_BYTES];
	struct key_text key = find_head_key(run, line, reach, bytes, scratch);
	struct batch *batch = batch_for(run, key);
	run->head_batch = batch;
	if (!batch)
		r = -ENOMEM;
	else if (record_is_claimed(&stream->home.settings, bytes))
		r = batch_add_claim(run->w, stream, batch, key, &w->pending);
	else if (bytes < CHUNK_TEXT_TARGET)
		r = batch_add(batch, key, line, bytes);
	else
		run->long_shard = batch->shard;
	if (r < 0 || !run->long_shard)
		return r;
	run->w->head.size = 0;
	r = buf_append(&run->w->head, key.data, key.bytes);
	run->long_record = (struct long_record){
		&w->pending, bytes, {(const char *)run->w->head.data, key.bytes}};
	return r;
}

/* A line that lies whole in one write. */
static int add_line(struct run *run, const char *line, size_t bytes)
{
	struct sfs_stream *stream = run->writer->stream;
	int r = record_limit(&stream->home.settings, bytes);
	if (r < 0)
		return r;
	char scratch[SFS_KEY_MAX_BYTES];
	struct key_text key = find_key(run, line, bytes, scratch);
	struct batch *batch = batch_for(run, key);
	if (!batch)
		return -ENOMEM;
	if (!record_is_claimed(&stream->home.settings, bytes))
		return batch_add(batch, key, line, bytes);
	struct payload payload;
	payload_init(&payload, NULL);
	r = payload_append(&payload, &stream->store->env.disk, -1, line, bytes);
	if (r == 0)
		r = batch_add_claim(run->w, stream, batch, key, &payload);
	payload_fini(&payload);
	return r;
}

/* Appends what was batched. With several shards, one that fails does not keep the others back. */
static int append_batches(struct run *run)
{
	int result = 0;
	struct batch *batch;
	SLIST_FOREACH(batch, &run->w->used, link)
	{
		bool with_long = batch->shard == run->long_shard;
		const struct long_record *record = with_long ? &run->long_record : NULL;
		if (!batch->records && !with_long)
			continue;
		int r = touch(run->writer, batch->shard);
		if (r == 0)
			r = append_run(run->w, batch->shard, record, batch->records ? batch : NULL);
		if (r < 0 && result == 0)
			result = r;
		if (r == 0 && batch == run->head_batch)
			run->head_done = true;
	}
	return result;
}

/*
 * Line by line. Stops before a line that is refused: *ret_taken says how far it came, and the
 * refusal is the result if that is nowhere.
 */
static int append_lines(struct run *run, const char *data, size_t bytes, size_t *ret_taken)
{
	struct sfs_writer *w = run->writer;
	uint64_t held = w->pending.size_bytes;
	size_t at = 0;
	int r = 0;
	while (at < bytes) {
		size_t line = first_line(data + at, bytes - at);
		r = at == 0 && held ? add_head(run, data, line - 1)
				    : add_line(run, data + at, line - 1);
		if (r < 0)
			break;
		at += line;
	}
	bool refused = r == -EMSGSIZE || r == -EFBIG;
	if (refused && at == 0)
		return refuse(w, r, data, bytes);
	if (r == 0 || refused)
		r = append_batches(run);
	if (r < 0 && run->head_done) {
		payload_reset(&w->pending); /* a record by now, though others failed */
		return r;
	}
	if (r < 0) {
		int cut = payload_truncate(
			&w->pending, &w->stream->store->env.disk, w->stream->blobs.dir, held);
		return cut < 0 ? cut : r;
	}
	*ret_taken = at;
	return 0;
}

/* The plain way: one run of text to one shard. */
static int append_plain(struct run *run, const char *data, size_t bytes, size_t *ret_taken)
{
	struct sfs_writer *w = run->writer;
	const char *text = data;
	size_t text_bytes = bytes;
	if (w->pending.size_bytes) {
		struct buf *head = &run->w->head;
		head->size = 0;
		int r = buf_append(head, w->pending.memory.data, w->pending.memory.size);
		if (r == 0)
			r = buf_append(head, data, bytes);
		if (r < 0)
			return r;
		text = (const char *)head->data;
		text_bytes = head->size;
	}
	struct key_text key = {w->key, w->key_bytes};
	size_t route = w->target == TARGET_KEY ? stream_route(w->stream, w->key, w->key_bytes)
					       : run->spread_route;
	struct sfs_shard *shard =
		w->target == TARGET_SHARD ? w->shard : w->stream->table.routes.shards[route];
	int r = touch(w, shard);
	if (r == 0)
		r = append_text(run->w, shard, key, text, text_bytes);
	if (r < 0)
		return r;
	*ret_taken = bytes;
	return 0;
}

/* Whether every line surely stays a line of the chunk that the write makes, under a known key. */
static bool is_plain(const struct sfs_writer *w, size_t bytes)
{
	const struct settings *s = &w->stream->home.settings;
	uint64_t longest = w->pending.size_bytes + bytes;
	return (w->target != TARGET_PUT || s->key.kind == KEY_RULE_NONE) &&
	       longest <= s->threshold_bytes && longest <= s->max_record_bytes &&
	       longest <= CHUNK_TEXT_TARGET + PAYLOAD_MEMORY_MAX && w->pending.fd < 0;
}

/* Appends complete lines. The caller holds home.lock. */
static int append_complete(struct sfs_writer *w, const char *data, size_t bytes, size_t *ret_taken)
{
	struct sfs_store *store = w->stream->store;
	struct run run = {.writer = w, .w = workspace_get(store)};
	if (!run.w)
		return -ENOMEM;
	run.w->due = &w->due;
	run.spread_route = stream_spread(w->stream);
	int r = is_plain(w, bytes) ? append_plain(&run, data, bytes, ret_taken)
				   : append_lines(&run, data, bytes, ret_taken);
	workspace_settle(run.w, w->stream);
	workspace_put(store, run.w);
	if (r == 0)
		payload_reset(&w->pending);
	return r;
}

/* Holds the beginning of a line. */
static int hold(struct sfs_writer *w, const char *data, size_t bytes)
{
	struct sfs_stream *stream = w->stream;
	uint64_t total = w->pending.size_bytes + bytes;
	int r = record_limit(&stream->home.settings, total);
	if (r < 0)
		return refuse(w, r, data, bytes);
	r = payload_fits(&w->pending, total) ? 0 : stream_blobs_open(stream, true);
	return r < 0 ? r
		     : payload_append(&w->pending, &stream->store->env.disk, stream->blobs.dir,
			       data, bytes);
}

static int write_held(struct sfs_writer *w, const char *data, size_t bytes, size_t *ret_taken)
{
	if (w->stream->home.removed)
		return -ENOENT;
	if (w->target == TARGET_SHARD && w->shard->closed)
		return -EROFS;
	int r = check_refused(w, data, bytes);
	if (r < 0)
		return r;
	const char *newline = memrchr(data, '\n', bytes);
	size_t complete = newline ? (size_t)(newline - data) + 1 : 0, taken = 0;
	if (complete) {
		r = append_complete(w, data, complete, &taken);
		if (r < 0)
			return r;
		w->taken_bytes = taken;
		if (taken < complete) {
			*ret_taken = taken;
			return 0;
		}
	}
	if (complete < bytes) {
		r = hold(w, data + complete, bytes - complete);
		if (r < 0 && !complete)
			return r;
		if (r < 0) {
			/* What was appended is told; the rest meets its error next time. */
			w->refusal = REFUSED_NOTHING;
			*ret_taken = complete;
			return 0;
		}
	}
	*ret_taken = w->taken_bytes = bytes;
	return 0;
}

int sfs_writer_write(struct sfs_writer *writer, const void *data, size_t bytes, size_t *ret_taken)
{
	size_t done = 0;
	while (done < bytes) {
		size_t piece = bytes - done, taken = 0;
		if (piece > CHUNK_TEXT_TARGET)
			piece = CHUNK_TEXT_TARGET;
		pthread_rwlock_rdlock(&writer->stream->home.lock);
		int r = write_held(writer, (const char *)data + done, piece, &taken);
		pthread_rwlock_unlock(&writer->stream->home.lock);
		waiters_wake(&writer->due);
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
	writer->refusal = REFUSED_NOTHING; /* whatever was refused ended with the file */
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

/* ---- syncing ---- */

struct sync_group {
	atomic_size_t left;
	atomic_int result;
	void (*done)(void *context, int result);
	void *context;
};

static void group_done(void *context, int result)
{
	struct sync_group *group = context;
	if (result < 0)
		atomic_store(&group->result, result);
	if (atomic_fetch_sub(&group->left, 1) != 1)
		return;
	group->done(group->context, atomic_load(&group->result));
	free(group);
}

void sfs_writer_sync(
	struct sfs_writer *writer, void (*done)(void *context, int result), void *context)
{
	size_t count = writer->touched.size / sizeof(struct sfs_shard *);
	struct sfs_shard *const *shards = (struct sfs_shard *const *)(void *)writer->touched.data;
	if (!count) {
		done(context, 0);
		return;
	}
	struct sync_group *group = malloc(sizeof *group);
	if (!group) {
		done(context, -ENOMEM);
		return;
	}
	atomic_init(&group->left, count + 1);
	atomic_init(&group->result, 0);
	group->done = done;
	group->context = context;
	for (size_t i = 0; i < count; i++)
		syncer_request(shards[i], group_done, group);
	group_done(group, 0); /* its own count: none could finish the group before the last began */
}

int sfs_writer_sync_wait(struct sfs_writer *writer)
{
	struct sync_wait wait = SYNC_WAIT_INIT;
	sfs_writer_sync(writer, sync_wait_done, &wait);
	return sync_wait(&wait);
}
