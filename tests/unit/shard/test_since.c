/* SPDX-License-Identifier: MIT */
#include "viewtest.h"

#include "since.h"
#include "tidier.h"

enum { FIRST_MS = 1000000 };

/* Offset of the model's first record in shard 0 at or after a time; the size if there is none. */
static uint64_t model_since(uint64_t since_ms)
{
	const struct model_shard *s = &model.shards[0];
	for (size_t i = 0; i < record_count(s); i++)
		if (record_of(s, i)->arrival_ms >= since_ms)
			return record_of(s, i)->offset;
	return s->size;
}

static void check_since(uint64_t since_ms)
{
	uint64_t offset = 99, want = model_since(since_ms);
	int r = shard_since(shard, since_ms, &offset);
	if (want == model.shards[0].size) {
		ck_assert_int_eq(r, -ENODATA);
		return;
	}
	ck_assert_int_eq(r, 0);
	ck_assert_msg(offset == want, "since %" PRIu64 ": %" PRIu64 ", not %" PRIu64, since_ms,
		offset, want);
}

static void check_all(void)
{
	check_since(0);
	for (uint64_t ms = FIRST_MS - 2; ms < model.shards[0].last_ms + 3; ms++)
		check_since(ms);
	check_since(UINT64_MAX);
}

static void append_at(uint64_t ms, const char *text)
{
	clock_ms = ms;
	model_append(shard, NULL, text, strlen(text));
}

static void finish(void)
{
	model_free();
	close_all();
}

START_TEST(an_empty_shard_has_no_record_since)
{
	open_all();
	model_find_shards();
	check_since(0);
	check_since(5);
	finish();
}
END_TEST

START_TEST(records_of_one_time_over_chunks_begin_with_the_first)
{
	open_all();
	for (int i = 0; i < 5; i++)
		append_at(FIRST_MS, "a\nb\n");
	append_at(FIRST_MS + 7, "c\n");
	append_at(FIRST_MS + 7, "d\n");
	check_all();
	finish();
}
END_TEST

START_TEST(times_are_found_over_segments_merged_and_not)
{
	options.segment_chunks = 7;
	open_all();
	random_state = 3;
	for (unsigned i = 0, ms = 0; i < 100; i++, ms += (unsigned)below(4))
		append_at(FIRST_MS + ms, i % 3 ? "one\n" : "one\ntwo\nthree\n");
	check_all();
	tidier_drain(store->tidier);
	check_all();
	model_leave_shards();
	reopen();
	model_return_to_shards();
	check_all();
	finish();
}
END_TEST

START_TEST(a_clock_that_steps_back_leaves_times_in_order)
{
	options.segment_chunks = 3;
	open_all();
	append_at(FIRST_MS + 50, "a\n");
	append_at(FIRST_MS + 10, "b\n");
	append_at(FIRST_MS + 60, "c\n");
	append_at(FIRST_MS + 20, "d\n");
	check_all();
	model_leave_shards();
	reopen();
	model_return_to_shards();
	append_at(FIRST_MS, "e\n");
	check_all();
	ck_assert_uint_eq(record_of(&model.shards[0], 4)->arrival_ms, FIRST_MS + 60);
	finish();
}
END_TEST

START_TEST(a_record_of_many_chunks_is_found_by_its_beginning)
{
	open_all();
	configure("{\"large_records\":{\"policy\":\"split\"}}");
	size_t bytes = 3 << 20;
	char *text = malloc(bytes + 1);
	memset(text, 'x', bytes);
	text[bytes - 1] = '\n';
	text[bytes] = 0;
	append_at(FIRST_MS, "a\n");
	append_at(FIRST_MS + 5, text);
	append_at(FIRST_MS + 9, "b\n");
	check_all();
	free(text);
	finish();
}
END_TEST

