/* SPDX-License-Identifier: MIT */
/* Sweeping the blobs of a stream: it removes those that no retained record names, and no other. */
#include "gatetest.h"
#include "stream_blobs.h"
#include "stream_sweep.h"

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
	{
		SCOPED_RDLOCK(&stream->home.lock);
		ck_assert_int_eq(stream_blobs_open(stream, true), 0);
	}
	for (unsigned i = first; i < first + count; i++) {
		uint8_t digest[32];
		payload_reset(&payload);
		ck_assert_int_eq(payload_append(&payload, &store->env.disk, -1, &i, sizeof i), 0);
		ck_assert_int_eq(blobs_put(&stream->blobs, &payload, COMPRESSION_NONE, digest), 0);
		blobs_put_done(&stream->blobs, digest);
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

/* Makes `claims` records with a blob each in several segments, and as many orphans. */
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
	store->sweep_blobs = _i ? 7 : 2 * LINES / 4; /* also a sweep that ends with a full batch */
	ck_assert_int_eq(stream_sweep(stream, store->orphan_grace_ms), 0);
	ck_assert_uint_eq(count_blobs(), LINES);
	ck_assert_uint_eq(metric_get(&store->env.metrics.blobs_swept), LINES);
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
	/* Without a blob to look for, a sweep reads nothing. */
	gate.read_bytes = 0;
	tidier_sweep(stream);
	tidier_drain(store->tidier);
	ck_assert_uint_eq(gate.read_bytes, 0);
}
END_TEST

/* --- trimming --- */

/* Calls `each` with every digest in the shard's text from `offset` on. */
static unsigned each_claim(uint64_t offset, void (*each)(const char *digest))
{
	uint64_t size = sfs_shard_size(shard);
	char *text = malloc(size - offset + 1);
	size_t n = 0;
	unsigned count = 0;
	if (size > offset)
		ck_assert_int_eq(sfs_shard_read(shard, offset, text, size - offset, &n), 0);
	ck_assert_uint_eq(n, size - offset);
	text[n] = 0;
	static const char mark[] = "\"sha256\":\"";
	for (char *at = text; (at = strstr(at, mark)); count++) {
		char digest[65];
		at += sizeof mark - 1;
		snprintf(digest, sizeof digest, "%.64s", at);
		each(digest);
	}
	free(text);
	return count;
}

static void check_there(const char *digest)
{
	struct sfs_blob *blob;
	int r = sfs_blob_open(stream, digest, &blob);
	ck_assert_msg(r == 0, "%s is named, and: %s", digest, strerror(-r));
	sfs_blob_close(blob);
}

static void set_horizon(uint64_t offset)
{
	SCOPED_LOCK(&shard->lock);
	shard->horizon.offset = offset;
}

static void sweep_trimmed(void)
{
	tidier_sweep_trimmed(stream);
	tidier_drain(store->tidier);
}

/* Chunks of three claim checks each, over several segments. */
enum { WRITES = 6, IN_WRITE = 3, CLAIMS = WRITES * IN_WRITE };

static void make_chunks_of_claims(void)
{
	options.segment_chunks = 2;
	open_all();
	configure("{\"large_records\":{\"threshold_bytes\":1024}}");
	for (unsigned i = 0; i < WRITES; i++) {
		struct buf text = {0};
		add_lines(&text, i * IN_WRITE, IN_WRITE, 2000);
		append_bytes(text.data, text.size);
		buf_fini(&text);
	}
	ck_assert_uint_eq(count_blobs(), CLAIMS);
}

/* The size of every claim check: record i begins at i times this size. */
static uint64_t claim_bytes(void)
{
	uint64_t size = sfs_shard_size(shard);
	ck_assert_uint_eq(size % CLAIMS, 0);
	return size / CLAIMS;
}

START_TEST(what_only_trimmed_records_name_goes_whatever_its_age)
{
	make_chunks_of_claims();
	for (unsigned trimmed = 0; trimmed <= CLAIMS; trimmed++) {
		uint64_t horizon = trimmed * claim_bytes();
		set_horizon(horizon);
		sweep_trimmed();
		ck_assert_uint_eq(each_claim(horizon, check_there), CLAIMS - trimmed);
		ck_assert_uint_eq(count_blobs(), CLAIMS - trimmed);
	}
	ck_assert_uint_eq(metric_get(&store->env.metrics.blobs_swept), CLAIMS);
}
END_TEST

