/* SPDX-License-Identifier: MIT */
/*
 * A tree of files, each with the locks held and the waiters in order of arrival. The waiters that a
 * change lets through, or closes a cycle for, move to a list; their callbacks are called after the
 * mutex is given back. A waiter brings the memory that its lock will need, so a grant cannot fail.
 */
#include "locks.h"

#include <assert.h>
#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "lock.h"
#include "trace.h"

struct held {
	LIST_ENTRY(held) entry;
	enum lock_kind kind;
	uint64_t owner;
	struct lock_range range;
};
LIST_HEAD(held_list, held);

struct waiter {
	TAILQ_ENTRY(waiter) in_file; /* then the list of those to call back */
	TAILQ_ENTRY(waiter) in_table;
	STAILQ_ENTRY(waiter) in_search;
	uint64_t search; /* the last search for a cycle that met it */
	struct lock_file *file;
	enum lock_kind kind;
	uint64_t owner;
	struct lock_range range;
	struct held_list spares;
	void (*granted)(void *context, int result);
	void *context;
	int result;
};
TAILQ_HEAD(waiter_list, waiter);
STAILQ_HEAD(search_list, waiter);

struct lock_file {
	RB_ENTRY(lock_file) entry;
	uint64_t ino;
	struct held_list held;
	struct waiter_list waiters;
};
RB_HEAD(file_tree, lock_file);

struct lock_table {
	pthread_mutex_t mutex; /* guards all below */
	struct file_tree files;
	struct waiter_list waiters; /* of all files */
	uint64_t searches;
	atomic_uint count; /* held, spare and waiting; read without the mutex, too */
};

static const char *kind_name(enum lock_kind kind)
{
	return kind == LOCK_POSIX ? "fcntl" : "flock";
}

static const char *type_name(int type)
{
	return type == F_RDLCK ? "read lock" : type == F_WRLCK ? "write lock" : "unlock";
}

static int compare_files(const struct lock_file *a, const struct lock_file *b)
{
	return (a->ino > b->ino) - (a->ino < b->ino);
}

RB_GENERATE_INTERNAL(file_tree, lock_file, entry, compare_files, __attribute__((unused)) static)

struct lock_table *lock_table_new(void)
{
	struct lock_table *t = calloc(1, sizeof *t);
	if (!t)
		return NULL;
	pthread_mutex_init(&t->mutex, NULL);
	RB_INIT(&t->files);
	TAILQ_INIT(&t->waiters);
	return t;
}

static struct lock_file *find_file(struct lock_table *t, uint64_t ino)
{
	struct lock_file key = {.ino = ino};
	return RB_FIND(file_tree, &t->files, &key);
}

static struct lock_file *obtain_file(struct lock_table *t, uint64_t ino)
{
	struct lock_file *file = find_file(t, ino);
	if (file)
		return file;
	file = calloc(1, sizeof *file);
	if (!file)
		return NULL;
	file->ino = ino;
	LIST_INIT(&file->held);
	TAILQ_INIT(&file->waiters);
	RB_INSERT(file_tree, &t->files, file);
	return file;
}

static void drop_file_if_unused(struct lock_table *t, struct lock_file *file)
{
	if (!LIST_EMPTY(&file->held) || !TAILQ_EMPTY(&file->waiters))
		return;
	RB_REMOVE(file_tree, &t->files, file);
	free(file);
}

static void drop_held(struct lock_table *t, struct held *h)
{
	LIST_REMOVE(h, entry);
	free(h);
	t->count--;
}

static void give_back(struct lock_table *t, struct held_list *spares)
{
	while (!LIST_EMPTY(spares))
		drop_held(t, LIST_FIRST(spares));
}

/* One for the lock, one for what is left behind it when a held one is split. */
static int reserve(struct lock_table *t, unsigned limit, struct held_list *spares)
{
	LIST_INIT(spares);
	for (int i = 0; i < 2; i++) {
		struct held *h = t->count < limit ? calloc(1, sizeof *h) : NULL;
		if (!h) {
			give_back(t, spares);
			return -ENOLCK;
		}
		LIST_INSERT_HEAD(spares, h, entry);
		t->count++;
	}
	return 0;
}

