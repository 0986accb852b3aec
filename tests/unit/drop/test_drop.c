/* SPDX-License-Identifier: MIT */
/* Uploads, and which call commits them, in the order of the requests. */
#include "storetest.h"

#include "committer.h"
#include "drop.h"
#include "opener.h"
#include "upload.h"

#include <sys/syscall.h>

enum { LARGE_BYTES = 8 << 20, MANY = 12 };

static struct drop drop;
static const struct drop_caller me = {.thread = 1000, .uid = 7};
static const struct drop_caller other_user = {.thread = 2000, .uid = 8};

static void start(void)
{
	open_all();
	drop_init(&drop);
}

static void stop(void)
{
	drop_fini(&drop);
	close_all();
}

static struct upload *create(const char *name, const struct drop_caller *caller)
{
	struct upload *upload;
	struct opener creator = {caller->thread, caller->thread};
	struct upload_owner owner = {.uid = caller->uid, .mode = 0644};
	ck_assert_int_eq(drop_create(&drop, stream, name, &creator, &owner, &upload), 0);
	return upload;
}

/* Returns a borrowed upload: these tests have one thread. */
static struct upload *find(const char *name, const struct drop_caller *caller)
{
	struct upload *upload = drop_find(&drop, sfs_stream_id(stream), name, caller);
	if (upload)
		upload_unref(upload);
	return upload;
}

static int unlink_as(const char *name, const struct drop_caller *caller)
{
	return drop_unlink(&drop, sfs_stream_id(stream), name, caller);
}

static struct {
	pthread_mutex_t lock;
	pthread_t threads[MANY];
	unsigned count;
} commits = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void note_commit(void *context, struct upload *upload, int result)
{
	(void)upload;
	SCOPED_LOCK(&commits.lock);
	commits.threads[commits.count++] = pthread_self();
	*(int *)context += result == 0 ? 1 : -1000;
}

static unsigned distinct_threads(void)
{
	unsigned count = 0;
	for (unsigned i = 0; i < commits.count; i++) {
		bool seen = false;
		for (unsigned j = 0; j < i; j++)
			seen = seen || pthread_equal(commits.threads[i], commits.threads[j]);
		count += !seen;
	}
	return count;
}

static void close_large(struct committer *committer, const char *name, int *done)
{
	struct upload *upload = create(name, &me);
	ck_assert_int_eq(upload_truncate(upload, LARGE_BYTES), 0);
	ck_assert(upload_close(upload, false));
	committer_submit(committer, upload, false, note_commit, done);
}

START_TEST(large_ones_are_left_to_a_few_threads)
{
	int done = 0;
	start();
	struct committer *committer = committer_new();
	for (int i = 0; i < MANY; i++)
		close_large(committer, "large", &done);
	committer_free(committer);
	ck_assert_int_eq(done, MANY);
	ck_assert_uint_le(distinct_threads(), COMMITTER_THREADS_MAX);
	for (int i = 0; i < MANY; i++)
		ck_assert(!pthread_equal(commits.threads[i], pthread_self()));
	stop();
}
END_TEST

START_TEST(a_small_one_is_committed_at_once)
{
	int done = 0;
	start();
	struct committer *committer = committer_new();
	struct upload *upload = create("small", &me);
	ck_assert(upload_close(upload, false));
	committer_submit(committer, upload, false, note_commit, &done);
	ck_assert_int_eq(done, 1);
	ck_assert(pthread_equal(commits.threads[0], pthread_self()));
	committer_free(committer);
	stop();
}
END_TEST

START_TEST(what_is_being_committed_is_left_alone)
{
	struct upload *commit;
	start();
	struct upload *upload = create("x", &me);
	ck_assert_int_eq(upload_write(upload, 0, "x\ny", 3), 0);
	ck_assert(upload_begin_commit(upload));
	ck_assert(!upload_begin_commit(upload));
	ck_assert(!upload_wants_commit(upload));
	ck_assert(!upload_is_free(upload));
	ck_assert_ptr_eq(find("x", &me), upload);
	ck_assert_uint_eq(upload_size(upload), 3);
	ck_assert_int_eq(upload_write(upload, 0, "z", 1), -EPERM);
	ck_assert_int_eq(upload_truncate(upload, 0), -EPERM);
	ck_assert_int_eq(upload_open(upload), -EBUSY);
	ck_assert_int_eq(upload_sync(upload), -EBUSY);
	ck_assert_int_eq(unlink_as("x", &me), -EBUSY);
	ck_assert_int_eq(drop_rename(&drop, sfs_stream_id(stream), "x", "y", &me, &commit), -EBUSY);
	ck_assert_int_eq(upload_commit(upload, false), 0);
	upload_unref(upload);
	ck_assert_ptr_null(find("x", &me));
	ck_assert(!upload_close(upload, false));
	stop();
}
END_TEST

START_TEST(a_held_one_is_committed_by_its_rename)
{
	struct upload *commit;
	uint64_t id;
	start();
	id = sfs_stream_id(stream);
	ck_assert(!upload_close(create(".x.AbC123", &me), false));
	ck_assert_int_eq(drop_rename(&drop, id, ".x.AbC123", ".y.AbC123", &me, &commit), 0);
	ck_assert_ptr_null(commit);
	ck_assert_int_eq(drop_rename(&drop, id, ".y.AbC123", "y", &me, &commit), 0);
	ck_assert_ptr_nonnull(commit);
	ck_assert_int_eq(upload_open(commit), -EBUSY);
	ck_assert_int_eq(upload_commit(commit, false), 0);
	upload_unref(commit);
	ck_assert_ptr_null(find("y", &me));
	ck_assert_uint_eq(sfs_shard_size(shard), 1);
	stop();
}
END_TEST

