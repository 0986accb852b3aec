/* SPDX-License-Identifier: MIT */
#include "viewtest.h"

#include "cursor.h"
#include "tidier.h"

/* Checks that the next record is this line, at this place. */
static void check_next(struct cursor *c, const char *line, uint64_t sequence, uint64_t offset)
{
	struct cursor_record record;
	ck_assert_int_eq(cursor_record(c, &record), 0);
	ck_assert_uint_eq(record.bytes, strlen(line));
	ck_assert(!memcmp(record.text, line, record.bytes));
	ck_assert(record.first && record.last);
	ck_assert_uint_eq(record.sequence, sequence);
	ck_assert_uint_eq(record.offset, offset);
	cursor_pass(c);
}

static void check_end(struct cursor *c, int result)
{
	struct cursor_record record;
	uint64_t ms;
	ck_assert_int_eq(cursor_record(c, &record), result);
	ck_assert_int_eq(cursor_arrival(c, &ms), result);
}

START_TEST(records_come_in_order_and_growth_is_seen)
{
	struct cursor c;
	open_all();
	cursor_init(&c, shard, 0, NULL, 0);
	check_end(&c, -ENODATA);
	append_bytes("one\n\ntwo\n", 9);
	check_next(&c, "one\n", 0, 0);
	check_next(&c, "\n", 1, 4);
	append_bytes("three\n", 6);
	check_next(&c, "two\n", 2, 5);
	check_next(&c, "three\n", 3, 9);
	check_end(&c, -ENODATA);
	append_bytes("four\n", 5);
	check_next(&c, "four\n", 4, 15);
	check_end(&c, -ENODATA);
	cursor_fini(&c);
	close_all();
}
END_TEST

START_TEST(it_begins_inside_of_a_chunk)
{
	struct cursor c;
	open_all();
	append_bytes("one\ntwo\nthree\n", 14);
	cursor_init(&c, shard, 8, NULL, 0);
	check_next(&c, "three\n", 2, 8);
	check_end(&c, -ENODATA);
	cursor_fini(&c);
	close_all();
}
END_TEST

START_TEST(parked_or_merged_below_it_it_goes_on_where_it_was)
{
	struct cursor c;
	struct buf want = {0};
	options.segment_chunks = 20;
	open_all();
	append_lines_one_by_one(0, 60, 10);
	add_lines(&want, 0, 60, 10);
	cursor_init(&c, shard, 0, NULL, 0);
	size_t line = want.size / 60;
	char text[64];
	for (unsigned i = 0; i < 60; i++) {
		memcpy(text, want.data + i * line, line);
		text[line] = 0;
		check_next(&c, text, i, i * line);
		if (i % 7 == 3)
			cursor_park(&c);
		if (i == 5)
			tidier_drain(store->tidier); /* the first two segments are merged */
	}
	check_end(&c, -ENODATA);
	cursor_fini(&c);
	buf_fini(&want);
	close_all();
}
END_TEST

START_TEST(arrival_times_are_known_without_reading)
{
	struct cursor c;
	uint64_t ms;
	open_all();
	clock_ms = 1000;
	append_bytes("one\n", 4);
	clock_ms = 1005;
	append_bytes("two\n", 4);
	cursor_init(&c, shard, 0, NULL, 0);
	ck_assert_int_eq(cursor_arrival(&c, &ms), 0);
	ck_assert_uint_eq(ms, 1000);
	ck_assert(c.state == CURSOR_BETWEEN);
	const uint8_t *text;
	size_t bytes;
	ck_assert_int_eq(cursor_text(&c, 2000, &text, &bytes), 0);
	ck_assert_uint_eq(bytes, 4);
	cursor_take(&c, 2);
	ck_assert(cursor_in_record(&c));
	cursor_take(&c, 2);
	ck_assert(!cursor_in_record(&c));
	ck_assert_int_eq(cursor_arrival(&c, &ms), 0);
	ck_assert_uint_eq(ms, 1005);
	cursor_fini(&c);
	close_all();
}
END_TEST

static void append_key(const char *key, const void *text, size_t bytes)
{
	struct sfs_writer *writer;
	ck_assert_int_eq(sfs_writer_open_key(stream, key, strlen(key), &writer), 0);
	write_to(writer, text, bytes);
}

/* Damages the frame of a chunk, but neither its header nor its meta. */
static void damage_frame(size_t number)
{
	struct placed chunks[16];
	ck_assert_uint_lt(number, list_chunks(segment_file(0), chunks, 16));
	flip_byte(segment_file(0),
		chunks[number].at + chunk_stored_bytes(&chunks[number].chunk) - 12);
}

