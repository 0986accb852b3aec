/* SPDX-License-Identifier: MIT */
/* Background work: no caller waits for it, it stops on close, and it reads no more than it must. */
#include "gatetest.h"

#include "merge.h"

/* Makes segments of a few chunks, all sealed but the last, none merged. */
static void make_segments(void)
{
	open_all();
	append_lines_one_by_one(0, LINES, PAD);
	close_all();
	options.segment_chunks = 2;
	open_all();
}

START_TEST(a_merge_keeps_nobody_waiting)
{
	gate_init(DISK_READ);
	make_segments();
	gate_close(DISK_READ);
	append_lines_one_by_one(LINES, 1, PAD); /* seals the segment */
	ck_assert(wait_for(&gate.arrived));
	use_stream(LINES + 1);
	gate_open();
	tidier_drain(store->tidier);
	ck_assert_uint_ge(metric_get(&store->env.metrics.segments_merged), 1);
	check_lines(LINES + 4, PAD);
}
END_TEST

/* --- closing --- */

START_TEST(closing_ends_a_merge_under_way)
{
	gate_init(DISK_READ);
	make_segments();
	gate_close(DISK_READ);
	append_lines_one_by_one(LINES, 1, PAD);
	ck_assert_uint_lt(calls_while_closing(), LINES / 2);
	ck_assert_uint_eq(count_files(".tmp", NULL), 0);
	options.disk_hook = NULL;
	open_all();
	check_lines(LINES + 1, PAD);
}
END_TEST

/* --- work that needs only the path --- */

static void *want_exclusively(void *context)
{
	struct sfs_owner owner = {0700, 0, 0};
	(void)context;
	ck_assert_int_eq(sfs_stream_set_owner(stream, &owner), 0);
	return NULL;
}

/* Waits until a thread waits for the lock, with all later readers behind it. */
static void wait_for_writer(void)
{
	while (pthread_rwlock_tryrdlock(&stream->home.lock) == 0) {
		pthread_rwlock_unlock(&stream->home.lock);
		usleep(1000);
	}
}

static void *sync_and_read(void *context)
{
	sync_shard_now();
	ck_assert_int_eq(read_one(0), 1);
	sem_post(context);
	return NULL;
}

START_TEST(syncs_and_reads_do_not_wait_behind_an_exclusive_request)
{
	pthread_t user;
	sem_t done;
	sem_init(&done, 0, 0);
	make_segments();
	append_lines_one_by_one(LINES, 1, PAD); /* a new segment: the directory needs a sync */
	tidier_drain(store->tidier);
	lru_drop(store->env.segments, shard->tag, 0);
	pthread_rwlock_wrlock(&stream->home.lock); /* like a change of settings */
	ck_assert_int_eq(pthread_create(&user, NULL, sync_and_read, &done), 0);
	bool in_time = wait_for(&done);
	pthread_rwlock_unlock(&stream->home.lock);
	pthread_join(user, NULL);
	ck_assert(in_time);
}
END_TEST

static void *append_some(void *context)
{
	append_lines_one_by_one(LINES, 3, PAD);
	sem_post(context);
	return NULL;
}

START_TEST(appends_go_on_while_a_change_waits_for_a_long_one)
{
	pthread_t writer, user;
	sem_t done;
	sem_init(&done, 0, 0);
	make_segments();
	pthread_rwlock_rdlock(&stream->home.lock); /* like the append of a long record */
	ck_assert_int_eq(pthread_create(&writer, NULL, want_exclusively, NULL), 0);
	wait_for_writer();
	ck_assert_int_eq(pthread_create(&user, NULL, append_some, &done), 0);
	bool in_time = wait_for(&done);
	pthread_rwlock_unlock(&stream->home.lock);
	pthread_join(user, NULL);
	pthread_join(writer, NULL);
	ck_assert(in_time);
	check_lines(LINES + 3, PAD);
}
END_TEST

/* --- the cache of sealed segments --- */

static struct fault fault;

static void *read_first(void *context)
{
	*(int *)context = read_one(0);
	return NULL;
}

static uint64_t stored_bytes(void)
{
	struct sfs_shard_info info;
	sfs_shard_info(shard, &info);
	return info.stored_bytes;
}

