/* SPDX-License-Identifier: MIT */
/*
 * Another number of shards: random sequences against a model of the table; each call of the disk
 * failing, or being the last before a kill; writers that go on meanwhile.
 */
#include "storetest.h"

#include "hash_range.h"

#include <sys/mman.h>

__extension__ typedef unsigned __int128 u128;

static u128 number_of(struct hash_key hash)
{
	return (u128)hash.high << 64 | hash.low;
}

/* floor(i * 2^128 / n) by long division, one bit at a time. */
static u128 range_first(uint64_t i, uint64_t n)
{
	u128 result = 0;
	uint64_t rest = i;
	for (int bit = 0; bit < 128; bit++) {
		rest *= 2;
		result = result << 1 | (rest >= n);
		rest -= rest >= n ? n : 0;
	}
	return result;
}

static u128 range_last(uint64_t i, uint64_t n)
{
	return i + 1 == n ? ~(u128)0 : range_first(i + 1, n) - 1;
}

static int reshard(unsigned count)
{
	char json[64];
	struct sfs_diag diag = {0};
	snprintf(json, sizeof json, "{\"shards\":%u}", count);
	return sfs_stream_patch_config(stream, json, strlen(json), &diag);
}

static void put_text(const char *text)
{
	struct sfs_writer *writer;
	size_t taken;
	ck_assert_int_eq(sfs_writer_open_put(stream, &writer), 0);
	ck_assert_int_eq(sfs_writer_write(writer, text, strlen(text), &taken), 0);
	ck_assert_uint_eq(taken, strlen(text));
	ck_assert_int_eq(sfs_writer_close(writer), 0);
}

static void use_stream(void)
{
	configure("{\"key\":{\"field\":1,\"separator\":\" \"}}");
	put_text("first record\n");
}

/* --- the table against a model --- */

enum { MODEL_SHARDS = 4096 };

struct model_shard {
	u128 first, last;
	bool closed;
	unsigned parents[64], parent_count;
	uint64_t tag;
};

static struct model {
	struct model_shard shards[MODEL_SHARDS];
	unsigned count;
} model;

static void model_begin(unsigned count)
{
	model.count = count;
	for (unsigned i = 0; i < count; i++)
		model.shards[i] = (struct model_shard){
			.first = range_first(i, count), .last = range_last(i, count)};
}

static bool model_keeps(u128 first, u128 last)
{
	for (unsigned i = 0; i < model.count; i++)
		if (!model.shards[i].closed && model.shards[i].first == first &&
			model.shards[i].last == last)
			return true;
	return false;
}

static bool is_range_of(const struct model_shard *s, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (s->first == range_first(i, count) && s->last == range_last(i, count))
			return true;
	return false;
}

static void model_reshard(unsigned count)
{
	unsigned before = model.count;
	for (unsigned i = 0; i < count; i++) {
		u128 first = range_first(i, count), last = range_last(i, count);
		if (model_keeps(first, last))
			continue;
		struct model_shard *s = &model.shards[model.count++];
		*s = (struct model_shard){.first = first, .last = last};
		for (unsigned k = 0; k < before; k++)
			if (!model.shards[k].closed && model.shards[k].first <= last &&
				model.shards[k].last >= first)
				s->parents[s->parent_count++] = k;
	}
	for (unsigned i = 0; i < before; i++)
		model.shards[i].closed |= !is_range_of(&model.shards[i], count);
}

static bool may_fail; /* the table is uncertain: appends fail until the next open */

static void check_shard_against(const struct model_shard *want, struct sfs_shard *got)
{
	struct sfs_shard_info info;
	uint32_t *parents;
	size_t count;
	sfs_shard_info(got, &info);
	if (info.state != SFS_SHARD_FAILED)
		ck_assert_int_eq(info.state, want->closed ? SFS_SHARD_CLOSED : SFS_SHARD_OPEN);
	else
		ck_assert(may_fail);
	ck_assert(number_of(got->hash_first) == want->first);
	ck_assert(number_of(got->hash_last) == want->last);
	ck_assert_int_eq(sfs_shard_parents(got, &parents, &count), 0);
	ck_assert_uint_eq(count, want->parent_count);
	ck_assert_uint_eq(info.parent_count, count);
	for (size_t i = 0; i < count; i++)
		ck_assert_uint_eq(parents[i], want->parents[i]);
	free(parents);
}