START_TEST(chunks_without_the_key_are_passed_undecoded)
{
	struct cursor c;
	struct buf large = {0};
	open_all();
	add_lines(&large, 0, 3000, 60); /* so large that only its meta is read */
	append_key("other", large.data, large.size);
	append_key("mine", "one\n", 4);
	append_bytes("none\n", 5);
	append_key("another", "x\n", 2);
	append_key("mine", "two\n", 4);
	damage_frame(0);
	damage_frame(2);
	damage_frame(3);
	cursor_init(&c, shard, 0, "mine", 4);
	check_next(&c, "one\n", 3000, large.size);
	check_next(&c, "two\n", 3003, large.size + 11);
	check_end(&c, -ENODATA);
	cursor_fini(&c);
	buf_fini(&large);
	close_all();
}
END_TEST

START_TEST(keys_of_a_merged_chunk_are_told_apart)
{
	struct cursor c;
	options.segment_bytes = 20;
	open_all();
	for (int i = 0; i < 3; i++) {
		append_key("a", "aaa\n", 4);
		append_key("b", "bbb\n", 4);
	}
	append_key("a", "end\n", 4);
	tidier_drain(store->tidier);
	cursor_init(&c, shard, 0, "b", 1);
	check_next(&c, "bbb\n", 1, 4);
	check_next(&c, "bbb\n", 3, 12);
	check_next(&c, "bbb\n", 5, 20);
	check_end(&c, -ENODATA);
	cursor_fini(&c);
	close_all();
}
END_TEST

START_TEST(behind_damage_it_goes_on_with_the_next_whole_record)
{
	struct cursor c;
	open_all();
	configure("{\"large_records\":{\"policy\":\"split\"}}");
	size_t bytes = 5 << 19;
	char *text = malloc(bytes);
	memset(text, 'x', bytes);
	text[bytes - 1] = '\n';
	append_bytes("first\n", 6);
	append_bytes(text, bytes);
	append_bytes("last\n", 5);
	damage_frame(1);
	cursor_init(&c, shard, 0, NULL, 0);
	check_next(&c, "first\n", 0, 0);
	check_end(&c, -EBADMSG);
	check_end(&c, -EBADMSG);
	cursor_skip(&c);
	check_next(&c, "last\n", 2, 6 + bytes);
	check_end(&c, -ENODATA);
	cursor_fini(&c);
	free(text);
	close_all();
}
END_TEST

START_TEST(a_missing_segment_is_one_damage)
{
	struct cursor c;
	options.segment_bytes = 1;
	open_all();
	append_bytes("one\n", 4);
	append_bytes("two\n", 4);
	append_bytes("three\n", 6);
	tidier_drain(store->tidier);
	ck_assert_int_eq(unlink(segment_file(4)), 0);
	unlink(index_file(4));
	reopen();
	cursor_init(&c, shard, 0, NULL, 0);
	check_next(&c, "one\n", 0, 0);
	check_end(&c, -EBADMSG);
	cursor_skip(&c);
	check_next(&c, "three\n", 2, 8);
	check_end(&c, -ENODATA);
	cursor_fini(&c);
	close_all();
}
END_TEST

START_TEST(a_long_record_comes_in_pieces)
{
	struct cursor c;
	struct cursor_record record;
	open_all();
	configure("{\"large_records\":{\"policy\":\"split\"}}");
	size_t bytes = 5 << 19, at = 0;
	char *text = malloc(bytes);
	for (size_t i = 0; i < bytes; i++)
		text[i] = (char)('a' + i % 26);
	text[bytes - 1] = '\n';
	append_bytes(text, bytes);
	cursor_init(&c, shard, 0, NULL, 0);
	while (at < bytes) {
		ck_assert_int_eq(cursor_record(&c, &record), 0);
		ck_assert_uint_le(record.bytes, bytes - at);
		ck_assert(!memcmp(record.text, text + at, record.bytes));
		ck_assert_uint_eq(record.first, at == 0);
		at += record.bytes;
		ck_assert_uint_eq(record.last, at == bytes);
		ck_assert_uint_eq(record.sequence, 0);
		ck_assert_uint_eq(record.offset, 0);
		cursor_pass(&c);
		ck_assert_uint_eq(cursor_in_record(&c), at < bytes);
	}
	check_end(&c, -ENODATA);
	cursor_fini(&c);
	free(text);
	close_all();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cursor");
	TCase *tcase = add_case(suite, "records");
	tcase_add_test(tcase, records_come_in_order_and_growth_is_seen);
	tcase_add_test(tcase, it_begins_inside_of_a_chunk);
	tcase_add_test(tcase, parked_or_merged_below_it_it_goes_on_where_it_was);
	tcase_add_test(tcase, arrival_times_are_known_without_reading);
	tcase_add_test(tcase, chunks_without_the_key_are_passed_undecoded);
	tcase_add_test(tcase, keys_of_a_merged_chunk_are_told_apart);
	tcase_add_test(tcase, behind_damage_it_goes_on_with_the_next_whole_record);
	tcase_add_test(tcase, a_missing_segment_is_one_damage);
	tcase_add_test(tcase, a_long_record_comes_in_pieces);
	return run_suite(suite);
}
