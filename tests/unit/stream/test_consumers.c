/* SPDX-License-Identifier: MIT */
/* Consumers: which checkpoints are valid, which are durable, and the lag. */
#include "storetest.h"

#include "consumer_lag.h"

#define CONSUMER_FILE "streams/orders/consumers/billing.json"

static uint64_t get(const char *name, uint32_t number)
{
	uint64_t offset = 99999999;
	ck_assert_int_eq(sfs_consumer_get(stream, name, number, &offset), 0);
	return offset;
}

static int set(uint64_t offset)
{
	return sfs_consumer_set(stream, "billing", 0, offset);
}

static void begin(void)
{
	open_all();
	ck_assert_int_eq(sfs_consumer_create(stream, "billing"), 0);
}

static int count_one(void *context, const char *name)
{
	unsigned *count = context;
	ck_assert(sfs_stream_name_valid(name));
	++*count;
	return 0;
}

static unsigned count_consumers(void)
{
	unsigned count = 0;
	ck_assert_int_eq(sfs_consumer_list(stream, count_one, &count), 0);
	return count;
}

static const char *consumer_path(void)
{
	static char path[256];
	snprintf(path, sizeof path, "%s/" CONSUMER_FILE, dir.path);
	return path;
}

START_TEST(consumers_come_go_and_are_renamed)
{
	begin();
	ck_assert_int_eq(sfs_consumer_create(stream, "billing"), -EEXIST);
	ck_assert_int_eq(sfs_consumer_create(stream, ".hidden"), -EINVAL);
	ck_assert_int_eq(sfs_consumer_create(stream, "a/b"), -EINVAL);
	ck_assert_int_eq(sfs_consumer_create(stream, "x.json.tmp"), 0);
	append_bytes("a\nb\n", 4);
	ck_assert_int_eq(set(2), 0);
	ck_assert_int_eq(sfs_consumer_rename(stream, "billing", "x.json.tmp"), -EEXIST);
	ck_assert_int_eq(sfs_consumer_rename(stream, "nobody", "b"), -ENOENT);
	ck_assert_int_eq(sfs_consumer_rename(stream, "billing", ""), -EINVAL);
	ck_assert_int_eq(sfs_consumer_rename(stream, "billing", "b"), 0);
	ck_assert(!sfs_consumer_exists(stream, "billing"));
	ck_assert_uint_eq(get("b", 0), 2);
	ck_assert_uint_eq(count_consumers(), 2);
	reopen();
	ck_assert_uint_eq(count_consumers(), 2);
	ck_assert_uint_eq(get("b", 0), 2);
	ck_assert_uint_eq(get("x.json.tmp", 0), 0);
	ck_assert_int_eq(sfs_consumer_remove(stream, "b"), 0);
	ck_assert_int_eq(sfs_consumer_remove(stream, "b"), -ENOENT);
	uint64_t offset;
	ck_assert_int_eq(sfs_consumer_get(stream, "b", 0, &offset), -ENOENT);
	ck_assert_int_eq(sfs_consumer_set(stream, "b", 0, 0), -ENOENT);
	reopen();
	ck_assert_uint_eq(count_consumers(), 1);
	close_all();
}
END_TEST

START_TEST(a_checkpoint_is_where_a_record_begins)
{
	begin();
	append_bytes("one\ntwo\n\nfour\n", 14);
	append_bytes("five\n", 5);
	for (uint64_t offset = 0; offset < 25; offset++) {
		bool good = offset == 0 || offset == 4 || offset == 8 || offset == 9 ||
			    offset == 14 || offset == 19;
		uint64_t before = get("billing", 0);
		ck_assert_int_eq(set(offset), good ? 0 : -EINVAL);
		ck_assert_uint_eq(get("billing", 0), good ? offset : before);
	}
	ck_assert_int_eq(set(UINT64_MAX), -EINVAL);
	ck_assert_int_eq(sfs_consumer_set(stream, "billing", 1, 0), -ENOENT);
	close_all();
}
END_TEST

START_TEST(a_piece_of_a_long_record_is_no_place)
{
	begin();
	configure("{\"large_records\":{\"policy\":\"split\"}}");
	char *line = malloc(3 << 20);
	memset(line, 'x', 3 << 20);
	line[(3 << 20) - 1] = '\n';
	struct sfs_writer *writer;
	size_t taken;
	ck_assert_int_eq(sfs_writer_open_shard(shard, &writer), 0);
	for (size_t at = 0; at < 3 << 20; at += taken)
		ck_assert_int_eq(sfs_writer_write(writer, line + at, (3 << 20) - at, &taken), 0);
	ck_assert_int_eq(sfs_writer_close(writer), 0);
	free(line);
	append_bytes("y\n", 2);
	ck_assert_uint_gt(shard->active->index.count, 2);
	for (size_t i = 1; i < shard->active->index.count; i++) {
		uint64_t at = shard->active->index.items[i].start.offset;
		ck_assert_int_eq(set(at), at == 3 << 20 ? 0 : -EINVAL);
	}
	ck_assert_uint_eq(get("billing", 0), 3 << 20);
	close_all();
}
END_TEST

