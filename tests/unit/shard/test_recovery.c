/* SPDX-License-Identifier: MIT */
/* Recovery of a shard: torn writes, damage, killed processes, and what recovery must not do. */
#include "recoverytest.h"

#include <xxhash.h>

/* --- an unfinished write at the end --- */

START_TEST(every_torn_tail_is_cut)
{
	struct placed chunks[2 * FEW];
	in_killed_process(append_unsynced);
	size_t whole = file_size(segment_file(0));
	size_t count = list_chunks(segment_file(0), chunks, 2 * FEW);
	ck_assert_uint_eq(count, FEW);
	for (size_t cut = whole - 1; cut > chunks[FEW - 1].at; cut -= stride()) {
		cut_file(segment_file(0), cut);
		options.read_only = true; /* so that the next round finds the same file */
		open_all();
		check_lines(FEW - 1, PAD);
		close_all();
	}
	options.read_only = false;
	open_all();
	check_lines(FEW - 1, PAD);
	ck_assert_uint_eq(file_size(segment_file(0)), chunks[FEW - 1].at);
	ck_assert(reported("cut"));
	ck_assert_uint_eq(reports.errors, 0);
	check_goes_on(FEW - 1);
}
END_TEST

START_TEST(torn_tail_is_kept_aside)
{
	struct placed chunks[FEW];
	char name[256];
	size_t bytes, kept;
	in_killed_process(append_unsynced);
	list_chunks(segment_file(0), chunks, FEW);
	cut_file(segment_file(0), file_size(segment_file(0)) - 5);
	uint8_t *before = slurp(segment_file(0), &bytes);
	open_all();
	ck_assert_uint_eq(count_files(".torn", name), 1);
	uint8_t *torn = slurp(file_path(name), &kept);
	ck_assert_uint_eq(kept, bytes - chunks[FEW - 1].at);
	ck_assert_mem_eq(torn, before + chunks[FEW - 1].at, kept);
	free(torn);
	free(before);
}
END_TEST

START_TEST(zeros_at_end_are_cut)
{
	in_killed_process(append_unsynced);
	uint64_t whole = file_size(segment_file(0));
	cut_file(segment_file(0), whole + 100000);
	open_all();
	check_lines(FEW, PAD);
	ck_assert_uint_eq(file_size(segment_file(0)), whole);
	ck_assert_uint_eq(count_files(".torn", NULL), 0);
	check_goes_on(FEW);
}
END_TEST

START_TEST(changed_byte_above_watermark_at_the_end_is_torn)
{
	in_killed_process(append_unsynced);
	flip_byte(segment_file(0), file_size(segment_file(0)) - 3);
	open_all();
	check_lines(FEW - 1, PAD);
	check_goes_on(FEW - 1);
}
END_TEST

static const size_t long_bytes = (3 << 20) + 12345;

static void append_long_record(void)
{
	open_all();
	configure("{\"large_records\":{\"policy\":\"split\"},\"compression\":\"none\"}");
	append_lines_one_by_one(0, FEW, PAD);
	char *text = malloc(long_bytes);
	memset(text, 'x', long_bytes);
	struct sfs_writer *writer;
	size_t taken;
	ck_assert_int_eq(sfs_writer_open_shard(shard, &writer), 0);
	ck_assert_int_eq(sfs_writer_write(writer, text, long_bytes, &taken), 0);
	ck_assert_uint_eq(taken, long_bytes);
	ck_assert_int_eq(sfs_writer_close(writer), 0);
	free(text);
}

START_TEST(open_record_is_torn_as_a_whole)
{
	struct placed chunks[FEW + 8];
	in_killed_process(append_long_record);
	size_t count = list_chunks(segment_file(0), chunks, FEW + 8);
	ck_assert_uint_eq(count, FEW + 4);
	/* The last chunk is missing, then torn; then one more in each round. */
	cut_file(segment_file(0), chunks[count - 1 - (size_t)_i / 2].at + (_i % 2 ? 1000 : 0));
	open_all();
	check_lines(FEW, PAD);
	ck_assert_uint_eq(file_size(segment_file(0)), chunks[FEW].at);
	check_goes_on(FEW);
}
END_TEST

