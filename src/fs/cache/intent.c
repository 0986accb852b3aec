/* SPDX-License-Identifier: MIT */
#include "intent.h"

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <pthread.h>

#include "cleanup.h"
#include "lock.h"

enum { INTENTS_MAX = 16384 };

struct noted {
	RB_ENTRY(noted) by_key;
	TAILQ_ENTRY(noted) by_age;
	uint64_t file;
	pid_t tid;
	enum intent intent;
};

RB_HEAD(noted_tree, noted);
TAILQ_HEAD(noted_queue, noted);

struct intent_table {
	pthread_mutex_t lock;
	struct noted_tree tree;
	struct noted_queue ages; /* oldest first */
	unsigned count;
};

static int noted_compare(const struct noted *a, const struct noted *b)
{
	if (a->tid != b->tid)
		return a->tid < b->tid ? -1 : 1;
	if (a->file != b->file)
		return a->file < b->file ? -1 : 1;
	return 0;
}

RB_GENERATE_INTERNAL(noted_tree, noted, by_key, noted_compare, __attribute__((unused)) static)

struct intent_table *intent_table_new(void)
{
	struct intent_table *table = calloc(1, sizeof(*table));
	if (!table)
		return NULL;
	pthread_mutex_init(&table->lock, NULL);
	RB_INIT(&table->tree);
	TAILQ_INIT(&table->ages);
	return table;
}

static struct noted *find_locked(struct intent_table *table, pid_t tid, uint64_t file)
{
	struct noted key = {.file = file, .tid = tid};
	ASSERT_LOCKED(&table->lock);
	return RB_FIND(noted_tree, &table->tree, &key);
}

static void drop_locked(struct intent_table *table, struct noted *noted)
{
	ASSERT_LOCKED(&table->lock);
	RB_REMOVE(noted_tree, &table->tree, noted);
	TAILQ_REMOVE(&table->ages, noted, by_age);
	table->count--;
	free(noted);
}

void intent_table_free(struct intent_table *table)
{
	if (!table)
		return;
	pthread_mutex_lock(&table->lock);
	while (!TAILQ_EMPTY(&table->ages))
		drop_locked(table, TAILQ_FIRST(&table->ages));
	pthread_mutex_unlock(&table->lock);
	pthread_mutex_destroy(&table->lock);
	free(table);
}

static struct noted *add_locked(struct intent_table *table, pid_t tid, uint64_t file)
{
	ASSERT_LOCKED(&table->lock);
	struct noted *noted = calloc(1, sizeof(*noted));
	if (!noted)
		return NULL;
	if (table->count >= INTENTS_MAX)
		drop_locked(table, TAILQ_FIRST(&table->ages));
	noted->tid = tid;
	noted->file = file;
	RB_INSERT(noted_tree, &table->tree, noted);
	TAILQ_INSERT_TAIL(&table->ages, noted, by_age);
	table->count++;
	return noted;
}

enum intent intent_note(struct intent_table *table, pid_t tid, uint64_t file, enum intent intent)
{
	SCOPED_LOCK(&table->lock);
	struct noted *noted = find_locked(table, tid, file);
	enum intent before = noted ? noted->intent : INTENT_UNKNOWN;
	if (intent == INTENT_UNKNOWN) {
		if (noted)
			drop_locked(table, noted);
		return before;
	}
	if (!noted)
		noted = add_locked(table, tid, file);
	if (!noted)
		return before;
	noted->intent = intent;
	TAILQ_REMOVE(&table->ages, noted, by_age);
	TAILQ_INSERT_TAIL(&table->ages, noted, by_age);
	return before;
}

enum intent intent_get(struct intent_table *table, pid_t tid, uint64_t file)
{
	SCOPED_LOCK(&table->lock);
	const struct noted *noted = find_locked(table, tid, file);
	return noted ? noted->intent : INTENT_UNKNOWN;
}
