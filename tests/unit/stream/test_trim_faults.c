/* SPDX-License-Identifier: MIT */
/*
 * Trims on a disk that fails, or in a process that is killed: at every disk call of a trim. Also
 * what recovery makes of such a trim or of a lost watermark, and closed shards that leave the
 * table.
 */
#include "trimtest.h"

#include <sys/mman.h>

/* ---- failing disks ---- */

/* Makes many small segments, some trimmed, all merged. `synced`: the end is durable too. */
static void make_trimmed(bool synced)
{
	options.segment_bytes = 300;
	open_all();
	append_lines_one_by_one(0, LINES, PAD);
	ck_assert_int_eq(trim_number(OLD), 0);
	tidier_drain(store->tidier);
	if (!synced)
		append_lines_one_by_one(LINES, 1, PAD);
	if (synced)
		sync_shard_now();
}

/* Checks that the horizon is NEW, or OLD if `least` allows it, and all text from it on is there. */
static void check_from_horizon(unsigned least, unsigned lines)
{
	struct sfs_shard_info info = info_now();
	ck_assert_uint_eq(info.next_sequence, lines);
	ck_assert_msg(info.first_sequence == NEW || (info.first_sequence == OLD && least == OLD),
		"horizon %" PRIu64, info.first_sequence);
	ck_assert_uint_eq(info.horizon_offset, line_offset((unsigned)info.first_sequence));
	struct buf want = {0};
	add_lines(&want, (unsigned)info.first_sequence, lines - (unsigned)info.first_sequence, PAD);
	check_range(info.horizon_offset, info.size_bytes, want.data, 777);
	ck_assert_int_eq(read_one(info.horizon_offset - 1), -ESTALE);
	ck_assert_int_eq(read_one(0), -ESTALE);
	buf_fini(&want);
}

START_TEST(each_disk_call_of_a_trim_may_fail)
{
	bool done = false;
	for (unsigned n = 1; !done; n += stride()) {
		struct fault fault;
		fault_init(&fault, 0, _i % 2 ? -ENOSPC : -EIO);
		fault.lasting = _i >= 2;
		options.disk_hook = &fault.hook;
		make_trimmed(true);
		atomic_store(&fault.calls, 0);
		atomic_store(&fault.fail_at, n);
		int r = trim_number(NEW);
		tidier_drain(store->tidier);
		done = !fault_hit(&fault);
		atomic_store(&fault.fail_at, 0);
		check_from_horizon(r == 0 ? NEW : OLD, LINES);
		ck_assert(r == 0 || !done);
		ck_assert_int_eq(sfs_shard_sync(shard), 0); /* the shard did not fail */
		uint64_t horizon = info_now().first_sequence;
		(void)close_store();
		check_is_clean();
		open_all();
		ck_assert_uint_eq(reports.errors, 0);
		check_from_horizon(horizon == NEW ? NEW : OLD, LINES);
		append_lines_one_by_one(LINES, 3, PAD);
		check_from_horizon(OLD, LINES + 3);
		ck_assert_int_eq(trim_number(NEW), 0);
		check_from_horizon(NEW, LINES + 3);
		close_all();
		testdir_close(&dir);
		testdir_open(&dir);
	}
}
END_TEST

static unsigned *published; /* shared with the process that is killed */

struct killer {
	struct disk_hook hook;
	atomic_uint left;
};

static int kill_before(struct disk_hook *hook, const struct disk_call *call, size_t *limit)
{
	struct killer *killer = (struct killer *)hook;
	(void)call;
	(void)limit;
	if (atomic_load(&killer->left) && atomic_fetch_sub(&killer->left, 1) == 1)
		_exit(99);
	return 0;
}

static unsigned kill_at;

static void trim_and_die(void)
{
	struct killer killer = {.hook.before = kill_before};
	options.disk_hook = &killer.hook;
	make_trimmed(false);
	atomic_store(&killer.left, kill_at);
	*published = 1;
	if (trim_number(NEW) == 0)
		*published = 2;
	tidier_drain(store->tidier);
	*published = 3;
}

