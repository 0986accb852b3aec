/* SPDX-License-Identifier: MIT */
/* Waiters for more text in a view. */
#include "viewtest.h"

struct test_waiter {
	struct sfs_waiter waiter;
	atomic_uint woken;
};

static void note_wake(struct sfs_waiter *waiter)
{
	atomic_fetch_add(&((struct test_waiter *)waiter)->woken, 1);
}

static bool wait_on(struct sfs_view *view, struct test_waiter *w)
{
	w->waiter = (struct sfs_waiter){.wake = note_wake};
	atomic_store(&w->woken, 0);
	return sfs_view_wait(view, &w->waiter);
}

static unsigned woken(struct test_waiter *w)
{
	return atomic_load(&w->woken);
}

START_TEST(a_waiter_is_called_once_before_the_append_returns)
{
	open_all();
	for (int filter = SFS_OF_SHARD; filter <= SFS_OF_ALL; filter++)
		for (int json = 0; json < 2; json++) {
			struct test_waiter w;
			struct sfs_view *view =
				open_view((struct sfs_view_spec){.start = SFS_FROM_NOW,
					.filter = (enum sfs_view_filter)filter,
					.json = json,
					.key = "k",
					.key_bytes = 1});
			check_drains(view, 10, 0, "");
			ck_assert(!wait_on(view, &w));
			ck_assert_uint_eq(woken(&w), 0);
			append_of_key("k", "x\n");
			ck_assert_uint_eq(woken(&w), 1);
			append_of_key("k", "x\n");
			ck_assert_uint_eq(woken(&w), 1);
			ck_assert(!sfs_view_cancel(&w.waiter));
			ck_assert(wait_on(view, &w)); /* more is there already */
			append_of_key("k", "x\n");
			ck_assert_uint_eq(woken(&w), 0);
			ck_assert(!sfs_view_cancel(&w.waiter));
			sfs_view_close(view);
		}
	close_all();
}
END_TEST

START_TEST(a_cancelled_waiter_is_not_called)
{
	open_all();
	struct test_waiter w, other;
	struct sfs_view *view =
		open_view((struct sfs_view_spec){.start = SFS_FROM_NOW, .filter = SFS_OF_ALL});
	ck_assert(!wait_on(view, &w));
	ck_assert(!wait_on(view, &other));
	ck_assert(sfs_view_cancel(&w.waiter));
	ck_assert(!sfs_view_cancel(&w.waiter));
	append_bytes("x\n", 2);
	ck_assert_uint_eq(woken(&w), 0);
	ck_assert_uint_eq(woken(&other), 1);
	sfs_view_close(view);
	close_all();
}
END_TEST

START_TEST(new_shards_and_removal_wake_all_who_wait)
{
	open_all();
	struct test_waiter w[3];
	struct sfs_view *views[3];
	append_of_key("k", "x\n");
	for (int pass = 0; pass < 2; pass++) {
		for (int filter = SFS_OF_SHARD; filter <= SFS_OF_ALL; filter++) {
			if (pass == 1)
				open_shard();
			views[filter] = open_view((struct sfs_view_spec){.start = SFS_FROM_NOW,
				.filter = (enum sfs_view_filter)filter,
				.key = "k",
				.key_bytes = 1});
			ck_assert(!wait_on(views[filter], &w[filter]));
		}
		configure("{\"shards\":2}");
		for (int filter = SFS_OF_SHARD; filter <= SFS_OF_ALL; filter++)
			ck_assert_uint_eq(woken(&w[filter]), 1);
		check_drains(views[SFS_OF_SHARD], 10, -EPIPE, "");
		append_of_key("k", "y\n");
		check_drains(views[SFS_OF_KEY], 10, 0, "y\n");
		check_drains(views[SFS_OF_ALL], 10, 0, "y\n");
		for (int filter = SFS_OF_SHARD; filter <= SFS_OF_ALL; filter++)
			sfs_view_close(views[filter]);
		break;
	}
	sfs_shard_unref(shard);
	sfs_stream_unref(stream);
	shard = NULL;
	static const struct sfs_owner owner = {0755, 0, 0};
	ck_assert_int_eq(sfs_stream_create(store, "empty", &owner, &stream), 0);
	open_shard();
	for (int filter = SFS_OF_SHARD; filter <= SFS_OF_ALL; filter++) {
		views[filter] = open_view((struct sfs_view_spec){
			.filter = (enum sfs_view_filter)filter, .key = "k", .key_bytes = 1});
		check_drains(views[filter], 10, 0, "");
		ck_assert(!wait_on(views[filter], &w[filter]));
	}
	ck_assert_int_eq(sfs_stream_remove(store, "empty"), 0);
	for (int filter = SFS_OF_SHARD; filter <= SFS_OF_ALL; filter++) {
		ck_assert_uint_eq(woken(&w[filter]), 1);
		check_drains(views[filter], 10, -ENOENT, "");
		sfs_view_close(views[filter]);
	}
	close_all();
}
END_TEST