static void check_model(void)
{
	uint32_t *numbers;
	size_t count;
	ck_assert_int_eq(sfs_stream_shards(stream, &numbers, &count), 0);
	ck_assert_uint_eq(count, model.count);
	for (unsigned i = 0; i < count; i++) {
		struct sfs_shard *s;
		ck_assert_uint_eq(numbers[i], i);
		ck_assert_int_eq(sfs_stream_shard(stream, i, &s), 0);
		check_shard_against(&model.shards[i], s);
		sfs_shard_unref(s);
	}
	free(numbers);
}

/* Checks that every key goes to the open shard with its range. */
static void check_routing(void)
{
	SCOPED_RDLOCK(&stream->home.lock);
	for (int i = 0; i < 200; i++) {
		char key[24];
		snprintf(key, sizeof key, "key-%d", i);
		const struct sfs_shard *s =
			stream->table.routes.shards[stream_route(stream, key, strlen(key))];
		u128 hash = number_of(hash_key_of(key, strlen(key)));
		ck_assert(!s->closed && number_of(s->hash_first) <= hash &&
			  hash <= number_of(s->hash_last));
	}
}

START_TEST(random_sequences_match_the_model)
{
	uint64_t x = (uint64_t)_i * 0x9E3779B97F4A7C15u + 88172645463325252u;
	open_store();
	ck_assert_int_eq(reshard((unsigned)_i % 3 + 1), 0);
	model_begin((unsigned)_i % 3 + 1);
	use_stream();
	for (int step = 0; step < 25; step++) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		unsigned count = (unsigned)(step % 5 == 4 ? 1 + x % 3 : 1 + x % 40);
		uint64_t lines = metric_get(&stream->home.metrics.records);
		ck_assert_int_eq(reshard(count), 0);
		if (count != stream->home.settings.shards)
			ck_abort_msg("not taken");
		model_reshard(count);
		put_text("a 1\nb 2\nc 3\nd 4\n");
		ck_assert_uint_eq(metric_get(&stream->home.metrics.records), lines + 4);
		check_model();
		check_routing();
		if (x >> 32 & 1) {
			close_all();
			open_store();
			check_model();
			check_routing();
		}
	}
	close_all();
}
END_TEST

START_TEST(the_same_number_changes_nothing)
{
	open_store();
	ck_assert_int_eq(reshard(4), 0);
	model_begin(4);
	use_stream();
	ck_assert_int_eq(reshard(4), 0);
	check_model();
	ck_assert_int_eq(reshard(0), -EINVAL);
	ck_assert_int_eq(reshard(SFS_SHARDS_MAX + 1), -EINVAL);
	check_model();
	close_all();
}
END_TEST

START_TEST(the_greatest_numbers)
{
	uint32_t *parents;
	size_t count;
	open_store();
	use_stream();
	ck_assert_int_eq(reshard(SFS_SHARDS_MAX), 0);
	put_text("a 1\n");
	ck_assert_int_eq(reshard(1), 0);
	put_text("a 2\n");
	ck_assert_int_eq(sfs_stream_shard(stream, SFS_SHARDS_MAX + 1, &shard), 0);
	ck_assert_int_eq(sfs_shard_parents(shard, &parents, &count), 0);
	ck_assert_uint_eq(count, SFS_SHARDS_MAX);
	ck_assert_uint_eq(parents[0], 1);
	ck_assert_uint_eq(parents[count - 1], SFS_SHARDS_MAX);
	free(parents);
	check_text("a 2\n", 4);
	close_all();
	open_store();
	ck_assert_int_eq(sfs_stream_shard(stream, SFS_SHARDS_MAX + 1, &shard), 0);
	check_text("a 2\n", 4);
	ck_assert_uint_eq(shard->parent_count, SFS_SHARDS_MAX);
	close_all();
}
END_TEST

START_TEST(no_numbers_left_is_refused)
{
	open_store();
	use_stream();
	stream->table.next_number = SFS_SHARD_NUMBERS - 3;
	ck_assert_int_eq(reshard(4), -EINVAL);
	ck_assert_uint_eq(stream->table.count, 1);
	ck_assert_int_eq(reshard(3), 0);
	put_text("a 1\n");
	close_all();
	open_store();
	ck_assert_uint_eq(stream->table.count, 4);
	close_all();
}
END_TEST

START_TEST(numbering_starts_over_without_records)
{
	static const unsigned counts[] = {4, 2, 7, 1, 3};
	open_store();
	open_shard();
	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
		ck_assert_int_eq(reshard(counts[i]), 0);
		model_begin(counts[i]);
		check_model();
		check_routing();
	}
	append_bytes("by a shard from before\n", 23);
	close_all();
	open_all();
	check_model();
	check_text("by a shard from before\n", 23);
	ck_assert_int_eq(reshard(2), 0);
	model_reshard(2);
	check_model();
	close_all();
}
END_TEST