static void insert(struct lock_file *file, struct held_list *spares, enum lock_kind kind,
	uint64_t owner, const struct lock_range *range)
{
	struct held *h = LIST_FIRST(spares);
	assert(h);
	LIST_REMOVE(h, entry);
	h->kind = kind;
	h->owner = owner;
	h->range = *range;
	LIST_INSERT_HEAD(&file->held, h, entry);
}

static bool overlap(const struct lock_range *a, const struct lock_range *b)
{
	return a->first <= b->last && b->first <= a->last;
}

static bool touch(const struct lock_range *a, const struct lock_range *b)
{
	return overlap(a, b) || (a->last < b->first && a->last + 1 == b->first) ||
	       (b->last < a->first && b->last + 1 == a->first);
}

static bool conflicts(
	const struct held *h, enum lock_kind kind, uint64_t owner, const struct lock_range *range)
{
	return h->kind == kind && h->owner != owner && overlap(&h->range, range) &&
	       (h->range.type == F_WRLCK || range->type == F_WRLCK);
}

static const struct held *find_conflict(const struct lock_file *file, enum lock_kind kind,
	uint64_t owner, const struct lock_range *range)
{
	const struct held *h;
	if (range->type == F_UNLCK)
		return NULL;
	LIST_FOREACH(h, &file->held, entry)
	if (conflicts(h, kind, owner, range))
		return h;
	return NULL;
}

/* Takes `cut` out of a held range; what is left behind it becomes a range of its own. */
static void carve(struct lock_table *t, struct lock_file *file, struct held *h,
	const struct lock_range *cut, struct held_list *spares)
{
	if (h->range.last > cut->last) {
		struct lock_range behind = h->range;
		behind.first = cut->last + 1;
		if (h->range.first >= cut->first) {
			h->range = behind;
			return;
		}
		insert(file, spares, h->kind, h->owner, &behind);
	}
	if (h->range.first < cut->first)
		h->range.last = cut->first - 1;
	else
		drop_held(t, h);
}

/* The owner's lock on the range becomes `range`. No other owner's is in the way. */
static void apply(struct lock_table *t, struct lock_file *file, enum lock_kind kind, uint64_t owner,
	const struct lock_range *range, struct held_list *spares)
{
	struct lock_range now = *range;
	struct held *h, *next;
	LIST_FOREACH_SAFE(h, &file->held, entry, next)
	{
		if (h->kind != kind || h->owner != owner)
			continue;
		if (h->range.type == now.type && touch(&h->range, &now)) {
			now.first = h->range.first < now.first ? h->range.first : now.first;
			now.last = h->range.last > now.last ? h->range.last : now.last;
			drop_held(t, h);
		} else if (overlap(&h->range, range)) {
			carve(t, file, h, range, spares);
		}
	}
	if (now.type != F_UNLCK)
		insert(file, spares, kind, owner, &now);
}

/* Puts those waiters of POSIX locks on the list whose locks keep this one waiting. */
static bool add_blockers(
	struct lock_table *t, const struct waiter *w, uint64_t owner, struct search_list *list)
{
	const struct held *h;
	LIST_FOREACH(h, &w->file->held, entry)
	{
		struct waiter *next;
		if (!conflicts(h, LOCK_POSIX, w->owner, &w->range))
			continue;
		if (h->owner == owner)
			return true;
		TAILQ_FOREACH(next, &t->waiters, in_table)
		{
			if (next->kind != LOCK_POSIX || next->owner != h->owner ||
				next->search == t->searches)
				continue;
			next->search = t->searches;
			STAILQ_INSERT_TAIL(list, next, in_search);
		}
	}
	return false;
}

/* Whether this one waits, over others perhaps, for its own owner. */
static bool in_cycle(struct lock_table *t, struct waiter *w)
{
	struct search_list list = STAILQ_HEAD_INITIALIZER(list);
	if (w->kind != LOCK_POSIX)
		return false;
	w->search = ++t->searches;
	STAILQ_INSERT_TAIL(&list, w, in_search);
	for (struct waiter *at = w; at; at = STAILQ_NEXT(at, in_search))
		if (add_blockers(t, at, w->owner, &list))
			return true;
	return false;
}

static void move_to_done(
	struct lock_table *t, struct waiter *w, int result, struct waiter_list *done)
{
	TAILQ_REMOVE(&w->file->waiters, w, in_file);
	TAILQ_REMOVE(&t->waiters, w, in_table);
	give_back(t, &w->spares);
	t->count--;
	w->result = result;
	TAILQ_INSERT_TAIL(done, w, in_file);
}