/* --- many at once --- */

enum { WRITERS = 8, FOLLOWERS = 4, LINES = 300 };

static void *write_lines(void *context)
{
	unsigned id = (unsigned)(uintptr_t)context;
	char key[8], line[64];
	snprintf(key, sizeof key, "w%u", id);
	struct sfs_writer *writer;
	ck_assert_int_eq(sfs_writer_open_key(stream, key, strlen(key), &writer), 0);
	for (unsigned i = 0; i < LINES; i++) {
		size_t taken;
		int n = snprintf(line, sizeof line, "%u %u\n", id, i);
		ck_assert_int_eq(sfs_writer_write(writer, line, (size_t)n, &taken), 0);
	}
	ck_assert_int_eq(sfs_writer_close(writer), 0);
	return NULL;
}

/* A reader that sleeps until it is woken: a lost wake-up hangs the test. */
struct follower {
	struct sfs_waiter waiter;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool woken;
	struct sfs_view_spec spec;
	size_t lines; /* that the view must return */
	struct sfs_view *view;
	struct buf got;
};

static void wake_follower(struct sfs_waiter *waiter)
{
	struct follower *f = (struct follower *)waiter;
	SCOPED_LOCK(&f->lock);
	f->woken = true;
	pthread_cond_signal(&f->changed);
}

static void *follow(void *context)
{
	struct follower *f = context;
	for (;;) {
		ck_assert_int_eq(drain(f->view, 4096, false, &f->got), 0);
		if (count_lines(&f->got) >= f->lines)
			return NULL;
		f->woken = false;
		f->waiter.wake = wake_follower;
		if (sfs_view_wait(f->view, &f->waiter))
			continue;
		SCOPED_LOCK(&f->lock);
		while (!f->woken)
			pthread_cond_wait(&f->changed, &f->lock);
	}
}

/* Checks that all lines of each writer are there, in order. */
static void check_followed(struct follower *f)
{
	unsigned next[WRITERS] = {0};
	ck_assert_uint_eq(count_lines(&f->got), f->lines);
	ck_assert_int_eq(buf_append(&f->got, "", 1), 0);
	for (char *line = (char *)f->got.data; *line; line = strchr(line, '\n') + 1) {
		unsigned id, i;
		char *data = f->spec.json ? strstr(line, "\"data\":\"") + 8 : line;
		ck_assert_int_eq(sscanf(data, "%u %u", &id, &i), 2);
		ck_assert_uint_lt(id, WRITERS);
		ck_assert_uint_eq(i, next[id]++);
	}
}

static void check_exact(struct sfs_view *view)
{
	struct buf got = {0};
	uint64_t before = sfs_view_size(view);
	int r = drain(view, 100000, false, &got);
	ck_assert(r == 0 || r == -EPIPE);
	uint64_t after = sfs_view_size(view);
	ck_assert_uint_le(before, got.size);
	ck_assert_uint_le(got.size, after);
	ck_assert(!got.size || got.data[got.size - 1] == '\n');
	buf_fini(&got);
}