START_TEST(a_plain_sweep_leaves_young_blobs_of_trimmed_records)
{
	make_chunks_of_claims();
	set_horizon(sfs_shard_size(shard));
	tidier_sweep(stream);
	tidier_drain(store->tidier);
	ck_assert_uint_eq(count_blobs(), CLAIMS);
	make_blobs_old();
	tidier_sweep(stream);
	tidier_drain(store->tidier);
	ck_assert_uint_eq(count_blobs(), 0);
}
END_TEST

START_TEST(a_record_above_the_horizon_keeps_the_blob_of_one_below)
{
	make_chunks_of_claims();
	append_lines_one_by_one(5, 1, 2000);
	ck_assert_uint_eq(count_blobs(), CLAIMS);
	set_horizon(sfs_shard_size(shard) / (CLAIMS + 1) * CLAIMS);
	sweep_trimmed();
	ck_assert_uint_eq(count_blobs(), 1);
	each_claim(shard->horizon.offset, check_there);
}
END_TEST

START_TEST(a_record_that_the_horizon_cuts_counts)
{
	make_chunks_of_claims();
	set_horizon(7 * claim_bytes() + 1);
	sweep_trimmed();
	ck_assert_uint_eq(count_blobs(), CLAIMS - 7);
}
END_TEST

/* A trim removes the segments while the sweep reads the first of them. */
START_TEST(segments_that_a_trim_takes_end_no_sweep)
{
	uint64_t bases[16];
	gate_init(DISK_READ);
	make_chunks_of_claims();
	tidier_drain(store->tidier);
	put_orphans(0, 1);
	gate_close(DISK_READ);
	tidier_sweep_trimmed(stream);
	ck_assert(wait_for(&gate.arrived));
	set_horizon(sfs_shard_size(shard));
	for (size_t i = 0, n = list_bases(bases, 16); i < n; i++)
		ck_assert_int_eq(unlink(segment_file(bases[i])), 0);
	gate_open();
	tidier_drain(store->tidier);
	ck_assert(!gate.gave_up);
	ck_assert_uint_lt(count_blobs(), CLAIMS);
	sweep_trimmed();
	ck_assert_uint_eq(count_blobs(), 0);
}
END_TEST

START_TEST(damage_above_the_horizon_ends_a_sweep_and_below_does_not)
{
	make_chunks_of_claims();
	tidier_drain(store->tidier);
	close_all();
	flip_byte(segment_file(0), sizeof(struct chunk_header) - 1);
	open_all();
	sweep_trimmed();
	ck_assert_uint_eq(count_blobs(), CLAIMS);
	set_horizon(2 * IN_WRITE * claim_bytes()); /* the first segment */
	sweep_trimmed();
	ck_assert_uint_eq(count_blobs(), CLAIMS - 2 * IN_WRITE);
}
END_TEST

/* --- the queue --- */

START_TEST(a_sweep_is_queued_once)
{
	gate_init(DISK_READ);
	make_chunks_of_claims();
	tidier_drain(store->tidier);
	gate.calls = 0;
	sweep_trimmed();
	unsigned calls = gate.calls;
	ck_assert_uint_gt(calls, 0);
	gate.calls = 0;
	gate_close(DISK_READ);
	tidier_sweep_trimmed(stream);
	ck_assert(wait_for(&gate.arrived));
	for (unsigned i = 0; i < 100; i++)
		tidier_sweep_trimmed(stream); /* the running sweep may have missed some */
	gate_open();
	tidier_drain(store->tidier);
	ck_assert_uint_eq(gate.calls, 2 * calls);
}
END_TEST

START_TEST(a_sweep_after_a_trim_waits_for_its_turn)
{
	make_chunks_of_claims();
	tidier_drain(store->tidier);
	uint64_t turn_ns = clock_monotonic_ns() + 200 * 1000 * 1000;
	stream->sweep_after_ns = turn_ns;
	set_horizon(sfs_shard_size(shard));
	sweep_trimmed();
	ck_assert_uint_ge(clock_monotonic_ns(), turn_ns);
	ck_assert_uint_eq(count_blobs(), 0);
	ck_assert_uint_gt(stream->sweep_after_ns, turn_ns);
}
END_TEST

/* --- under load --- */

enum { THREADS = 4, SHARED_LINES = 3, ROUNDS = 40 };

static struct {
	atomic_bool stop;
	atomic_uint appended[THREADS];
	pthread_mutex_t reading; /* held to check, and to move the horizon */
	atomic_bool wanted;	 /* the mover waits for `reading`, which is not fair */
	pthread_t writers[THREADS], checker;
	atomic_uint checked;
} load = {.reading = PTHREAD_MUTEX_INITIALIZER};