/* --- shards that close --- */

START_TEST(a_closed_shard_is_readable_and_takes_nothing)
{
	struct sfs_writer *writer, *idle;
	size_t taken;
	open_all();
	append_lines_one_by_one(0, 50, 20);
	uint64_t size = sfs_shard_size(shard);
	ck_assert_int_eq(sfs_writer_open_shard(shard, &writer), 0);
	ck_assert_int_eq(sfs_writer_open_shard(shard, &idle), 0);
	ck_assert_int_eq(sfs_writer_write(writer, "unfinished", 10, &taken), 0);
	ck_assert_int_eq(sfs_shard_wait(shard, size, 0), -ETIMEDOUT);
	ck_assert_int_eq(reshard(2), 0);
	ck_assert_int_eq(sfs_shard_wait(shard, size, -1), -EPIPE);
	ck_assert_int_eq(sfs_shard_wait(shard, 0, 0), 0);
	ck_assert_int_eq(sfs_writer_write(writer, " more\n", 6, &taken), -EROFS);
	ck_assert_int_eq(sfs_writer_write(idle, "more", 4, &taken), -EROFS);
	ck_assert_int_eq(sfs_writer_close(writer), -EROFS);
	ck_assert_int_eq(sfs_writer_close(idle), 0);
	ck_assert_int_eq(sfs_writer_open_shard(shard, &writer), -EROFS);
	check_lines(50, 20);
	reopen();
	ck_assert_int_eq(sfs_writer_open_shard(shard, &writer), -EROFS);
	check_lines(50, 20);
	close_all();
}
END_TEST

START_TEST(a_closed_shard_is_sealed_and_merged)
{
	open_all();
	append_lines_one_by_one(0, 50, 20);
	ck_assert_int_eq(reshard(2), 0);
	ck_assert_ptr_null(shard->active);
	tidier_drain(store->tidier);
	ck_assert(exists(index_file(0)));
	struct placed chunks[50];
	ck_assert_uint_eq(list_chunks(segment_file(0), chunks, 50), 1);
	reopen();
	ck_assert_ptr_null(shard->active);
	check_lines(50, 20);
	close_all();
}
END_TEST

static void killed_after_closing(void)
{
	open_all();
	append_lines_one_by_one(0, 50, 20);
	if (reshard(2) == 0)
		put_text("later\n");
}

START_TEST(a_closed_shard_survives_a_kill)
{
	in_killed_process(killed_after_closing);
	open_all();
	check_lines(50, 20);
	ck_assert_ptr_null(shard->active);
	sync_shard_now();
	ck_assert_uint_eq(synced_offset(), sfs_shard_size(shard));
	tidier_drain(store->tidier);
	ck_assert(exists(index_file(0)));
	reopen();
	check_lines(50, 20);
	close_all();
}
END_TEST

START_TEST(leftover_directories_are_used)
{
	char path[400];
	open_store();
	use_stream();
	for (int i = 1; i < 4; i++) {
		snprintf(path, sizeof path, "%s/streams/orders/shard-%04d", dir.path, i);
		ck_assert_int_eq(mkdir(path, 0700), 0);
	}
	ck_assert_int_eq(reshard(2), 0);
	put_text("a 1\nb 2\nc 3\nd 4\n");
	close_all();
	open_store();
	ck_assert_uint_eq(stream->table.count, 3);
	close_all();
}
END_TEST

/* --- failures --- */

static struct fault fault;

enum { OLD_SHARDS = 3, NEW_SHARDS = 4 };

/* Counts the records by reading every shard. */
static unsigned count_records(void)
{
	uint64_t records = 0;
	for (size_t i = 0; i < stream->table.count; i++) {
		struct sfs_shard_info info;
		ck_assert_int_eq(
			sfs_stream_shard(stream, stream->table.shards[i]->number, &shard), 0);
		sfs_shard_info(shard, &info);
		ck_assert_uint_eq(info.quarantined_bytes, 0);
		for (uint64_t at = 0; at < info.size_bytes; at++)
			ck_assert_int_eq(read_one(at), 1);
		records += info.next_sequence;
		sfs_shard_unref(shard);
		shard = NULL;
	}
	return (unsigned)records;
}

static bool is_new(bool anew)
{
	model_begin(OLD_SHARDS);
	bool new = stream->home.settings.shards == NEW_SHARDS;
	if (new && anew)
		model_begin(NEW_SHARDS);
	else if (new)
		model_reshard(NEW_SHARDS);
	else
		ck_assert_uint_eq(stream->home.settings.shards, OLD_SHARDS);
	check_model();
	check_routing();
	return new;
}