/* A reader that opened the old file does not hinder the merge. */
START_TEST(a_segment_is_merged_once)
{
	uint64_t bases[8];
	pthread_t reader;
	int result = 0;
	fault_init(&fault, 0, -EIO);
	options.disk_hook = &fault.hook;
	make_segments();
	fault.only = DISK_SYNC;
	fault.lasting = true;
	fault.fail_at = 1; /* no merge succeeds */
	append_lines_one_by_one(LINES, 1, PAD);
	tidier_drain(store->tidier);
	close_store();
	gate_init(DISK_READ);
	open_all();
	gate_close(DISK_READ); /* the reader has opened the segment, and reads */
	ck_assert_int_eq(pthread_create(&reader, NULL, read_first, &result), 0);
	ck_assert(wait_for(&gate.arrived));
	ck_assert_int_eq(merge_segment(shard, 0), 0);
	ck_assert_uint_eq(metric_get(&store->env.metrics.segments_merged), 1);
	gate_open();
	pthread_join(reader, NULL);
	ck_assert_int_eq(result, 1);
	tidier_drain(store->tidier);
	ck_assert_int_eq(merge_segment(shard, 0), 0);
	ck_assert_uint_eq(metric_get(&store->env.metrics.segments_merged), 1);
	uint64_t bytes = 0;
	for (size_t i = 0, n = list_bases(bases, 8); i < n; i++)
		bytes += file_size(segment_file(bases[i]));
	ck_assert_uint_eq(stored_bytes(), bytes);
	check_lines(LINES + 1, PAD);
}
END_TEST

/* --- more shards than descriptors --- */

enum { SHARDS = 12, ROUNDS = 60, FILES_MAX = 3 };

static void *write_and_read_all(void *context)
{
	unsigned turn = *(unsigned *)context;
	for (unsigned i = 0; i < SHARDS * ROUNDS; i++) {
		struct sfs_shard *one;
		struct sfs_writer *writer;
		size_t taken, n = 0;
		char byte;
		ck_assert_int_eq(sfs_stream_shard(stream, (i * 5 + turn) % SHARDS, &one), 0);
		ck_assert_int_eq(sfs_writer_open_shard(one, &writer), 0);
		ck_assert_int_eq(sfs_writer_write(writer, "line\n", 5, &taken), 0);
		ck_assert_int_eq(sfs_writer_close(writer), 0);
		ck_assert_int_eq(sfs_shard_read(one, i % 5, &byte, 1, &n), 0);
		ck_assert_uint_eq(n, 1);
		ck_assert_int_eq(byte, "line\n"[i % 5]);
		sfs_shard_unref(one);
	}
	return NULL;
}

static unsigned open_segment_files(void)
{
	unsigned count = 0;
	char path[300], target[300];
	DIR *listing = opendir("/proc/self/fd");
	for (struct dirent *e; (e = readdir(listing));) {
		snprintf(path, sizeof path, "/proc/self/fd/%s", e->d_name);
		ssize_t n = readlink(path, target, sizeof target - 1);
		target[n < 0 ? 0 : n] = 0;
		count += strstr(target, dir.path) && strstr(target, SEGMENT_SUFFIX);
	}
	closedir(listing);
	return count;
}

START_TEST(few_descriptors_do_for_many_shards)
{
	static const unsigned turns[] = {0, 1, 7};
	pthread_t threads[3];
	open_store();
	configure("{\"shards\":12}");
	store->env.active_files.max = FILES_MAX;
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, write_and_read_all,
					 (void *)(uintptr_t)&turns[i]),
			0);
	for (unsigned i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	ck_assert_uint_le(open_segment_files(), FILES_MAX + 3);
	for (unsigned i = 0; i < SHARDS; i++) {
		ck_assert_int_eq(sfs_stream_shard(stream, i, &shard), 0);
		ck_assert_uint_eq(sfs_shard_size(shard), 3 * ROUNDS * 5);
		ck_assert_int_eq(read_one(3 * ROUNDS * 5 - 1), 1);
		sfs_shard_unref(shard);
	}
	shard = NULL;
	ck_assert_uint_eq(reports.errors, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tidying");
	TCase *tcase = add_case(suite, "tidying");
	tcase_add_test(tcase, a_merge_keeps_nobody_waiting);
	tcase_add_test(tcase, closing_ends_a_merge_under_way);
	tcase_add_test(tcase, syncs_and_reads_do_not_wait_behind_an_exclusive_request);
	tcase_add_test(tcase, appends_go_on_while_a_change_waits_for_a_long_one);
	tcase_add_test(tcase, a_segment_is_merged_once);
	tcase_add_test(tcase, few_descriptors_do_for_many_shards);
	return run_suite(suite);
}