START_TEST(a_checkpoint_lasts_and_makes_what_is_before_it_durable)
{
	begin();
	append_bytes("one\ntwo\n", 8);
	ck_assert_uint_eq(synced_offset(), 0);
	ck_assert_int_eq(set(4), 0);
	ck_assert_uint_ge(synced_offset(), 4);
	reopen();
	ck_assert_uint_eq(get("billing", 0), 4);
	ck_assert_int_eq(set(0), 0);
	reopen();
	ck_assert_uint_eq(get("billing", 0), 0);
	close_all();
}
END_TEST

START_TEST(every_shard_of_the_table_has_one)
{
	begin();
	configure("{\"shards\":3}");
	ck_assert_uint_eq(get("billing", 2), 0);
	configure("{\"shards\":1}");
	uint64_t offset;
	ck_assert_int_eq(sfs_consumer_get(stream, "billing", 1, &offset), -ENOENT);
	append_bytes("a\n", 2);
	ck_assert_int_eq(set(2), 0);
	configure("{\"shards\":2}");
	ck_assert_uint_eq(get("billing", 0), 2);
	ck_assert_uint_eq(get("billing", 2), 0);
	close_all();
}
END_TEST

START_TEST(checkpoints_of_shards_that_left_are_dropped)
{
	begin();
	append_bytes("a\n", 2);
	ck_assert_int_eq(set(2), 0);
	configure("{\"shards\":2}");
	/* The closed shard leaves the table, as after a trim. */
	struct sfs_shard *left = stream->table.shards[0];
	stream->table.shards[0] = stream->table.shards[1];
	stream->table.shards[1] = stream->table.shards[2];
	stream->table.count = 2;
	ck_assert_int_eq(sfs_consumer_set(stream, "billing", 1, 0), 0);
	struct checkpoint *checkpoints;
	struct sfs_diag diag;
	size_t count;
	ck_assert_int_eq(consumer_document_load(&store->env.disk, dir.fd, CONSUMER_FILE, &diag,
				 &checkpoints, &count),
		0);
	ck_assert_uint_eq(count, 1);
	ck_assert_uint_eq(checkpoints[0].shard, 1);
	free(checkpoints);
	stream->table.shards[2] = stream->table.shards[1];
	stream->table.shards[1] = stream->table.shards[0];
	stream->table.shards[0] = left;
	stream->table.count = 3;
	close_all();
}
END_TEST

/* --- lag --- */

static struct consumer_lag seen;

static int note_lag(void *context, const char *name, const struct consumer_lag *lag)
{
	(void)context;
	ck_assert_str_eq(name, "billing");
	ck_assert_ptr_nonnull(lag);
	if (lag->shard == 0)
		seen = *lag;
	return 0;
}

static void check_lag(uint64_t records, uint64_t bytes)
{
	ck_assert_int_eq(consumer_lag_each(stream, note_lag, NULL), 0);
	ck_assert_uint_eq(seen.records, records);
	ck_assert_uint_eq(seen.bytes, bytes);
	if (!records)
		ck_assert(seen.seconds == 0);
}

START_TEST(lag_counts_what_was_not_processed)
{
	char line[64];
	size_t line_bytes = make_line(line, sizeof line, 0, 10);
	begin();
	check_lag(0, 0);
	append_lines_one_by_one(0, 100, 10);
	for (int merged = 0; merged < 2; merged++) {
		for (uint64_t i = 0; i <= 100; i += 7) {
			ck_assert_int_eq(set(i * line_bytes), 0);
			check_lag(100 - i, (100 - i) * line_bytes);
		}
		if (!merged) {
			configure("{\"shards\":2}"); /* closes, seals and merges it */
			tidier_drain(store->tidier);
			reopen();
		}
	}
	close_all();
}
END_TEST

