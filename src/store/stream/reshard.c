/* SPDX-License-Identifier: MIT */
/*
 * The happy path:
 *
 *   1. Lay out the new table.
 *   2. Make the directories of its new shards, durably. Appends go on meanwhile.
 *   3. Take home.lock exclusively: every append that began has ended, so the parents are complete.
 *   4. Replace stream.json. This is the step that counts.
 *   5. Let the new table take effect and give the lock back.
 *
 * A failure or a crash at any moment leaves the old table or the new one. Directories that no table
 * names are empty; they are removed, or used by the next shard of that number.
 */
#include "reshard.h"

#include "append.h"
#include "cleanup.h"
#include "diag.h"
#include "lock.h"
#include "shard.h"
#include "store.h"
#include "stream.h"
#include "syncer.h"
#include "trace.h"

#include <fcntl.h>
#include <stdio.h>

struct reshard {
	struct sfs_stream *stream;
	uint32_t count;		  /* of open shards there are to be */
	bool anew;		  /* no record ever: numbering starts over */
	uint32_t first_number;	  /* of the new shards */
	struct sfs_shard **fresh; /* the new shards, by rising number */
	uint32_t fresh_count;
	uint32_t made;	      /* directories of theirs */
	struct routes routes; /* the new ones */
};

static bool same_hash(struct hash_key a, struct hash_key b)
{
	return a.high == b.high && a.low == b.low;
}

/* Whether a shard has, or had, records. The caller holds home.lock. */
static int was_used(struct sfs_stream *stream, bool *ret_used)
{
	ASSERT_RDLOCKED(&stream->home.lock);
	bool used = stream->table.next_number != stream->table.count;
	for (size_t i = 0; !used && i < stream->table.count; i++) {
		struct sfs_shard *shard = stream->table.shards[i];
		int r = shard_open_locked(shard);
		if (r < 0)
			return r;
		SCOPED_LOCK(&shard->lock);
		used = shard->end.offset || shard->closed;
	}
	*ret_used = used;
	return 0;
}

/* ---- the layout ---- */

static void reshard_fini(struct reshard *p)
{
	for (uint32_t i = 0; p->fresh && i < p->fresh_count; i++)
		shard_free(p->fresh[i]);
	free(p->fresh);
	routes_fini(&p->routes);
}

static int check_numbers(const struct reshard *p, struct sfs_diag *diag)
{
	const struct sfs_stream *stream = p->stream;
	if (p->anew)
		return 0;
	if (stream->table.count + p->count > SFS_SHARDS_KEPT) {
		diag_set(diag,
			"shards: with the closed ones the stream has %zu; there can be %d in all",
			stream->table.count, SFS_SHARDS_KEPT);
		return -EINVAL;
	}
	if (stream->table.next_number + p->count > SFS_SHARD_NUMBERS) {
		diag_set(diag, "shards: the stream has no shard numbers left");
		return -EINVAL;
	}
	return 0;
}