/* Checks at any moment that sizes and sequential reads agree. */
static void *measure(void *context)
{
	atomic_bool *stop = context;
	for (uint32_t i = 0; !atomic_load(stop); i++) {
		struct sfs_view_spec spec = {.filter = SFS_OF_SHARD, .json = i % 2};
		if (sfs_stream_shard(stream, i / 2 % 8, &spec.shard) < 0)
			continue;
		struct sfs_view *view = open_view(spec);
		check_exact(view);
		sfs_view_close(view);
		sfs_shard_unref(spec.shard);
	}
	return NULL;
}

static struct follower *follower_new(struct sfs_view_spec spec, size_t lines)
{
	struct follower *f = calloc(1, sizeof *f);
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->changed, NULL);
	spec.start = SFS_FROM_NOW;
	f->spec = spec;
	f->lines = lines;
	f->view = open_view(spec);
	return f;
}

START_TEST(followers_lose_nothing_under_eight_writers)
{
	options.segment_bytes = 2000;
	open_all();
	configure("{\"shards\":3}");
	struct sfs_view_spec all = {.filter = SFS_OF_ALL},
			     key = {.filter = SFS_OF_KEY, .key = "w3", .key_bytes = 2};
	struct follower *followers[FOLLOWERS] = {
		follower_new(all, WRITERS * LINES),
		follower_new(key, LINES),
	};
	all.json = key.json = true;
	followers[2] = follower_new(all, WRITERS * LINES);
	followers[3] = follower_new(key, LINES);
	pthread_t writers[WRITERS], readers[FOLLOWERS], meter;
	atomic_bool stop = false;
	for (size_t i = 0; i < FOLLOWERS; i++)
		ck_assert_int_eq(pthread_create(&readers[i], NULL, follow, followers[i]), 0);
	ck_assert_int_eq(pthread_create(&meter, NULL, measure, &stop), 0);
	for (size_t i = 0; i < WRITERS; i++)
		ck_assert_int_eq(pthread_create(&writers[i], NULL, write_lines, (void *)i), 0);
	configure("{\"shards\":5}");
	for (size_t i = 0; i < WRITERS; i++)
		pthread_join(writers[i], NULL);
	for (size_t i = 0; i < FOLLOWERS; i++) {
		pthread_join(readers[i], NULL);
		check_followed(followers[i]);
		sfs_view_close(followers[i]->view);
		buf_fini(&followers[i]->got);
		pthread_mutex_destroy(&followers[i]->lock);
		pthread_cond_destroy(&followers[i]->changed);
		free(followers[i]);
	}
	atomic_store(&stop, true);
	pthread_join(meter, NULL);
	close_all();
}
END_TEST

START_TEST(a_thousand_can_wait)
{
	enum { COUNT = 1000 };
	open_all();
	static struct test_waiter w[COUNT];
	struct sfs_view *view =
		open_view((struct sfs_view_spec){.start = SFS_FROM_NOW, .filter = SFS_OF_ALL});
	for (int i = 0; i < COUNT; i++)
		ck_assert(!wait_on(view, &w[i]));
	for (int i = 0; i < COUNT; i += 2)
		ck_assert(sfs_view_cancel(&w[i].waiter));
	append_bytes("x\n", 2);
	for (unsigned i = 0; i < COUNT; i++)
		ck_assert_uint_eq(woken(&w[i]), i % 2);
	for (unsigned i = 1; i < COUNT; i += 2) /* the longest wait ends first */
		ck_assert_uint_eq(w[i].waiter.turn, i / 2);
	sfs_view_close(view);
	close_all();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("waiters");
	TCase *tcase = add_case(suite, "waiting");
	tcase_add_test(tcase, a_waiter_is_called_once_before_the_append_returns);
	tcase_add_test(tcase, a_cancelled_waiter_is_not_called);
	tcase_add_test(tcase, new_shards_and_removal_wake_all_who_wait);
	tcase_add_test(tcase, followers_lose_nothing_under_eight_writers);
	tcase_add_test(tcase, a_thousand_can_wait);
	return run_suite(suite);
}
