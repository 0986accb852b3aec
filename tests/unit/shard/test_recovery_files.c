/* SPDX-License-Identifier: MIT */
/* Recovery of a shard with missing files, misplaced files, and files of the wrong content. */
#include "recoverytest.h"

/* --- segments that are empty, missing, misplaced --- */

START_TEST(empty_last_segment_is_dropped)
{
	make_synced();
	put_at(segment_file(FEW * LINE), 0, "", 0);
	open_all();
	ck_assert(!exists(segment_file(FEW * LINE)));
	check_lines(FEW, PAD);
	check_goes_on(FEW);
}
END_TEST

START_TEST(only_segment_empty_is_an_empty_shard)
{
	open_all();
	close_all();
	put_at(segment_file(0), 0, "", 0);
	open_all();
	check_lines(0, PAD);
	check_goes_on(0);
}
END_TEST

START_TEST(missing_segment_is_a_gap)
{
	uint64_t bases[8];
	struct buf want = {0};
	add_lines(&want, 0, 18, PAD);
	make_segments(18);
	ck_assert_uint_eq(list_bases(bases, 8), 5);
	size_t gone = (size_t)_i;
	ck_assert_int_eq(unlink(segment_file(bases[gone])), 0);
	for (int round = 0; round < 2; round++) {
		open_all();
		ck_assert_uint_eq(sfs_shard_size(shard), want.size);
		for (size_t i = 0; i < 5; i++) {
			uint64_t end = i < 4 ? bases[i + 1] : 18 * LINE;
			if (i != gone)
				check_range(bases[i], end, want.data + bases[i], 999);
			else
				ck_assert_int_eq(read_one(bases[i]), -EBADMSG);
			ck_assert_int_eq(read_one(end - 1), i == gone ? -EBADMSG : 1);
		}
		struct sfs_shard_info info;
		sfs_shard_info(shard, &info);
		ck_assert_uint_eq(info.next_sequence, 18 + round);
		append_lines_one_by_one(18 + (unsigned)round, 1, PAD);
		add_lines(&want, 18 + (unsigned)round, 1, PAD);
		check_range(18 * LINE, want.size, want.data + 18 * LINE, 999);
		close_all();
	}
	buf_fini(&want);
}
END_TEST

START_TEST(all_segments_missing_are_a_gap)
{
	make_synced();
	ck_assert_int_eq(unlink(segment_file(0)), 0);
	open_all();
	ck_assert_uint_eq(sfs_shard_size(shard), FEW * LINE);
	ck_assert_int_eq(read_one(0), -EBADMSG);
	ck_assert(reported("gone"));
	for (int round = 0; round < 2; round++) {
		append_lines_one_by_one(FEW + (unsigned)round, 1, PAD);
		struct buf want = {0};
		add_lines(&want, FEW, 1 + (unsigned)round, PAD);
		check_range(FEW * LINE, FEW * LINE + want.size, want.data, 99);
		buf_fini(&want);
		ck_assert_int_eq(read_one(0), -EBADMSG);
		reopen();
	}
}
END_TEST

START_TEST(swapped_segments_are_refused)
{
	uint64_t bases[8];
	make_segments(18);
	list_bases(bases, 8);
	size_t a = (size_t)_i / 5, b = (size_t)_i % 5;
	if (a == b)
		return;
	char first[400];
	snprintf(first, sizeof first, "%s", segment_file(bases[a]));
	ck_assert_int_eq(
		renameat2(AT_FDCWD, first, AT_FDCWD, segment_file(bases[b]), RENAME_EXCHANGE), 0);
	struct buf want = {0};
	add_lines(&want, 0, 18, PAD);
	open_all();
	ck_assert_uint_eq(sfs_shard_size(shard), want.size);
	for (size_t i = 0; i < 5; i++) {
		uint64_t end = i < 4 ? bases[i + 1] : want.size;
		if (i != a && i != b)
			check_range(bases[i], end, want.data + bases[i], 999);
		for (uint64_t at = bases[i]; at < end; at++) {
			char byte;
			size_t n;
			if (sfs_shard_read(shard, at, &byte, 1, &n) == 0)
				ck_assert_int_eq(byte, want.data[at]);
			else
				ck_assert(i == a || i == b);
		}
	}
	buf_fini(&want);
}
END_TEST

START_TEST(segment_of_another_shard_is_refused)
{
	make_synced();
	ck_assert_int_eq(rename(segment_file(0), file_path("mine")), 0);
	open_store();
	struct sfs_stream *other;
	struct sfs_shard *other_shard;
	struct sfs_owner owner = {0755, 0, 0};
	ck_assert_int_eq(sfs_stream_create(store, "other", &owner, &other), 0);
	ck_assert_int_eq(sfs_stream_shard(other, 0, &other_shard), 0);
	shard = other_shard;
	append_lines_one_by_one(50, FEW, PAD);
	sfs_stream_unref(other);
	close_all();
	char foreign[400];
	snprintf(foreign, sizeof foreign, "%s/streams/other/shard-0000/%020d.lz4", dir.path, 0);
	ck_assert_int_eq(rename(foreign, segment_file(0)), 0);
	open_all();
	ck_assert_uint_eq(sfs_shard_size(shard), FEW * LINE);
	for (uint64_t at = 0; at < FEW * LINE; at += LINE)
		ck_assert_int_eq(read_one(at), -EBADMSG);
}
END_TEST