/* Grants one waiter what is free; true if there was one. */
static bool grant_one(struct lock_table *t, struct lock_file *file, struct waiter_list *done)
{
	struct waiter *w;
	TAILQ_FOREACH(w, &file->waiters, in_file)
	{
		if (find_conflict(file, w->kind, w->owner, &w->range))
			continue;
		apply(t, file, w->kind, w->owner, &w->range, &w->spares);
		move_to_done(t, w, 0, done);
		return true;
	}
	return false;
}

/* Ends the youngest wait of a cycle, which closed it. True if there was one. */
static bool break_one_cycle(struct lock_table *t, struct lock_file *file, struct waiter_list *done)
{
	struct waiter *w;
	TAILQ_FOREACH_REVERSE(w, &file->waiters, waiter_list, in_file)
	{
		if (!in_cycle(t, w))
			continue;
		move_to_done(t, w, -EDEADLK, done);
		return true;
	}
	return false;
}

/* To be called after every change of a file's locks; the file may be gone after it. */
static void settle(struct lock_table *t, struct lock_file *file, struct waiter_list *done)
{
	while (grant_one(t, file, done) || break_one_cycle(t, file, done))
		;
	drop_file_if_unused(t, file);
}

static void call_back(struct waiter_list *done)
{
	struct waiter *w, *next;
	TAILQ_FOREACH_SAFE(w, done, in_file, next)
	{
		TRACE(lock, "owner %#" PRIx64 ": a wait ends: %s", w->owner, strerror(-w->result));
		w->granted(w->context, w->result);
		free(w);
	}
}

static struct held *find_flock(struct lock_file *file, uint64_t owner)
{
	struct held *h;
	LIST_FOREACH(h, &file->held, entry)
	if (h->kind == LOCK_FLOCK && h->owner == owner)
		return h;
	return NULL;
}

static struct waiter *new_waiter(struct lock_table *t, struct lock_file *file, enum lock_kind kind,
	uint64_t owner, const struct lock_range *range, struct held_list *spares)
{
	struct waiter *w = t->count < LOCKS_MAX ? calloc(1, sizeof *w) : NULL;
	if (!w)
		return NULL;
	w->file = file;
	w->kind = kind;
	w->owner = owner;
	w->range = *range;
	LIST_INIT(&w->spares);
	LIST_SWAP(&w->spares, spares, held, entry);
	TAILQ_INSERT_TAIL(&file->waiters, w, in_file);
	TAILQ_INSERT_TAIL(&t->waiters, w, in_table);
	t->count++;
	return w;
}

static int set_posix(struct lock_table *t, struct lock_file *file, uint64_t owner,
	const struct lock_range *range, struct held_list *spares)
{
	if (find_conflict(file, LOCK_POSIX, owner, range))
		return -EAGAIN;
	apply(t, file, LOCK_POSIX, owner, range, spares);
	return 0;
}

static int set_flock(struct lock_table *t, struct lock_file *file, uint64_t owner,
	const struct lock_range *range, struct held_list *spares, struct waiter_list *done)
{
	struct held *h = find_flock(file, owner);
	if (h && h->range.type == range->type)
		return 0;
	if (h) {
		drop_held(t, h);
		/* Those that waited for the old lock come first. */
		while (grant_one(t, file, done))
			;
	}
	if (find_conflict(file, LOCK_FLOCK, owner, range))
		return -EAGAIN;
	apply(t, file, LOCK_FLOCK, owner, range, spares);
	return 0;
}

static int set_locked(struct lock_table *t, uint64_t ino, enum lock_kind kind, uint64_t owner,
	const struct lock_range *range, struct waiter **ret_waiter, struct waiter_list *done)
{
	struct held_list spares;
	ASSERT_LOCKED(&t->mutex);
	struct lock_file *file = range->type == F_UNLCK ? find_file(t, ino) : obtain_file(t, ino);
	if (!file)
		return range->type == F_UNLCK ? 0 : -ENOLCK;
	/* An unlock must succeed even in a full table. */
	int r = reserve(t, range->type == F_UNLCK ? UINT_MAX : LOCKS_MAX, &spares);
	if (r == 0)
		r = kind == LOCK_POSIX ? set_posix(t, file, owner, range, &spares)
				       : set_flock(t, file, owner, range, &spares, done);
	if (r == -EAGAIN && ret_waiter) {
		*ret_waiter = new_waiter(t, file, kind, owner, range, &spares);
		r = *ret_waiter ? -EINPROGRESS : -ENOLCK;
	}
	give_back(t, &spares);
	return r;
}