/* The time is that of the first record, not of the merged chunk. */
START_TEST(lag_in_seconds_is_of_the_first_record)
{
	char line[64];
	size_t line_bytes = make_line(line, sizeof line, 0, 10);
	begin();
	append_lines_one_by_one(0, 2, 10);
	usleep(1200000);
	append_lines_one_by_one(2, 2, 10);
	for (int merged = 0; merged < 2; merged++) {
		ck_assert_int_eq(set(0), 0);
		check_lag(4, 4 * line_bytes);
		double all = seen.seconds;
		ck_assert_int_eq(set(2 * line_bytes), 0);
		check_lag(2, 2 * line_bytes);
		ck_assert(all >= 1.1 && seen.seconds < all);
		ck_assert_int_eq(set(3 * line_bytes), 0);
		check_lag(1, line_bytes);
		ck_assert_int_eq(set(4 * line_bytes), 0);
		check_lag(0, 0);
		if (!merged) {
			configure("{\"shards\":2}");
			tidier_drain(store->tidier);
			reopen();
		}
	}
	close_all();
}
END_TEST

START_TEST(stats_and_metrics_tell_the_lag)
{
	char *text;
	size_t bytes;
	begin();
	append_bytes("a\nb\nc\n", 6);
	ck_assert_int_eq(set(2), 0);
	ck_assert_int_eq(sfs_stream_stats(stream, &text, &bytes), 0);
	ck_assert_ptr_nonnull(memmem(text, bytes, "\"lag_records\": 2", 16));
	ck_assert_ptr_nonnull(memmem(text, bytes, "\"lag_bytes\": 4", 14));
	free(text);
	ck_assert_int_eq(sfs_store_metrics(store, &text, &bytes), 0);
	static const char want[] =
		"streamfs_consumer_lag_records{stream=\"orders\",consumer=\"billing\","
		"shard=\"shard-0000\"} 2\n";
	ck_assert_ptr_nonnull(memmem(text, bytes, want, sizeof want - 1));
	free(text);
	close_all();
}
END_TEST

/* --- damage and failures --- */

START_TEST(a_damaged_document_concerns_its_consumer_alone)
{
	begin();
	ck_assert_int_eq(sfs_consumer_create(stream, "audit"), 0);
	append_bytes("a\n", 2);
	ck_assert_int_eq(set(2), 0);
	ck_assert_int_eq(sfs_consumer_set(stream, "audit", 0, 2), 0);
	close_all();
	flip_byte(consumer_path(), file_size(consumer_path()) / 2);
	open_all();
	uint64_t offset;
	ck_assert_int_eq(sfs_consumer_get(stream, "billing", 0, &offset), -EBADMSG);
	ck_assert_int_eq(set(0), -EBADMSG);
	ck_assert(reported("orders/consumers/billing.json"));
	ck_assert_uint_eq(get("audit", 0), 2);
	ck_assert_int_eq(sfs_consumer_set(stream, "audit", 0, 0), 0);
	char *text;
	size_t bytes;
	ck_assert_int_eq(sfs_stream_stats(stream, &text, &bytes), 0);
	ck_assert_ptr_nonnull(memmem(text, bytes, "\"damaged\"", 9));
	free(text);
	ck_assert_int_eq(sfs_consumer_remove(stream, "billing"), 0);
	ck_assert_int_eq(sfs_consumer_create(stream, "billing"), 0);
	ck_assert_uint_eq(get("billing", 0), 0);
	close_all();
}
END_TEST

START_TEST(a_stream_with_consumers_and_no_records_can_be_removed)
{
	begin();
	ck_assert_int_eq(sfs_stream_remove(store, "orders"), 0);
	ck_assert_int_eq(sfs_consumer_create(stream, "audit"), -ENOENT);
	ck_assert(!sfs_consumer_exists(stream, "billing"));
	ck_assert_int_eq(set(0), -ENOENT);
	close_all();
	ck_assert(!exists(consumer_path()));
}
END_TEST

static struct fault fault;

/* Sets rising checkpoints. Each must be the last acknowledged one or one attempted since. */
static bool run_with_fault(unsigned n, int error, bool lasting)
{
	uint64_t acknowledged = 0, attempted = 0, offset;
	testdir_open(&dir);
	fault_init(&fault, 0, error);
	options.disk_hook = &fault.hook;
	begin();
	append_bytes("a\nb\nc\nd\n", 8);
	sync_shard_now();
	fault.calls = 0;
	fault.lasting = lasting;
	fault.fail_at = n;
	bool other = sfs_consumer_create(stream, "audit") == 0;
	for (uint64_t at = 2; at <= 8; at += 2) {
		attempted = at;
		if (set(at) == 0)
			acknowledged = at;
		ck_assert_uint_eq(get("billing", 0), acknowledged);
	}
	bool renamed = sfs_consumer_rename(stream, "billing", "b") == 0;
	bool hit = fault_hit(&fault);
	fault.fail_at = 0;
	(void)close_store();
	open_all();
	ck_assert(!reports.errors);
	if (other)
		ck_assert(sfs_consumer_exists(stream, "audit"));
	const char *name = sfs_consumer_exists(stream, "b") ? "b" : "billing";
	if (renamed)
		ck_assert_str_eq(name, "b");
	ck_assert_int_eq(sfs_consumer_get(stream, name, 0, &offset), 0);
	ck_assert_uint_ge(offset, acknowledged);
	ck_assert_uint_le(offset, attempted);
	ck_assert_int_eq(sfs_consumer_set(stream, name, 0, 4), 0);
	ck_assert_uint_eq(get(name, 0), 4);
	close_all();
	testdir_close(&dir);
	return hit;
}