START_TEST(whole_long_record_is_kept)
{
	in_killed_process(append_long_record);
	open_all();
	ck_assert_uint_eq(sfs_shard_size(shard), FEW * LINE + long_bytes + 1);
	char *want = malloc(long_bytes + 1);
	memset(want, 'x', long_bytes);
	want[long_bytes] = '\n';
	check_range(FEW * LINE, FEW * LINE + long_bytes + 1, want, 700001);
	free(want);
}
END_TEST

START_TEST(open_record_behind_damage_is_torn)
{
	struct placed chunks[FEW + 8];
	in_killed_process(append_long_record);
	size_t count = list_chunks(segment_file(0), chunks, FEW + 8);
	flip_byte(segment_file(0), chunks[FEW].at + 300);
	cut_file(segment_file(0), chunks[count - 1].at);
	open_all();
	uint64_t size = sfs_shard_size(shard);
	append_bytes("next\n", 5);
	/* The next record begins on a line of its own or behind a gap. */
	ck_assert(read_one(size - 1) == -EBADMSG);
	check_range(size, size + 5, "next\n", 5);
	reopen();
	check_range(size, size + 5, "next\n", 5);
}
END_TEST

/* --- damage --- */

/* Checks that one chunk of the segment cannot be read and all others can. */
static void check_gap(const struct placed *chunks, size_t count, size_t gap, size_t lines)
{
	struct buf want = {0};
	add_lines(&want, 0, (unsigned)lines, PAD);
	ck_assert_uint_eq(sfs_shard_size(shard), want.size);
	for (size_t i = 0; i < count; i++) {
		uint64_t from = chunks[i].chunk.text_offset, to = from + chunks[i].chunk.text_bytes;
		if (i != gap)
			check_range(from, to, want.data + from, 4096);
		for (uint64_t at = from; i == gap && at < to; at++)
			ck_assert_int_eq(read_one(at), -EBADMSG);
	}
	/* A read that begins before the gap is short. */
	char got[64];
	size_t n;
	uint64_t begin = chunks[gap].chunk.text_offset;
	if (begin) {
		ck_assert_int_eq(sfs_shard_read(shard, begin - 7, got, sizeof got, &n), 0);
		ck_assert_uint_eq(n, 7);
		ck_assert_mem_eq(got, want.data + begin - 7, 7);
	}
	buf_fini(&want);
}

START_TEST(damage_with_good_chunks_behind_is_a_gap)
{
	struct placed chunks[FEW];
	in_killed_process(append_unsynced);
	size_t count = list_chunks(segment_file(0), chunks, FEW);
	uint64_t whole = file_size(segment_file(0));
	size_t gap = (size_t)_i / 3;
	static const unsigned where[] = {0, 20, sizeof(struct chunk_header) + 30};
	flip_byte(segment_file(0), chunks[gap].at + where[_i % 3]);
	open_all();
	check_gap(chunks, count, gap, FEW);
	ck_assert_uint_eq(file_size(segment_file(0)), whole);
	ck_assert(reported("cannot be read"));
	struct sfs_shard_info info;
	sfs_shard_info(shard, &info);
	ck_assert_uint_eq(info.quarantined_bytes, LINE);
	ck_assert_uint_eq(info.next_sequence, FEW);
	append_lines_one_by_one(FEW, 2, PAD);
	check_gap(chunks, count, gap, FEW + 2);
	reopen();
	check_gap(chunks, count, gap, FEW + 2);
}
END_TEST

/* A page is read on after a short read: the damage that cut it short counts once. */
START_TEST(damage_is_counted_when_a_read_fails_for_it)
{
	struct placed chunks[FEW];
	char got[4 * LINE];
	size_t n;
	in_killed_process(append_unsynced);
	list_chunks(segment_file(0), chunks, FEW);
	flip_byte(segment_file(0), chunks[1].at + sizeof(struct chunk_header) + 30);
	open_all();
	uint64_t before = metric_get(&store->env.metrics.checksum_errors);
	ck_assert_int_eq(sfs_shard_read_page(shard, 0, got, sizeof got, &n), 0);
	ck_assert_uint_eq(n, LINE);
	ck_assert_int_eq(sfs_shard_read_page(shard, n, got, sizeof got, &n), -EBADMSG);
	ck_assert_uint_eq(metric_get(&store->env.metrics.checksum_errors), before + 1);
}
END_TEST