START_TEST(symlink_or_fifo_segment_does_not_hang)
{
	uint64_t bases[8];
	make_segments(18);
	size_t count = list_bases(bases, 8);
	uint64_t base = _i / 3 ? bases[count - 1] : bases[1];
	char aside[400];
	snprintf(aside, sizeof aside, "%s", file_path("aside"));
	ck_assert_int_eq(rename(segment_file(base), aside), 0);
	if (_i % 3 == 0)
		ck_assert_int_eq(symlink(aside, segment_file(base)), 0);
	else if (_i % 3 == 1)
		ck_assert_int_eq(mkfifo(segment_file(base), 0600), 0);
	else
		ck_assert_int_eq(mkdir(segment_file(base), 0700), 0);
	struct buf want = {0};
	add_lines(&want, 0, 18, PAD);
	open_all();
	ck_assert_uint_eq(sfs_shard_size(shard), want.size);
	ck_assert_int_eq(read_one(base), -EBADMSG);
	check_range(0, bases[1], want.data, 999);
	check_range(bases[2], bases[3], want.data + bases[2], 999);
	append_lines_one_by_one(18, 1, PAD);
	ck_assert_int_eq(read_one(18 * LINE), 1);
	buf_fini(&want);
}
END_TEST

START_TEST(odd_file_in_place_of_the_watermark_does_no_harm)
{
	make_synced();
	ck_assert_int_eq(unlink(file_path("synced")), 0);
	if (_i == 0)
		ck_assert_int_eq(symlink("/dev/zero", file_path("synced")), 0);
	else if (_i == 1)
		ck_assert_int_eq(mkfifo(file_path("synced"), 0600), 0);
	else if (_i == 2)
		ck_assert_int_eq(mkdir(file_path("synced"), 0700), 0);
	else
		put_at(file_path("synced"), 0, "junk", 4);
	open_all();
	ck_assert(reported("no good slot"));
	check_lines(FEW, PAD);
	append_lines_one_by_one(FEW, 1, PAD);
	sync_shard_now();
	check_lines(FEW + 1, PAD);
}
END_TEST

START_TEST(odd_file_in_place_of_an_index_does_no_harm)
{
	make_segments(9);
	ck_assert(exists(index_file(0)));
	ck_assert_int_eq(unlink(index_file(0)), 0);
	if (_i == 0)
		ck_assert_int_eq(symlink("/dev/zero", index_file(0)), 0);
	else if (_i == 1)
		ck_assert_int_eq(mkfifo(index_file(0), 0600), 0);
	else
		ck_assert_int_eq(mkdir(index_file(0), 0700), 0);
	open_all();
	check_lines(9, PAD);
}
END_TEST

/* --- indexes --- */

START_TEST(missing_index_is_rebuilt)
{
	size_t bytes, again_bytes;
	make_segments(9);
	uint8_t *before = slurp(index_file(0), &bytes);
	ck_assert_int_eq(unlink(index_file(0)), 0);
	open_all();
	check_lines(9, PAD);
	tidier_drain(store->tidier);
	uint8_t *again = slurp(index_file(0), &again_bytes);
	ck_assert_uint_eq(again_bytes, bytes);
	ck_assert_mem_eq(again, before, bytes);
	free(before);
	free(again);
}
END_TEST

START_TEST(every_damaged_index_is_rebuilt)
{
	size_t bytes;
	make_segments(9);
	uint8_t *good = slurp(index_file(0), &bytes);
	options.read_only = true;
	for (size_t at = 0; at < bytes; at += stride()) {
		flip_byte(index_file(0), at);
		open_all();
		check_lines(9, PAD);
		close_all();
		put_at(index_file(0), at, good + at, 1);
	}
	for (size_t cut = 0; cut < bytes; cut += stride()) {
		cut_file(index_file(0), cut);
		open_all();
		check_lines(9, PAD);
		close_all();
		put_at(index_file(0), 0, good, bytes);
	}
	free(good);
}
END_TEST

START_TEST(stale_index_is_ignored)
{
	size_t bytes;
	uint64_t bases[8];
	make_segments(18);
	list_bases(bases, 8);
	/* The index of one segment beside another, and one from before a merge. */
	uint8_t *foreign = slurp(index_file(bases[1]), &bytes);
	ck_assert_int_eq(unlink(index_file(bases[2])), 0);
	put_at(index_file(bases[2]), 0, foreign, bytes);
	free(foreign);
	open_all();
	check_lines(18, PAD);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("recovery_files");
	TCase *files = add_case(suite, "files");
	tcase_add_test(files, empty_last_segment_is_dropped);
	tcase_add_test(files, only_segment_empty_is_an_empty_shard);
	tcase_add_loop_test(files, missing_segment_is_a_gap, 0, 5);
	tcase_add_test(files, all_segments_missing_are_a_gap);
	tcase_add_loop_test(files, swapped_segments_are_refused, 0, 25);
	tcase_add_test(files, segment_of_another_shard_is_refused);
	tcase_add_loop_test(files, symlink_or_fifo_segment_does_not_hang, 0, 6);
	tcase_add_loop_test(files, odd_file_in_place_of_the_watermark_does_no_harm, 0, 4);
	tcase_add_loop_test(files, odd_file_in_place_of_an_index_does_no_harm, 0, 3);
	TCase *index = add_case(suite, "index");
	tcase_add_test(index, missing_index_is_rebuilt);
	tcase_add_test(index, every_damaged_index_is_rebuilt);
	tcase_add_test(index, stale_index_is_ignored);
	return run_suite(suite);
}
