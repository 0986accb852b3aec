/* SPDX-License-Identifier: MIT */
/* Work in the background: nobody waits for it, it ends when told to, and it reads what it must. */
#include "storetest.h"

#include <semaphore.h>
#include <time.h>

enum { LINES = 40, PAD = 40, WAIT_S = 60 };

/*
 * Holds up calls of one kind in all threads but the test's own while it is closed. Counts the bytes
 * that these read.
 */
static struct gate {
	struct disk_hook hook; /* first */
	pthread_t own;
	atomic_bool closed;
	atomic_int op;
	sem_t arrived, opened;
	atomic_bool gave_up; /* whoever was held up went on by itself: it was waited for */
	atomic_uint calls;
	atomic_size_t read_bytes;
} gate;

static bool wait_for(sem_t *semaphore)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += WAIT_S;
	int r;
	while ((r = sem_timedwait(semaphore, &until)) < 0 && errno == EINTR)
		;
	return r == 0;
}

static int gate_before(struct disk_hook *hook, const struct disk_call *call, size_t *limit)
{
	(void)hook;
	(void)limit;
	if (pthread_equal(pthread_self(), gate.own))
		return 0;
	if (call->op == DISK_READ)
		atomic_fetch_add(&gate.read_bytes, call->bytes);
	if ((int)call->op != atomic_load(&gate.op))
		return 0;
	atomic_fetch_add(&gate.calls, 1);
	if (!atomic_load(&gate.closed))
		return 0;
	sem_post(&gate.arrived);
	if (!wait_for(&gate.opened))
		atomic_store(&gate.gave_up, true);
	return 0;
}

static void gate_init(enum disk_op op)
{
	gate = (struct gate){.hook = {.before = gate_before}, .own = pthread_self(), .op = (int)op};
	sem_init(&gate.arrived, 0, 0);
	sem_init(&gate.opened, 0, 0);
	options.disk_hook = &gate.hook;
}

static void gate_close(enum disk_op op)
{
	atomic_store(&gate.op, (int)op);
	atomic_store(&gate.closed, true);
}

static void gate_open(void)
{
	atomic_store(&gate.closed, false);
	sem_post(&gate.opened);
}

/* What a stream goes on doing, whatever happens in the background. */
static void use_stream(unsigned first)
{
	struct sfs_owner owner = {0750, 0, 0};
	ck_assert_int_eq(sfs_stream_set_owner(stream, &owner), 0); /* wants it for itself */
	append_lines_one_by_one(first, 3, PAD);
	ck_assert_int_eq(read_one(0), 1);
	ck_assert(!atomic_load(&gate.gave_up));
}

/* Segments of a few chunks, sealed but the last, that nobody merged. */
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
	ck_assert_uint_ge(metric_get(&store->metrics.segments_merged), 1);
	check_lines(LINES + 4, PAD);
}
END_TEST

/* --- blobs --- */