/* Appends equal payloads, and now and then one that is unique. */
static void *append_claims(void *context)
{
	atomic_uint *appended = context;
	unsigned self = (unsigned)(appended - load.appended);
	while (!atomic_load(&load.stop)) {
		unsigned i = *appended;
		append_lines_one_by_one(
			i % 4 ? i % SHARED_LINES : 1000000 * (self + 1) + i, 1, 2000);
		atomic_fetch_add(appended, 1);
	}
	return NULL;
}

static void *check_claims(void *context)
{
	(void)context;
	while (!atomic_load(&load.stop)) {
		while (atomic_load(&load.wanted))
			usleep(100);
		SCOPED_LOCK(&load.reading);
		atomic_fetch_add(&load.checked, each_claim(shard->horizon.offset, check_there));
	}
	return NULL;
}

/* Waits until each writer has ended a put that began after the call. */
static void wait_for_puts(void)
{
	for (unsigned i = 0; i < THREADS; i++)
		for (unsigned first = load.appended[i]; load.appended[i] < first + 2;)
			usleep(500);
}

static void trim_all(void)
{
	atomic_store(&load.wanted, true);
	SCOPED_LOCK(&load.reading);
	set_horizon(sfs_shard_size(shard));
	atomic_store(&load.wanted, false);
}

START_TEST(a_sweep_goes_along_with_puts)
{
	options.segment_chunks = 64;
	open_all();
	configure("{\"large_records\":{\"threshold_bytes\":1024}}");
	for (unsigned i = 0; i < THREADS; i++)
		ck_assert_int_eq(
			pthread_create(&load.writers[i], NULL, append_claims, &load.appended[i]),
			0);
	ck_assert_int_eq(pthread_create(&load.checker, NULL, check_claims, NULL), 0);
	for (unsigned round = 0; round < ROUNDS; round++) {
		uint64_t before = metric_get(&store->env.metrics.blobs_swept);
		put_orphans(2000000000 + round, 1);
		wait_for_puts();
		trim_all();
		ck_assert_int_eq(stream_sweep(stream, 0), 0);
		ck_assert_uint_gt(metric_get(&store->env.metrics.blobs_swept), before);
	}
	atomic_store(&load.stop, true);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(load.writers[i], NULL);
	pthread_join(load.checker, NULL);
	ck_assert_uint_gt(load.checked, 0);
	each_claim(shard->horizon.offset, check_there);
	trim_all();
	sweep_trimmed();
	ck_assert_uint_eq(count_blobs(), 0);
}
END_TEST

/* --- closing --- */

START_TEST(closing_ends_a_sweep_under_way)
{
	gate_init(DISK_READ);
	make_claims(LINES);
	gate_close(DISK_READ);
	tidier_sweep(stream);
	ck_assert_uint_lt(calls_while_closing(), LINES / 2);
	options.disk_hook = NULL;
	options.orphan_grace_ms = UINT64_MAX; /* no sweep removes orphans */
	open_all();
	ck_assert_uint_eq(count_blobs(), 2 * LINES);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sweep");
	TCase *tcase = add_case(suite, "sweep");
	tcase_add_test(tcase, a_sweep_keeps_nobody_waiting);
	tcase_add_loop_test(tcase, a_sweep_in_batches_takes_orphans_only, 0, 2);
	tcase_add_test(tcase, a_sweep_reads_no_text);
	tcase_add_test(tcase, what_only_trimmed_records_name_goes_whatever_its_age);
	tcase_add_test(tcase, a_plain_sweep_leaves_young_blobs_of_trimmed_records);
	tcase_add_test(tcase, a_record_above_the_horizon_keeps_the_blob_of_one_below);
	tcase_add_test(tcase, a_record_that_the_horizon_cuts_counts);
	tcase_add_test(tcase, segments_that_a_trim_takes_end_no_sweep);
	tcase_add_test(tcase, damage_above_the_horizon_ends_a_sweep_and_below_does_not);
	tcase_add_test(tcase, a_sweep_is_queued_once);
	tcase_add_test(tcase, a_sweep_after_a_trim_waits_for_its_turn);
	tcase_add_test(tcase, a_sweep_goes_along_with_puts);
	tcase_add_test(tcase, closing_ends_a_sweep_under_way);
	return run_suite(suite);
}