static void begin_faulty(bool anew)
{
	open_store();
	configure("{\"key\":{\"field\":1,\"separator\":\" \"}}");
	ck_assert_int_eq(reshard(OLD_SHARDS), 0);
	if (!anew)
		put_text("a 1\nb 2\nc 3\nd 4\n");
}

/* Appends records. Returns how many were accepted. */
static unsigned try_put(void)
{
	struct sfs_writer *writer;
	unsigned acknowledged = 0;
	size_t taken;
	ck_assert_int_eq(sfs_writer_open_put(stream, &writer), 0);
	for (char key = 'a'; key < 'k'; key++) {
		char line[] = {key, ' ', '5', '\n'};
		acknowledged += sfs_writer_write(writer, line, sizeof line, &taken) == 0;
	}
	ck_assert_int_eq(sfs_writer_close(writer), 0);
	return acknowledged;
}

/* Returns false if the run ended before the call that should fail. */
static bool run_with_fault(unsigned n, int error, bool lasting, bool anew)
{
	testdir_open(&dir);
	fault_init(&fault, 0, error);
	options.disk_hook = &fault.hook;
	begin_faulty(anew);
	unsigned records = anew ? 0 : 4;
	tidier_drain(store->tidier);
	fault.calls = 0;
	fault.lasting = lasting;
	fault.fail_at = n;
	int r = reshard(NEW_SHARDS);
	bool hit = fault_hit(&fault);
	bool healed = fault.calls == n || !lasting;
	fault.fail_at = 0;
	may_fail = anew && !healed;
	ck_assert_int_eq(is_new(anew), r == 0);
	unsigned more = try_put();
	if (healed)
		ck_assert_uint_eq(more, 10);
	ck_assert_uint_eq(count_records(), records + more);
	(void)close_store();
	may_fail = false;
	open_store();
	bool new = is_new(anew);
	ck_assert(new || r < 0);
	if (healed)
		ck_assert_int_eq(new, r == 0);
	ck_assert_uint_eq(count_records(), records + more);
	ck_assert_int_eq(reshard(2), 0);
	ck_assert_uint_eq(try_put(), 10);
	ck_assert_uint_eq(count_records(), records + more + 10);
	close_all();
	testdir_close(&dir);
	return hit;
}

START_TEST(every_failure_leaves_old_or_new)
{
	static const struct {
		int error;
		bool lasting, anew;
	} runs[] = {{-EIO, false, false}, {-ENOSPC, false, false}, {-EIO, true, false},
		{-EIO, false, true}, {-EIO, true, true}};
	unsigned n = 1 + (unsigned)_i % stride();
	testdir_close(&dir);
	while (run_with_fault(n, runs[_i].error, runs[_i].lasting, runs[_i].anew))
		n += stride();
	ck_assert_uint_gt(n, runs[_i].anew ? 6 : 10);
	testdir_open(&dir);
}
END_TEST

static struct counted {
	atomic_uint calls, records;
	atomic_bool done;
	unsigned kill_at;
	bool armed, anew;
} *counted;

static int kill_before(struct disk_hook *hook, const struct disk_call *call, size_t *limit)
{
	(void)hook;
	(void)call;
	(void)limit;
	if (counted->armed && atomic_fetch_add(&counted->calls, 1) + 1 == counted->kill_at)
		_exit(99);
	return 0;
}

static struct disk_hook kill_hook = {.before = kill_before};

static void reshard_and_die(void)
{
	options.disk_hook = &kill_hook;
	begin_faulty(counted->anew);
	tidier_drain(store->tidier);
	counted->records = counted->anew ? 0 : 4;
	counted->armed = true;
	counted->done = reshard(NEW_SHARDS) == 0;
	counted->records += try_put();
}