int lock_set(struct lock_table *t, uint64_t ino, enum lock_kind kind, uint64_t owner,
	const struct lock_range *range, bool wait, void (*granted)(void *context, int result),
	void *context)
{
	struct waiter_list done = TAILQ_HEAD_INITIALIZER(done);
	struct lock_range whole = *range;
	struct waiter *w = NULL;
	if (range->type != F_RDLCK && range->type != F_WRLCK && range->type != F_UNLCK)
		return -EINVAL;
	if (kind == LOCK_FLOCK) {
		whole.first = 0;
		whole.last = UINT64_MAX;
	} else if (range->first > range->last) {
		return -EINVAL;
	}
	pthread_mutex_lock(&t->mutex);
	int r = set_locked(t, ino, kind, owner, &whole, wait ? &w : NULL, &done);
	if (w) {
		w->granted = granted;
		w->context = context;
	}
	struct lock_file *file = find_file(t, ino);
	if (file)
		settle(t, file, &done);
	pthread_mutex_unlock(&t->mutex);
	TRACE(lock,
		"inode %#" PRIx64 ", owner %#" PRIx64 ": %s %s of %" PRIu64 " to %" PRIu64 ": %s",
		ino, owner, kind_name(kind), type_name(range->type), whole.first, whole.last,
		strerror(-r));
	call_back(&done);
	return r;
}

void lock_get(struct lock_table *t, uint64_t ino, uint64_t owner, const struct lock_range *range,
	struct lock_range *ret_conflict)
{
	SCOPED_LOCK(&t->mutex);
	const struct lock_file *file = find_file(t, ino);
	const struct held *h = file ? find_conflict(file, LOCK_POSIX, owner, range) : NULL;
	if (h) {
		*ret_conflict = h->range;
		return;
	}
	*ret_conflict = *range;
	ret_conflict->type = F_UNLCK;
}

void lock_cancel(struct lock_table *t, void *context, int result)
{
	struct waiter_list done = TAILQ_HEAD_INITIALIZER(done);
	struct waiter *w;
	pthread_mutex_lock(&t->mutex);
	TAILQ_FOREACH(w, &t->waiters, in_table)
	if (w->context == context)
		break;
	if (w) {
		struct lock_file *file = w->file;
		move_to_done(t, w, result, &done);
		drop_file_if_unused(t, file);
	}
	pthread_mutex_unlock(&t->mutex);
	call_back(&done);
}

void lock_release_owner(struct lock_table *t, uint64_t ino, enum lock_kind kind, uint64_t owner)
{
	struct waiter_list done = TAILQ_HEAD_INITIALIZER(done);
	struct held *h, *next;
	/* Every close(2) comes here, and most mounts have no locks. */
	if (atomic_load(&t->count) == 0)
		return;
	pthread_mutex_lock(&t->mutex);
	struct lock_file *file = find_file(t, ino);
	if (file) {
		LIST_FOREACH_SAFE(h, &file->held, entry, next)
		if (h->kind == kind && h->owner == owner)
			drop_held(t, h);
		settle(t, file, &done);
	}
	pthread_mutex_unlock(&t->mutex);
	call_back(&done);
}

void lock_table_free(struct lock_table *t)
{
	struct waiter_list done = TAILQ_HEAD_INITIALIZER(done);
	struct lock_file *file, *next;
	if (!t)
		return;
	while (!TAILQ_EMPTY(&t->waiters))
		move_to_done(t, TAILQ_FIRST(&t->waiters), -EINTR, &done);
	call_back(&done);
	RB_FOREACH_SAFE(file, file_tree, &t->files, next)
	{
		while (!LIST_EMPTY(&file->held))
			drop_held(t, LIST_FIRST(&file->held));
		RB_REMOVE(file_tree, &t->files, file);
		free(file);
	}
	pthread_mutex_destroy(&t->mutex);
	free(t);
}