START_TEST(a_time_in_damage_is_where_the_damage_begins)
{
	uint64_t offset;
	options.segment_bytes = 1;
	open_all();
	append_at(FIRST_MS, "a\n");
	append_at(FIRST_MS + 10, "b\n");
	append_at(FIRST_MS + 20, "c\n");
	append_at(FIRST_MS + 30, "d\n");
	tidier_drain(store->tidier);
	ck_assert_int_eq(unlink(segment_file(2)), 0);
	unlink(index_file(2));
	model_leave_shards();
	reopen();
	model_return_to_shards();
	ck_assert_int_eq(shard_since(shard, FIRST_MS + 10, &offset), 0);
	ck_assert_uint_eq(offset, 2);
	ck_assert_int_eq(shard_since(shard, FIRST_MS + 20, &offset), 0);
	ck_assert_uint_eq(offset, 2);
	ck_assert_int_eq(shard_since(shard, FIRST_MS + 21, &offset), 0);
	ck_assert_uint_eq(offset, 6);
	ck_assert_int_eq(shard_since(shard, FIRST_MS, &offset), 0);
	ck_assert_uint_eq(offset, 0);
	finish();
}
END_TEST

START_TEST(behind_a_segment_that_is_lost_times_do_not_step_back)
{
	uint64_t offset;
	options.segment_bytes = 1;
	open_all();
	append_at(FIRST_MS + 100, "a\n");
	append_at(FIRST_MS + 200, "b\n");
	sync_shard_now();
	model_free();
	close_all();
	struct placed chunk;
	ck_assert_uint_eq(list_chunks(segment_file(2), &chunk, 1), 1);
	flip_byte(segment_file(2), 60);
	open_all();
	clock_ms = FIRST_MS;
	append_bytes("c\n", 2);
	struct sfs_shard_info info;
	sfs_shard_info(shard, &info);
	ck_assert_uint_ge(info.last_arrival_ms, FIRST_MS + 100);
	ck_assert_int_eq(shard_since(shard, FIRST_MS + 150, &offset), -ENODATA);
	close_all();
}
END_TEST

START_TEST(a_time_to_come_begins_with_the_first_record_then)
{
	open_all();
	append_at(FIRST_MS, "a\n");
	for (int json = 0; json < 2; json++)
		for (int filter = SFS_OF_SHARD; filter <= SFS_OF_ALL; filter += 2) {
			uint64_t then = clock_ms + 100;
			struct sfs_view_spec spec = {
				.start = SFS_FROM_TIME,
				.since_ms = then,
				.filter = (enum sfs_view_filter)filter,
				.json = json,
				.shard = shard,
			};
			struct sfs_view *view = open_view(spec);
			struct model_reader reader = model_open(&spec);
			struct buf got = {0};
			append_at(then - 1, "too early\n");
			ck_assert_int_eq(drain(view, 5, false, &got), 0);
			ck_assert_uint_eq(got.size, 0);
			ck_assert_uint_eq(sfs_view_size(view), 0);
			append_at(then, "now\n");
			ck_assert_int_eq(drain(view, 5, false, &got), 0);
			model_check(&reader, &got);
			ck_assert_uint_eq(
				sfs_view_size(view), filter == SFS_OF_SHARD ? got.size : 0);
			sfs_view_close(view);
			buf_fini(&got);
		}
	finish();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("since");
	TCase *tcase = add_case(suite, "since");
	tcase_add_test(tcase, an_empty_shard_has_no_record_since);
	tcase_add_test(tcase, records_of_one_time_over_chunks_begin_with_the_first);
	tcase_add_test(tcase, times_are_found_over_segments_merged_and_not);
	tcase_add_test(tcase, a_clock_that_steps_back_leaves_times_in_order);
	tcase_add_test(tcase, a_record_of_many_chunks_is_found_by_its_beginning);
	tcase_add_test(tcase, a_time_in_damage_is_where_the_damage_begins);
	tcase_add_test(tcase, behind_a_segment_that_is_lost_times_do_not_step_back);
	tcase_add_test(tcase, a_time_to_come_begins_with_the_first_record_then);
	return run_suite(suite);
}