START_TEST(a_kill_at_every_call_leaves_old_or_new)
{
	counted = mmap(
		NULL, sizeof *counted, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert(counted != MAP_FAILED);
	bool seen[2] = {false, false}, hit = true;
	for (unsigned n = 1; hit; n += stride()) {
		*counted = (struct counted){.kill_at = n, .anew = _i};
		testdir_close(&dir);
		testdir_open(&dir);
		options.disk_hook = NULL;
		in_killed_process(reshard_and_die);
		hit = counted->calls >= n;
		options.disk_hook = NULL;
		open_store();
		bool new = is_new(_i);
		seen[new] = true;
		ck_assert(new || !counted->done);
		ck_assert_uint_ge(count_records(), counted->records);
		ck_assert_int_eq(reshard(2), 0);
		ck_assert_uint_eq(try_put(), 10);
		close_all();
	}
	ck_assert(seen[0] && seen[1]);
	munmap(counted, sizeof *counted);
}
END_TEST

/* --- meanwhile --- */

enum { WRITERS = 6, LINES = 400, KEYS = 16 };

static atomic_uint writers_left;

static void *write_on(void *context)
{
	unsigned thread = (unsigned)(uintptr_t)context;
	struct sfs_writer *writer;
	ck_assert_int_eq(sfs_writer_open_put(stream, &writer), 0);
	for (unsigned i = 0; i < LINES; i++) {
		char line[64];
		size_t taken;
		int n = snprintf(line, sizeof line, "%u.%u %06u\n", thread, i % KEYS, i);
		ck_assert_int_eq(sfs_writer_write(writer, line, (size_t)n, &taken), 0);
		if (i % 50 == 0)
			ck_assert_int_eq(sfs_writer_sync_wait(writer), 0);
	}
	ck_assert_int_eq(sfs_writer_close(writer), 0);
	atomic_fetch_sub(&writers_left, 1);
	return NULL;
}

static void *reshard_on(void *context)
{
	unsigned x = (unsigned)(uintptr_t)context;
	while (writers_left) {
		x = x * 1103515245 + 12345;
		ck_assert_int_eq(reshard(1 + (x >> 16) % 9), 0);
	}
	return NULL;
}

/* Parents come before children in the order of shards. In this order each key's records rise. */
static void check_key_order(void)
{
	static int last[WRITERS][KEYS];
	unsigned records = 0;
	memset(last, 0xff, sizeof last);
	for (size_t i = 0; i < stream->table.count; i++) {
		ck_assert_int_eq(
			sfs_stream_shard(stream, stream->table.shards[i]->number, &shard), 0);
		uint64_t size = sfs_shard_size(shard);
		char *text = calloc(1, size + 1);
		size_t n = 0;
		ck_assert_int_eq(sfs_shard_read(shard, 0, text, size, &n), 0);
		for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
			unsigned thread, key;
			int at;
			ck_assert_int_eq(sscanf(line, "%u.%u %d", &thread, &key, &at), 3);
			ck_assert_int_gt(at, last[thread][key]);
			last[thread][key] = at;
			records++;
		}
		free(text);
		sfs_shard_unref(shard);
		shard = NULL;
	}
	ck_assert_uint_eq(records, WRITERS * LINES);
}

START_TEST(writers_go_on_and_keys_keep_their_order)
{
	pthread_t writers[WRITERS], resharders[2];
	open_store();
	configure("{\"key\":{\"field\":1,\"separator\":\" \"}}");
	writers_left = WRITERS;
	for (uintptr_t i = 0; i < WRITERS; i++)
		ck_assert_int_eq(pthread_create(&writers[i], NULL, write_on, (void *)i), 0);
	for (uintptr_t i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&resharders[i], NULL, reshard_on, (void *)i), 0);
	for (int i = 0; i < WRITERS; i++)
		pthread_join(writers[i], NULL);
	for (int i = 0; i < 2; i++)
		pthread_join(resharders[i], NULL);
	check_key_order();
	close_all();
	open_store();
	check_key_order();
	close_all();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("reshard");
	TCase *table = add_case(suite, "table");
	tcase_add_loop_test(table, random_sequences_match_the_model, 0, sampled(8));
	tcase_add_test(table, the_same_number_changes_nothing);
	tcase_add_test(table, the_greatest_numbers);
	tcase_add_test(table, no_numbers_left_is_refused);
	tcase_add_test(table, numbering_starts_over_without_records);
	TCase *closed = add_case(suite, "closed");
	tcase_add_test(closed, a_closed_shard_is_readable_and_takes_nothing);
	tcase_add_test(closed, a_closed_shard_is_sealed_and_merged);
	tcase_add_test(closed, a_closed_shard_survives_a_kill);
	tcase_add_test(closed, leftover_directories_are_used);
	TCase *failures = add_case(suite, "failures");
	tcase_add_loop_test(failures, every_failure_leaves_old_or_new, 0, 5);
	tcase_add_loop_test(failures, a_kill_at_every_call_leaves_old_or_new, 0, 2);
	TCase *meanwhile = add_case(suite, "meanwhile");
	tcase_add_test(meanwhile, writers_go_on_and_keys_keep_their_order);
	return run_suite(suite);
}