START_TEST(every_failure_leaves_what_was_acknowledged)
{
	static const struct {
		int error;
		bool lasting;
	} runs[] = {{-EIO, false}, {-ENOSPC, false}, {-EIO, true}, {-ENOSPC, true}};
	unsigned n = 0;
	testdir_close(&dir);
	do
		n++;
	while (run_with_fault(n, runs[_i].error, runs[_i].lasting));
	ck_assert_uint_gt(n, 20);
	testdir_open(&dir);
}
END_TEST

/* --- many at once --- */

enum { SETTERS = 8, SETS = 60 };

static void *set_on(void *context)
{
	uint32_t number = (uint32_t)(uintptr_t)context;
	struct sfs_shard *own;
	ck_assert_int_eq(sfs_stream_shard(stream, number, &own), 0);
	for (uint64_t i = 1; i <= SETS; i++) {
		struct sfs_writer *writer;
		size_t taken;
		ck_assert_int_eq(sfs_writer_open_shard(own, &writer), 0);
		ck_assert_int_eq(sfs_writer_write(writer, "x\n", 2, &taken), 0);
		ck_assert_int_eq(sfs_writer_close(writer), 0);
		ck_assert_int_eq(sfs_consumer_set(stream, "billing", number, 2 * i), 0);
		ck_assert_uint_eq(get("billing", number), 2 * i);
	}
	sfs_shard_unref(own);
	return NULL;
}

static void *come_and_go(void *context)
{
	for (int i = 0; i < SETS; i++) {
		ck_assert_int_eq(sfs_consumer_create(stream, context), 0);
		ck_assert_int_eq(sfs_consumer_remove(stream, context), 0);
	}
	return NULL;
}

START_TEST(many_set_at_once)
{
	pthread_t threads[SETTERS + 1];
	begin();
	configure("{\"shards\":8}");
	for (uintptr_t i = 0; i < SETTERS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, set_on, (void *)i), 0);
	ck_assert_int_eq(pthread_create(&threads[SETTERS], NULL, come_and_go, "audit"), 0);
	for (int i = 0; i <= SETTERS; i++)
		pthread_join(threads[i], NULL);
	reopen();
	for (uint32_t i = 0; i < SETTERS; i++)
		ck_assert_uint_eq(get("billing", i), 2 * SETS);
	ck_assert_uint_eq(count_consumers(), 1);
	close_all();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("consumers");
	TCase *set_of = add_case(suite, "consumers");
	tcase_add_test(set_of, consumers_come_go_and_are_renamed);
	tcase_add_test(set_of, a_stream_with_consumers_and_no_records_can_be_removed);
	TCase *checkpoints = add_case(suite, "checkpoints");
	tcase_add_test(checkpoints, a_checkpoint_is_where_a_record_begins);
	tcase_add_test(checkpoints, a_piece_of_a_long_record_is_no_place);
	tcase_add_test(checkpoints, a_checkpoint_lasts_and_makes_what_is_before_it_durable);
	tcase_add_test(checkpoints, every_shard_of_the_table_has_one);
	tcase_add_test(checkpoints, checkpoints_of_shards_that_left_are_dropped);
	TCase *lag = add_case(suite, "lag");
	tcase_add_test(lag, lag_counts_what_was_not_processed);
	tcase_add_test(lag, lag_in_seconds_is_of_the_first_record);
	tcase_add_test(lag, stats_and_metrics_tell_the_lag);
	TCase *failures = add_case(suite, "failures");
	tcase_add_test(failures, a_damaged_document_concerns_its_consumer_alone);
	tcase_add_loop_test(failures, every_failure_leaves_what_was_acknowledged, 0, 4);
	tcase_add_test(failures, many_set_at_once);
	return run_suite(suite);
}