static int compare_numbers(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

/* The open shards whose ranges overlap the shard's; `from` is the first that can. */
static int set_parents(struct sfs_shard *shard, const struct routes *old, size_t from)
{
	size_t end = from;
	while (end < old->count && hash_key_le(old->firsts[end], shard->hash_last))
		end++;
	shard->parents = calloc(end - from, sizeof *shard->parents);
	if (!shard->parents)
		return -ENOMEM;
	for (size_t i = from; i < end; i++)
		shard->parents[shard->parent_count++] = old->shards[i]->number;
	qsort(shard->parents, shard->parent_count, sizeof *shard->parents, compare_numbers);
	return 0;
}

static struct sfs_shard *add_fresh(struct reshard *p, uint32_t range)
{
	struct sfs_shard *shard = stream_new_shard(p->stream, p->first_number + p->fresh_count);
	if (!shard)
		return NULL;
	shard->hash_first = hash_range_first(range, p->count);
	shard->hash_last = hash_range_last(range, p->count);
	p->fresh[p->fresh_count++] = shard;
	return shard;
}

/* Which shard will have which range. `at` is the first old one that can overlap it. */
static int lay_range(struct reshard *p, uint32_t range, size_t *at)
{
	const struct routes *old = &p->stream->table.routes;
	struct hash_key first = hash_range_first(range, p->count);
	struct hash_key last = hash_range_last(range, p->count);
	struct sfs_shard *shard = NULL;
	int r = 0;
	while (!p->anew && !hash_key_le(first, old->shards[*at]->hash_last))
		++*at;
	if (p->anew && range < p->first_number)
		shard = p->stream->table.shards[range];
	else if (!p->anew && same_hash(old->firsts[*at], first) &&
		 same_hash(old->shards[*at]->hash_last, last))
		shard = old->shards[*at];
	if (!shard) {
		shard = add_fresh(p, range);
		r = !shard ? -ENOMEM : p->anew ? 0 : set_parents(shard, old, *at);
	}
	p->routes.firsts[range] = first;
	p->routes.shards[range] = shard;
	return r;
}

static int lay_out(struct reshard *p, struct sfs_diag *diag)
{
	struct sfs_stream *stream = p->stream;
	int r = check_numbers(p, diag);
	if (r < 0)
		return r;
	size_t stay = stream->table.count < p->count ? stream->table.count : p->count;
	p->first_number = p->anew ? (uint32_t)stay : stream->table.next_number;
	p->fresh = calloc(p->count, sizeof(struct sfs_shard *));
	r = p->fresh ? routes_alloc(&p->routes, p->count) : -ENOMEM;
	if (r < 0)
		return r;
	size_t at = 0;
	for (uint32_t i = 0; r == 0 && i < p->count; i++)
		r = lay_range(p, i, &at);
	return r;
}

/* ---- directories ---- */

static int make_directory(const struct reshard *p, uint32_t i)
{
	struct sfs_store *store = p->stream->store;
	char path[SHARD_PATH_MAX];
	pthread_rwlock_rdlock(&p->stream->home.lock); /* for the name only: appends go on */
	shard_path(p->fresh[i], path, "");
	int r = p->stream->home.removed
			? -ENOENT
			: disk_mkdir(&store->env.disk, store->env.streams_dir, path);
	pthread_rwlock_unlock(&p->stream->home.lock);
	return r == -EEXIST ? 0 : r;
}

static int sync_stream_directory(struct sfs_stream *stream)
{
	struct sfs_store *store = stream->store;
	_cleanup_close_ int dir = -1;
	pthread_rwlock_rdlock(&stream->home.lock);
	int r = stream->home.removed ? -ENOENT
				     : disk_open(&store->env.disk, store->env.streams_dir,
					       stream->home.name, O_RDONLY | O_DIRECTORY, &dir);
	pthread_rwlock_unlock(&stream->home.lock);
	return r < 0 ? r : disk_sync_dir(&store->env.disk, dir);
}

static int make_directories(struct reshard *p)
{
	int r = 0;
	for (; r == 0 && p->made < p->fresh_count; p->made += r == 0)
		r = make_directory(p, p->made);
	return r < 0 || !p->fresh_count ? r : sync_stream_directory(p->stream);
}

/* One that is not empty is not new, and stays. */
static void remove_directories(const struct reshard *p)
{
	struct sfs_store *store = p->stream->store;
	char path[SHARD_PATH_MAX];
	pthread_rwlock_rdlock(&p->stream->home.lock);
	for (uint32_t i = 0; i < p->made && !p->stream->home.removed; i++) {
		shard_path(p->fresh[i], path, "");
		(void)disk_rmdir(&store->env.disk, store->env.streams_dir, path);
	}
	pthread_rwlock_unlock(&p->stream->home.lock);
}

/* ---- the change; the caller holds home.lock exclusively ---- */

static void exchange(struct sfs_stream *stream, struct shard_table *table)
{
	ASSERT_WRLOCKED(&stream->home.lock);
	const struct shard_table old = stream->table;
	stream->table = *table;
	*table = old;
}

/* Room for all that the change will need, so that nothing can fail once it is made. */
static int make_table(struct reshard *p, struct shard_table *table)
{
	struct sfs_stream *stream = p->stream;
	size_t stay = p->anew ? p->first_number : stream->table.count;
	int r = vector_reserve(&stream->retired, stream->table.count - stay);
	if (r < 0)
		return r;
	table->count = stay + p->fresh_count;
	table->shards = calloc(table->count, sizeof(struct sfs_shard *));
	if (!table->shards)
		return -ENOMEM;
	memcpy(table->shards, stream->table.shards, stay * sizeof(struct sfs_shard *));
	memcpy(table->shards + stay, p->fresh, p->fresh_count * sizeof(struct sfs_shard *));
	table->next_number = p->first_number + p->fresh_count;
	table->routes = p->routes;
	return 0;
}

/* Which of the open shards the new routes have no more. */
static void set_closing(const struct routes *old, const struct routes *new)
{
	for (size_t i = 0; i < old->count; i++)
		old->shards[i]->closing = true;
	for (size_t i = 0; new && i < new->count; i++)
		new->shards[i]->closing = false;
}

static void take_effect(struct reshard *p, const struct shard_table *table)
{
	if (p->anew)
		shard_table_divide(&p->stream->table);
	else
		set_closing(&table->routes, &p->stream->table.routes);
}

/* It may stand although writing it failed, so the old one is written once more. */
static void take_back(struct reshard *p, struct shard_table *table)
{
	struct sfs_stream *stream = p->stream;
	exchange(stream, table);
	for (size_t i = 0; i < stream->table.routes.count; i++)
		stream->table.routes.shards[i]->closing = false;
	if (p->anew)
		shard_table_divide(&stream->table);
	int r = stream_save(stream);
	if (r == 0)
		return;
	p->made = 0; /* the new table may need its directories */
	/* Records that come now belong to closed shards should it stand: parents, which is fine. */
	for (size_t i = 0; p->anew && i < stream->table.count; i++) {
		SCOPED_LOCK(&stream->table.shards[i]->lock);
		shard_fail_locked(
			stream->table.shards[i], "taking back a change of the settings", r);
	}
}

static void close_shard(struct sfs_shard *shard)
{
	pthread_mutex_lock(&shard->lock);
	TRACE(reshard, "shard %u closes at %llu", shard->number,
		(unsigned long long)shard->end.offset);
	shard->closed = true;
	shard->closing = false;
	pthread_cond_broadcast(&shard->grown);
	pthread_mutex_unlock(&shard->lock);
	shard_seal(shard);
}

/* The new table stands; `old` is what it replaced. */
static void settle(struct reshard *p, struct shard_table *old)
{
	struct sfs_stream *stream = p->stream;
	for (size_t i = p->first_number; p->anew && i < old->count; i++)
		stream_retire(stream, old->shards[i]);
	for (size_t i = 0; i < old->routes.count; i++)
		if (old->routes.shards[i]->closing)
			close_shard(old->routes.shards[i]);
	p->routes = (struct routes){0};
	p->fresh_count = 0; /* all of it is the stream's now */
	for (size_t i = 0; i < stream->table.count; i++)
		syncer_set_interval(
			stream->table.shards[i], stream->home.settings.flush_interval_ms);
	routes_fini(&old->routes);
}

static int change(struct reshard *p, struct settings *settings)
{
	struct sfs_stream *stream = p->stream;
	struct settings before = stream->home.settings;
	struct shard_table table = {0};
	int r = make_table(p, &table);
	if (r < 0)
		return r;
	exchange(stream, &table);
	take_effect(p, &table);
	stream->home.settings = *settings;
	r = stream_save(stream);
	if (r == 0) {
		settle(p, &table);
		*settings = before; /* for the caller to free */
	} else {
		stream->home.settings = before;
		take_back(p, &table);
	}
	free(table.shards);
	return r;
}

/* -EAGAIN: the first record came meanwhile. */
static int commit(struct reshard *p, struct settings *settings)
{
	struct sfs_stream *stream = p->stream;
	stream_lock_alone(stream);
	bool used = false;
	int r = stream->home.removed ? -ENOENT : p->anew ? was_used(stream, &used) : 0;
	if (r == 0)
		r = used ? -EAGAIN : change(p, settings);
	pthread_rwlock_unlock(&stream->home.lock);
	return r;
}

static int try_reshard(struct sfs_stream *stream, struct settings *settings, struct sfs_diag *diag)
{
	struct reshard p = {.stream = stream, .count = settings->shards};
	bool used = false;
	ASSERT_LOCKED(&stream->change_lock);
	pthread_rwlock_rdlock(&stream->home.lock);
	int r = was_used(stream, &used);
	p.anew = !used;
	if (r == 0)
		r = lay_out(&p, diag);
	pthread_rwlock_unlock(&stream->home.lock);
	TRACE(reshard, "stream %llu: %u open shards, %u of them new from %u on%s: %d",
		(unsigned long long)stream->id, p.count, p.fresh_count, p.first_number,
		p.anew ? "; numbering starts over" : "", r);
	if (r == 0)
		r = make_directories(&p);
	if (r == 0)
		r = commit(&p, settings);
	TRACE(reshard, "stream %llu: change of the table: %d", (unsigned long long)stream->id, r);
	if (r < 0)
		remove_directories(&p);
	reshard_fini(&p);
	return r;
}

int stream_reshard(struct sfs_stream *stream, struct settings *settings, struct sfs_diag *diag)
{
	int r = try_reshard(stream, settings, diag);
	return r == -EAGAIN ? try_reshard(stream, settings, diag) : r;
}