START_TEST(names_that_are_held)
{
	static const char *const held[] = {
		".a.AbC123", ".photo.jpg.000000", ".a.swp", ".a.swpx", ".a.b.swo", "..x.zzzzzz"};
	static const char *const others[] = {"a.AbC123", ".AbC123", ".a.AbC12", ".a.AbC1234",
		".a.AbC-12", "a.swp", ".swp", ".a.sw", ".a.swpy", ".a.swapp", "", ".", ".."};
	start();
	for (size_t i = 0; i < sizeof held / sizeof *held; i++)
		ck_assert_msg(!upload_close(create(held[i], &me), false), "%s", held[i]);
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		struct upload *upload = create(others[i], &me);
		ck_assert_msg(upload_close(upload, false), "%s", others[i]);
		ck_assert_int_eq(upload_commit(upload, false), 0);
		upload_unref(upload);
	}
	stop();
}
END_TEST

static void commit_settled(const char *name)
{
	struct upload *upload = create(name, &me);
	ck_assert(upload_begin_commit(upload));
	ck_assert_int_eq(upload_commit(upload, true), 0);
	upload_unref(upload);
	upload_close(upload, false);
}

START_TEST(its_creator_finds_a_committed_one_for_a_while)
{
	start();
	commit_settled("x");
	ck_assert_ptr_nonnull(find("x", &me));
	ck_assert_ptr_null(find("y", &me));
	ck_assert_ptr_null(find("x", &other_user));
	ck_assert_int_eq(unlink_as("x", &me), 0);
	ck_assert_ptr_null(find("x", &me));
	ck_assert_int_eq(unlink_as("x", &me), -ENOENT);
	commit_settled("x");
	commit_settled("y");
	ck_assert_ptr_null(find("x", &me));
	ck_assert_ptr_nonnull(find("y", &me));
	upload_close(create("z", &me), true);
	ck_assert_ptr_null(find("y", &me));
	commit_settled("x");
	ck_assert_int_eq(usleep(1100000), 0);
	ck_assert_ptr_null(find("x", &me));
	stop();
}
END_TEST

START_TEST(another_user_is_not_shown_it)
{
	static const struct drop_caller root = {.thread = 3000, .uid = 0};
	static const struct drop_caller another_thread = {.thread = 4000, .uid = 7};
	start();
	struct upload *mine = create("x", &me);
	ck_assert_ptr_null(find("x", &other_user));
	ck_assert_int_eq(unlink_as("x", &other_user), -ENOENT);
	ck_assert_ptr_eq(find("x", &root), mine);
	struct upload *others = create("x", &other_user);
	ck_assert_ptr_eq(find("x", &me), mine);
	ck_assert_ptr_eq(find("x", &another_thread), mine);
	ck_assert_ptr_eq(find("x", &other_user), others);
	ck_assert_ptr_eq(find("x", &root), others);
	upload_close(mine, true);
	upload_close(others, true);
	stop();
}
END_TEST

START_TEST(what_another_process_writes_is_not_removed)
{
	const struct drop_caller self = {.thread = (pid_t)syscall(SYS_gettid), .uid = 7};
	const struct drop_caller parent = {.thread = getppid(), .uid = 7};
	start();
	struct upload *upload = create("x", &parent);
	ck_assert_int_eq(unlink_as("x", &self), 0); /* a parent's upload may be removed */
	upload_close(upload, false);
	upload = create("x", &self);
	ck_assert_int_eq(unlink_as("x", &parent), -EBUSY);
	ck_assert_ptr_eq(find("x", &self), upload);
	ck_assert_int_eq(unlink_as("x", &self), 0);
	ck_assert(!upload_close(upload, false));
	ck_assert_uint_eq(sfs_shard_size(shard), 0);
	stop();
}
END_TEST

static int collect(void *context, const struct upload *upload)
{
	char *names = context;
	strcat(strcat(names, upload->name), " ");
	return 0;
}

START_TEST(a_stream_lists_its_own_by_name)
{
	static const struct sfs_owner owner = {0755, 0, 0};
	static const char *const names[] = {"b", "a", "c", "a"};
	struct upload *uploads[4];
	struct sfs_stream *first = stream, *second;
	char listed[64] = "";
	start();
	first = stream;
	ck_assert_int_eq(sfs_stream_create(store, "second", &owner, &second), 0);
	for (int i = 0; i < 4; i++) {
		stream = i == 2 ? second : first;
		uploads[i] = create(names[i], &me);
	}
	stream = first;
	ck_assert_int_eq(drop_each(&drop, sfs_stream_id(first), collect, listed), 0);
	ck_assert_str_eq(listed, "a a b ");
	listed[0] = '\0';
	ck_assert_int_eq(drop_each(&drop, sfs_stream_id(second), collect, listed), 0);
	ck_assert_str_eq(listed, "c ");
	for (int i = 0; i < 4; i++)
		upload_close(uploads[i], true);
	sfs_stream_unref(second);
	stop();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("drop");
	TCase *committing = add_case(suite, "committing");
	tcase_add_test(committing, large_ones_are_left_to_a_few_threads);
	tcase_add_test(committing, a_small_one_is_committed_at_once);
	tcase_add_test(committing, what_is_being_committed_is_left_alone);
	tcase_add_test(committing, a_held_one_is_committed_by_its_rename);
	TCase *names = add_case(suite, "names");
	tcase_add_test(names, names_that_are_held);
	tcase_add_test(names, its_creator_finds_a_committed_one_for_a_while);
	tcase_add_test(names, another_user_is_not_shown_it);
	tcase_add_test(names, what_another_process_writes_is_not_removed);
	tcase_add_test(names, a_stream_lists_its_own_by_name);
	return run_suite(suite);
}