START_TEST(a_trim_may_end_at_each_disk_call)
{
	published = mmap(
		NULL, sizeof *published, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	*published = 0;
	for (kill_at = 1; *published != 3; kill_at++) {
		in_killed_process(trim_and_die);
		options.disk_hook = NULL;
		options.read_only = true;
		open_all();
		check_from_horizon(*published >= 2 ? NEW : OLD, LINES + 1);
		ck_assert_int_eq(trim("all"), -EROFS);
		close_all();
		options.read_only = false;
		open_all();
		ck_assert_uint_eq(reports.errors, 0);
		check_from_horizon(*published >= 2 ? NEW : OLD, LINES + 1);
		append_lines_one_by_one(LINES + 1, 2, PAD);
		check_from_horizon(*published >= 2 ? NEW : OLD, LINES + 3);
		close_all();
		check_is_clean();
		testdir_close(&dir);
		testdir_open(&dir);
	}
	munmap(published, sizeof *published);
}
END_TEST

/* ---- what recovery finds ---- */

START_TEST(removals_may_become_durable_in_any_order)
{
	options.segment_bytes = 300;
	open_all();
	append_lines_one_by_one(0, LINES, PAD);
	tidier_drain(store->tidier);
	sync_shard_now();
	uint64_t bases[64];
	size_t count = list_bases(bases, 64), bytes;
	ck_assert_uint_gt(count, 6);
	uint8_t *first = slurp(segment_file(bases[0]), &bytes);
	ck_assert_int_eq(trim("all"), 0);
	close_all();
	put_at(segment_file(bases[0]), 0, first, bytes); /* the other segments were removed first */
	free(first);
	check_is_clean();
	open_all();
	ck_assert_uint_eq(reports.errors, 0);
	ck_assert_uint_eq(info_now().size_bytes, line_offset(LINES));
	ck_assert_uint_eq(info_now().quarantined_bytes, 0);
	ck_assert_uint_eq(info_now().stored_bytes, 0);
	ck_assert_int_eq(read_one(0), -ESTALE);
	append_lines_one_by_one(LINES, 1, PAD);
	ck_assert_uint_eq(info_now().next_sequence, LINES + 1);
	ck_assert_uint_eq(list_bases(bases, 64), 1);
	close_all();
	check_is_clean();
}
END_TEST

START_TEST(without_a_watermark_a_shard_begins_with_its_first_segment)
{
	make_trimmed(true);
	ck_assert_int_eq(trim_number(NEW), 0);
	uint64_t json = info_now().horizon_offset;
	close_all();
	if (_i)
		flip_byte(file_path("synced"), 8), flip_byte(file_path("synced"), 512 + 8);
	else
		unlink(file_path("synced"));
	uint64_t bases[64];
	ck_assert_uint_gt(list_bases(bases, 64), 1);
	for (int round = 0; round < 2; round++) {
		open_all();
		struct sfs_shard_info info = info_now();
		ck_assert_uint_eq(info.horizon_offset, bases[0]);
		ck_assert_uint_le(info.horizon_offset, json);
		ck_assert_uint_eq(line_offset((unsigned)info.first_sequence), bases[0]);
		ck_assert_uint_eq(info.next_sequence, LINES + (unsigned)round);
		ck_assert_uint_eq(info.quarantined_bytes, 0);
		ck_assert_int_eq(read_one(bases[0] - 1), -ESTALE);
		ck_assert_int_eq(read_one(bases[0]), 1);
		append_lines_one_by_one(LINES + (unsigned)round, 1, PAD);
		sync_shard_now();
		close_all();
	}
	check_is_clean();
}
END_TEST

START_TEST(a_first_segment_that_is_lost_does_not_hide_the_next)
{
	options.segment_bytes = 300;
	open_all();
	append_lines_one_by_one(0, LINES, PAD);
	tidier_drain(store->tidier);
	close_all();
	uint64_t bases[64];
	ck_assert_uint_gt(list_bases(bases, 64), 2);
	unlink(segment_file(bases[0]));
	open_all();
	ck_assert_int_eq(read_one(0), -EBADMSG);
	struct sfs_view *view = open_view((struct sfs_view_spec){.filter = SFS_OF_SHARD});
	struct buf got = {0}, want = {0};
	ck_assert_int_eq(drain(view, 4096, false, &got), -EBADMSG);
	ck_assert_int_eq(sfs_view_skip(view), 0);
	ck_assert_int_eq(drain(view, 4096, false, &got), 0);
	add_lines(&want, 0, LINES, PAD);
	ck_assert_uint_eq(got.size, want.size - bases[1]);
	ck_assert(!memcmp(got.data, want.data + bases[1], got.size));
	sfs_view_close(view);
	buf_fini(&got);
	buf_fini(&want);
	ck_assert_int_eq(trim_number(2), 0); /* skips the damage */
	ck_assert_uint_eq(info_now().horizon_offset, bases[1]);
	close_all();
}
END_TEST

/* A gap that begins a segment hides its first number. It must not count as the lowest. */
START_TEST(damage_that_begins_a_segment_hides_no_segment_before_it)
{
	enum { HEADER_BYTE = 20 };
	options.segment_bytes = 300;
	options.segment_chunks = 4;
	open_all();
	append_lines_one_by_one(0, LINES, PAD);
	close_all();
	uint64_t bases[64];
	size_t count = list_bases(bases, 64);
	ck_assert_uint_gt(count, 3);
	ck_assert_uint_lt(line_offset(1), bases[1]);
	for (size_t i = 1; i + 1 < count; i++)
		flip_byte(segment_file(bases[i]), HEADER_BYTE);
	open_all();
	ck_assert_int_eq(trim_number(1), 0);
	ck_assert_uint_eq(info_now().horizon_offset, line_offset(1));
	close_all();
}
END_TEST

/* ---- closed shards ---- */

static void make_closed(void)
{
	open_all();
	append_bytes("closed\n", 7);
	sync_shard_now();
	configure("{\"shards\":2}");
}

START_TEST(closed_shards_leave_whatever_the_disk_does)
{
	bool done = false;
	for (unsigned n = 1; !done; n += stride()) {
		struct fault fault;
		fault_init(&fault, 0, -EIO);
		fault.lasting = _i;
		options.disk_hook = &fault.hook;
		make_closed();
		atomic_store(&fault.calls, 0);
		atomic_store(&fault.fail_at, n);
		int r = trim("all");
		tidier_drain(store->tidier);
		done = !fault_hit(&fault);
		atomic_store(&fault.fail_at, 0);
		if (r == 0)
			ck_assert(!sfs_stream_has_shard(stream, 0));
		ck_assert_int_eq(trim("all"), 0);
		ck_assert(!sfs_stream_has_shard(stream, 0));
		ck_assert(sfs_stream_has_shard(stream, 1) && sfs_stream_has_shard(stream, 2));
		(void)close_store();
		open_store();
		ck_assert(!sfs_stream_has_shard(stream, 0));
		ck_assert_int_eq(sfs_stream_shard(stream, 1, &shard), 0);
		append_bytes("next\n", 5);
		close_all();
		check_is_clean();
		testdir_close(&dir);
		testdir_open(&dir);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("trim_faults");
	TCase *tcase = add_case(suite, "faults");
	tcase_add_loop_test(tcase, each_disk_call_of_a_trim_may_fail, 0, 4);
	tcase_add_test(tcase, a_trim_may_end_at_each_disk_call);
	tcase = add_case(suite, "recovery");
	tcase_add_test(tcase, removals_may_become_durable_in_any_order);
	tcase_add_loop_test(tcase, without_a_watermark_a_shard_begins_with_its_first_segment, 0, 2);
	tcase_add_test(tcase, a_first_segment_that_is_lost_does_not_hide_the_next);
	tcase_add_test(tcase, damage_that_begins_a_segment_hides_no_segment_before_it);
	tcase = add_case(suite, "closed shards");
	tcase_add_loop_test(tcase, closed_shards_leave_whatever_the_disk_does, 0, 2);
	return run_suite(suite);
}