START_TEST(damage_below_watermark_is_never_cut)
{
	struct placed chunks[FEW];
	make_synced();
	size_t count = list_chunks(segment_file(0), chunks, FEW);
	uint64_t whole = file_size(segment_file(0));
	unsigned where = _i ? sizeof(struct chunk_header) + 30 : 20;
	flip_byte(segment_file(0), chunks[FEW - 1].at + where);
	open_all();
	check_gap(chunks, count, FEW - 1, FEW);
	append_lines_one_by_one(FEW, 2, PAD);
	check_gap(chunks, count, FEW - 1, FEW + 2);
	ck_assert_uint_ge(file_size(segment_file(0)), whole);
	reopen();
	check_gap(chunks, count, FEW - 1, FEW + 2);
	ck_assert_uint_eq(count_files(".torn", NULL), 0);
}
END_TEST

START_TEST(every_byte_of_a_segment_can_be_damaged)
{
	struct placed chunks[2 * FEW];
	struct buf want = {0};
	add_lines(&want, 0, 2 * FEW, PAD);
	make_half_synced();
	size_t count = list_chunks(segment_file(0), chunks, 2 * FEW), bytes;
	uint8_t *good = slurp(segment_file(0), &bytes);
	options.read_only = true;
	for (size_t at = 0; at < bytes; at += stride()) {
		flip_byte(segment_file(0), at);
		open_all();
		size_t hit = 0;
		while (hit + 1 < count && chunks[hit + 1].at <= at)
			hit++;
		uint64_t size = sfs_shard_size(shard);
		ck_assert_uint_ge(size, want.size - (hit == count - 1 ? LINE : 0));
		for (size_t i = 0; i < count; i++) {
			uint64_t from = chunks[i].chunk.text_offset;
			if (i != hit)
				check_range(from, from + LINE, want.data + from, LINE);
			else if (from < size)
				ck_assert_int_eq(read_one(from), -EBADMSG);
		}
		close_all();
		put_at(segment_file(0), at, good + at, 1);
	}
	free(good);
	buf_fini(&want);
}
END_TEST

START_TEST(next_append_after_lost_end_begins_new_segment)
{
	struct placed chunks[FEW];
	uint64_t bases[4];
	make_synced();
	list_chunks(segment_file(0), chunks, FEW);
	cut_file(segment_file(0), chunks[FEW - 2].at + 11);
	open_all();
	ck_assert_uint_eq(sfs_shard_size(shard), FEW * LINE);
	ck_assert_int_eq(read_one((FEW - 2) * LINE), -EBADMSG);
	ck_assert_int_eq(read_one(FEW * LINE - 1), -EBADMSG);
	struct sfs_shard_info info;
	sfs_shard_info(shard, &info);
	ck_assert_uint_eq(info.next_sequence, FEW);
	append_lines_one_by_one(FEW, 2, PAD);
	ck_assert_uint_eq(list_bases(bases, 4), 2);
	ck_assert_uint_eq(bases[1], FEW * LINE);
	ck_assert_uint_eq(file_size(segment_file(0)), chunks[FEW - 2].at + 11);
	struct buf want = {0};
	add_lines(&want, 0, FEW + 2, PAD);
	for (int round = 0; round < 2; round++) {
		check_range(0, (FEW - 2) * LINE, want.data, 1000);
		ck_assert_int_eq(read_one((FEW - 2) * LINE), -EBADMSG);
		check_range(FEW * LINE, want.size, want.data + FEW * LINE, 1000);
		reopen();
		sfs_shard_info(shard, &info);
		ck_assert_uint_eq(info.next_sequence, FEW + 2);
	}
	buf_fini(&want);
}
END_TEST

/* --- what a killed process leaves --- */

START_TEST(killed_process_loses_nothing)
{
	in_killed_process(append_unsynced);
	open_all();
	check_lines(FEW, PAD);
	ck_assert_uint_eq(synced_offset(), 0);
	ck_assert_uint_eq(reports.errors, 0);
	check_goes_on(FEW);
}
END_TEST