static int make_old(const char *path, const struct stat *st, int flag, struct FTW *f)
{
	const struct timespec past[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
	(void)st;
	(void)f;
	if (flag == FTW_F)
		ck_assert_int_eq(utimensat(AT_FDCWD, path, past, AT_SYMLINK_NOFOLLOW), 0);
	return 0;
}

static void put_orphans(unsigned first, unsigned count)
{
	struct payload payload;
	payload_init(&payload, NULL);
	ck_assert_int_eq(stream_open_blobs(stream, true), 0);
	for (unsigned i = first; i < first + count; i++) {
		uint8_t digest[32];
		payload_reset(&payload);
		ck_assert_int_eq(payload_append(&payload, &store->disk, -1, &i, sizeof i), 0);
		ck_assert_int_eq(blobs_put(&stream->blobs, &payload, COMPRESSION_NONE, digest), 0);
		blobs_put_done(&stream->blobs);
	}
	payload_fini(&payload);
}

static int count_one(void *context, const char *digest)
{
	(void)digest;
	++*(unsigned *)context;
	return 0;
}

static unsigned count_blobs(void)
{
	unsigned count = 0;
	ck_assert_int_eq(sfs_blob_list(stream, count_one, &count), 0);
	return count;
}

static void make_blobs_old(void)
{
	char path[200];
	snprintf(path, sizeof path, "%s/streams/orders/blobs", dir.path);
	ck_assert_int_eq(nftw(path, make_old, 16, FTW_PHYS), 0);
}

/* `claims` records with a payload each, over several segments, and as many blobs without one. */
static void make_claims(unsigned claims)
{
	options.orphan_grace_ms = 1000;
	options.segment_chunks = 4;
	open_all();
	configure("{\"large_records\":{\"threshold_bytes\":1024}}");
	append_lines_one_by_one(0, claims, 2000);
	put_orphans(0, claims);
	tidier_drain(store->tidier);
	ck_assert_uint_eq(count_blobs(), 2 * claims);
	make_blobs_old();
}

START_TEST(a_sweep_keeps_nobody_waiting)
{
	gate_init(DISK_READ);
	make_claims(LINES);
	gate_close(DISK_READ);
	tidier_sweep(stream);
	ck_assert(wait_for(&gate.arrived));
	configure("{\"large_records\":{\"threshold_bytes\":4096}}");
	use_stream(LINES);
	gate_open();
	tidier_drain(store->tidier);
	ck_assert_uint_eq(count_blobs(), LINES);
}
END_TEST

START_TEST(a_sweep_in_batches_takes_orphans_only)
{
	make_claims(LINES);
	store->sweep_blobs = _i ? 7 : 2 * LINES / 4; /* also one that ends with a full batch */
	ck_assert_int_eq(stream_sweep_orphans(stream), 0);
	ck_assert_uint_eq(count_blobs(), LINES);
	ck_assert_uint_eq(metric_get(&store->metrics.blobs_swept), LINES);
}
END_TEST

START_TEST(a_sweep_reads_no_text)
{
	gate_init(DISK_READ);
	options.orphan_grace_ms = 1000;
	open_all();
	configure("{\"large_records\":{\"threshold_bytes\":4194304},\"compression\":\"none\"}");
	struct sfs_writer *writer;
	size_t taken, bytes = 200000;
	char *line = malloc(bytes);
	memset(line, 'x', bytes);
	line[bytes - 1] = '\n';
	ck_assert_int_eq(sfs_writer_open_key(stream, "key", 3, &writer), 0);
	for (unsigned i = 0; i < LINES; i++)
		ck_assert_int_eq(sfs_writer_write(writer, line, bytes, &taken), 0);
	ck_assert_int_eq(sfs_writer_close(writer), 0);
	free(line);
	put_orphans(0, 1);
	make_blobs_old();
	gate.read_bytes = 0;
	tidier_sweep(stream);
	tidier_drain(store->tidier);
	ck_assert_uint_eq(count_blobs(), 0);
	ck_assert_uint_gt(gate.read_bytes, 0);
	ck_assert_uint_lt(gate.read_bytes, LINES * 1024);
	/* With no blob to look for it reads nothing. */
	gate.read_bytes = 0;
	tidier_sweep(stream);
	tidier_drain(store->tidier);
	ck_assert_uint_eq(gate.read_bytes, 0);
}
END_TEST

/* --- closing --- */

static void *close_in_thread(void *context)
{
	(void)context;
	close_all();
	return NULL;
}

/* Closes the store while the tidier waits at the gate; how many calls it makes after that. */
static unsigned calls_while_closing(void)
{
	struct sfs_store *closing = store;
	pthread_t thread;
	ck_assert(wait_for(&gate.arrived));
	ck_assert_int_eq(pthread_create(&thread, NULL, close_in_thread, NULL), 0);
	while (!atomic_load(&closing->closing))
		usleep(1000);
	unsigned before = gate.calls;
	gate_open();
	pthread_join(thread, NULL);
	ck_assert(!gate.gave_up);
	return gate.calls - before;
}

START_TEST(closing_ends_a_sweep_under_way)
{
	gate_init(DISK_READ);
	make_claims(LINES);
	gate_close(DISK_READ);
	tidier_sweep(stream);
	ck_assert_uint_lt(calls_while_closing(), LINES / 2);
	options.disk_hook = NULL;
	options.orphan_grace_ms = UINT64_MAX; /* no sweep comes in between */
	open_all();
	ck_assert_uint_eq(count_blobs(), 2 * LINES);
}
END_TEST

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

/* --- who goes by the path alone --- */

static void *want_exclusively(void *context)
{
	struct sfs_owner owner = {0700, 0, 0};
	(void)context;
	ck_assert_int_eq(sfs_stream_set_owner(stream, &owner), 0);
	return NULL;
}

/* Until a thread waits for the lock, with all later readers behind it. */
static void wait_for_writer(void)
{
	while (pthread_rwlock_tryrdlock(&stream->lock) == 0) {
		pthread_rwlock_unlock(&stream->lock);
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
	pthread_t writer, user;
	sem_t done;
	sem_init(&done, 0, 0);
	make_segments();
	append_lines_one_by_one(LINES, 1, PAD); /* a new segment: the directory has to be synced */
	tidier_drain(store->tidier);
	lru_drop(store->segments, shard->tag, 0);
	pthread_rwlock_rdlock(&stream->lock); /* as a long record does that is being appended */
	ck_assert_int_eq(pthread_create(&writer, NULL, want_exclusively, NULL), 0);
	wait_for_writer();
	ck_assert_int_eq(pthread_create(&user, NULL, sync_and_read, &done), 0);
	bool in_time = wait_for(&done);
	pthread_rwlock_unlock(&stream->lock);
	pthread_join(user, NULL);
	pthread_join(writer, NULL);
	ck_assert(in_time);
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

/* A reader that opened the old file puts nothing in the way of the new one. */
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
	fault.fail_at = 1; /* no merge comes to its end */
	append_lines_one_by_one(LINES, 1, PAD);
	tidier_drain(store->tidier);
	close_store();
	gate_init(DISK_READ);
	open_all();
	gate_close(DISK_READ); /* the reader has opened the segment and reads it now */
	ck_assert_int_eq(pthread_create(&reader, NULL, read_first, &result), 0);
	ck_assert(wait_for(&gate.arrived));
	ck_assert_int_eq(merge_segment(shard, 0), 0);
	ck_assert_uint_eq(metric_get(&store->metrics.segments_merged), 1);
	gate_open();
	pthread_join(reader, NULL);
	ck_assert_int_eq(result, 1);
	tidier_drain(store->tidier);
	ck_assert_int_eq(merge_segment(shard, 0), 0);
	ck_assert_uint_eq(metric_get(&store->metrics.segments_merged), 1);
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
	store->active_files.max = FILES_MAX;
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
	tcase_add_test(tcase, a_sweep_keeps_nobody_waiting);
	tcase_add_loop_test(tcase, a_sweep_in_batches_takes_orphans_only, 0, 2);
	tcase_add_test(tcase, a_sweep_reads_no_text);
	tcase_add_test(tcase, closing_ends_a_sweep_under_way);
	tcase_add_test(tcase, closing_ends_a_merge_under_way);
	tcase_add_test(tcase, syncs_and_reads_do_not_wait_behind_an_exclusive_request);
	tcase_add_test(tcase, a_segment_is_merged_once);
	tcase_add_test(tcase, few_descriptors_do_for_many_shards);
	return run_suite(suite);
}