struct sync_log {
	struct disk_hook hook; /* first */
	atomic_uint files, dirs;
};

static void count_sync(struct disk_hook *hook, const struct disk_call *call, int result)
{
	struct sync_log *log = (struct sync_log *)hook;
	(void)result;
	log->files += call->op == DISK_SYNC;
	log->dirs += call->op == DISK_SYNC_DIR;
}

static struct sync_log log_of_syncs = {.hook = {.after = count_sync}};

START_TEST(sync_after_a_kill_covers_earlier_segments)
{
	uint64_t bases[8];
	in_killed_process(roll_unsynced);
	ck_assert_uint_eq(list_bases(bases, 8), 3);
	options.disk_hook = &log_of_syncs.hook;
	options.segment_chunks = 4;
	open_all();
	check_lines(FEW, PAD);
	tidier_drain(store->tidier);
	ck_assert_uint_eq(synced_offset(), 0);
	unsigned files = log_of_syncs.files, dirs = log_of_syncs.dirs;
	sync_shard_now();
	ck_assert_uint_eq(log_of_syncs.files - files, 3);
	ck_assert_uint_eq(log_of_syncs.dirs - dirs, 1);
	ck_assert_uint_eq(synced_offset(), FEW * LINE);
	close_all();
}
END_TEST

START_TEST(directory_of_a_new_segment_is_synced_before_its_text_counts_as_synced)
{
	options.disk_hook = &log_of_syncs.hook;
	options.segment_chunks = 4;
	open_all();
	unsigned dirs = log_of_syncs.dirs;
	for (unsigned i = 0; i < 5; i++) {
		append_lines_one_by_one(i, 1, PAD);
		tidier_drain(store->tidier);
		unsigned before = log_of_syncs.dirs;
		sync_shard_now();
		/* Line 0 begins the first segment, line 4 the second. */
		ck_assert_uint_eq(log_of_syncs.dirs - before, i % 4 == 0);
	}
	ck_assert_uint_gt(log_of_syncs.dirs, dirs);
	close_all();
}
END_TEST

START_TEST(half_made_files_are_taken_away)
{
	make_synced();
	put_at(file_path("00000000000000000000.lz4.tmp"), 0, "half", 4);
	put_at(file_path("00000000000000000000.idx.tmp"), 0, "half", 4);
	open_all();
	ck_assert_uint_eq(count_files(".tmp", NULL), 0);
	check_lines(FEW, PAD);
}
END_TEST

/* --- what recovery must not do --- */

struct read_fault {
	struct disk_hook hook; /* first */
	atomic_bool armed;
	atomic_uint hits;
	int error;
};

static int fail_reads(struct disk_hook *hook, const struct disk_call *call, size_t *limit)
{
	struct read_fault *f = (struct read_fault *)hook;
	(void)limit;
	if (!f->armed || call->op != DISK_READ)
		return 0;
	f->hits++;
	return f->error;
}

START_TEST(read_error_never_truncates)
{
	static struct read_fault fault = {.hook = {.before = fail_reads}, .error = -EIO};
	make_half_synced();
	uint64_t whole = file_size(segment_file(0));
	options.disk_hook = &fault.hook;
	open_store();
	fault.armed = true;
	ck_assert_int_eq(sfs_stream_shard(stream, 0, &shard), -EIO);
	ck_assert_uint_gt(fault.hits, 0);
	ck_assert_uint_eq(file_size(segment_file(0)), whole);
	fault.armed = false; /* the failure does not last */
	open_shard();
	check_lines(2 * FEW, PAD);
}
END_TEST

/* A hash of all names, sizes, times and content below the store's directory. */
static uint64_t tree_hash;

static int hash_entry(const char *path, const struct stat *st, int flag, struct FTW *f)
{
	(void)f;
	tree_hash = XXH3_64bits_withSeed(path, strlen(path), tree_hash);
	tree_hash += (uint64_t)st->st_size * (flag == FTW_F);
	tree_hash = tree_hash * 31 + (uint64_t)st->st_mtim.tv_nsec + (uint64_t)st->st_mtim.tv_sec;
	if (flag == FTW_F) {
		size_t bytes;
		uint8_t *data = slurp(path, &bytes);
		tree_hash = XXH3_64bits_withSeed(data, bytes, tree_hash);
		free(data);
	}
	return 0;
}

static uint64_t hash_tree(void)
{
	tree_hash = 1;
	ck_assert_int_eq(nftw(dir.path, hash_entry, 16, FTW_PHYS), 0);
	return tree_hash;
}

START_TEST(read_only_changes_nothing)
{
	make_half_synced();
	cut_file(segment_file(0), file_size(segment_file(0)) - 7);
	put_at(file_path("00000000000000000000.lz4.tmp"), 0, "half", 4);
	put_at(segment_file(2 * FEW * LINE), 0, "", 0);
	uint64_t before = hash_tree();
	options.read_only = true;
	open_all();
	check_lines(2 * FEW - 1, PAD);
	struct sfs_writer *writer;
	ck_assert_int_eq(sfs_writer_open_shard(shard, &writer), -EROFS);
	ck_assert_int_eq(sfs_shard_sync(shard), 0);
	tidier_drain(store->tidier);
	close_all();
	ck_assert_uint_eq(hash_tree(), before);
}
END_TEST

START_TEST(one_bad_stream_does_not_keep_others_from_opening)
{
	static const char *const harm[] = {"stream.json", "shard-0000", ""};
	make_synced();
	open_store();
	struct sfs_stream *bad;
	struct sfs_shard *bad_shard;
	struct sfs_owner owner = {0755, 0, 0};
	ck_assert_int_eq(sfs_stream_create(store, "bad", &owner, &bad), 0);
	sfs_stream_unref(bad);
	close_all();
	char path[400], aside[400];
	snprintf(path, sizeof path, "%s/streams/bad/%s", dir.path, harm[_i]);
	snprintf(aside, sizeof aside, "%s/streams/bad.was", dir.path);
	if (_i == 2)
		path[strlen(path) - 1] = 0;
	ck_assert_int_eq(rename(path, aside), 0);
	put_at(path, 0, "{}", 2);
	open_all();
	check_lines(FEW, PAD);
	int r = sfs_stream_lookup(store, "bad", &bad);
	if (r == 0) {
		r = sfs_stream_shard(bad, 0, &bad_shard);
		sfs_stream_unref(bad);
	}
	ck_assert_int_eq(r, -EBADMSG);
	check_goes_on(FEW);
	ck_assert_int_eq(rename(path, file_path("x")), 0);
	ck_assert_int_eq(rename(aside, path), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("recovery");
	TCase *torn = add_case(suite, "torn");
	tcase_add_test(torn, every_torn_tail_is_cut);
	tcase_add_test(torn, torn_tail_is_kept_aside);
	tcase_add_test(torn, zeros_at_end_are_cut);
	tcase_add_test(torn, changed_byte_above_watermark_at_the_end_is_torn);
	tcase_add_loop_test(torn, open_record_is_torn_as_a_whole, 0, 6);
	tcase_add_test(torn, whole_long_record_is_kept);
	tcase_add_test(torn, open_record_behind_damage_is_torn);
	TCase *damage = add_case(suite, "damage");
	tcase_add_loop_test(damage, damage_with_good_chunks_behind_is_a_gap, 0, 3 * (FEW - 1));
	tcase_add_test(damage, damage_is_counted_when_a_read_fails_for_it);
	tcase_add_loop_test(damage, damage_below_watermark_is_never_cut, 0, 2);
	tcase_add_test(damage, every_byte_of_a_segment_can_be_damaged);
	tcase_add_test(damage, next_append_after_lost_end_begins_new_segment);
	TCase *killed = add_case(suite, "killed");
	tcase_add_test(killed, killed_process_loses_nothing);
	tcase_add_test(killed, sync_after_a_kill_covers_earlier_segments);
	tcase_add_test(
		killed, directory_of_a_new_segment_is_synced_before_its_text_counts_as_synced);
	tcase_add_test(killed, half_made_files_are_taken_away);
	TCase *never = add_case(suite, "never");
	tcase_add_test(never, read_error_never_truncates);
	tcase_add_test(never, read_only_changes_nothing);
	tcase_add_loop_test(never, one_bad_stream_does_not_keep_others_from_opening, 0, 3);
	return run_suite(suite);
}
