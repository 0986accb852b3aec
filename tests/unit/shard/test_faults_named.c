/* SPDX-License-Identifier: MIT */
/* What the shard does when one kind of disk call fails. */
#include "storetest.h"

enum { PAD = 60 };

static struct fault named;

static void open_with_fault(int only, int error)
{
	fault_init(&named, 0, error);
	named.only = only;
	options.disk_hook = &named.hook;
	open_all();
	append_lines_one_by_one(0, 3, PAD);
}

static void arm(void)
{
	named.calls = 0;
	named.fail_at = 1;
}

START_TEST(failed_sync_is_never_forgotten)
{
	open_with_fault(DISK_SYNC, -EIO);
	arm();
	struct sfs_writer *writer;
	size_t taken;
	ck_assert_int_eq(sfs_writer_open_shard(shard, &writer), 0);
	ck_assert_int_eq(sfs_writer_write(writer, "x\n", 2, &taken), 0);
	ck_assert_int_eq(sfs_writer_sync_wait(writer), -EIO);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(sfs_writer_sync_wait(writer), -EIO);
		ck_assert_int_eq(sfs_shard_sync(shard), -EIO);
		ck_assert_int_eq(sfs_writer_write(writer, "y\n", 2, &taken), -EROFS);
	}
	ck_assert_int_eq(sfs_writer_close(writer), 0);
	ck_assert_int_eq(read_one(0), 1);
	ck_assert(reported("sync failed"));
	ck_assert_uint_eq(synced_offset(), 0);
	ck_assert_int_eq(close_store(), -EIO);
	open_all();
	ck_assert_int_eq(try_append("again\n"), 0);
	sync_shard_now();
	close_all();
}
END_TEST

/* To a reader ESTALE is trimmed text, and EBADMSG is damage that it may go around. */
START_TEST(a_failed_disk_is_not_taken_for_trimmed_or_damaged_text)
{
	open_with_fault(DISK_READ, _i ? -ESTALE : -EBADMSG);
	close_all();
	open_all();
	arm();
	ck_assert_int_eq(read_one(0), -EIO);
	ck_assert(fault_hit(&named));
	check_lines(3, PAD);
	ck_assert_uint_eq(reports.errors, 0);
}
END_TEST

START_TEST(failed_background_flush_fails_the_shard)
{
	open_with_fault(DISK_SYNC, -EIO);
	sync_shard_now();
	configure("{\"flush_interval_ms\":1}");
	sync_shard_now();
	arm();
	named.lasting = true;
	int r = 0;
	for (int i = 0; r == 0 && i < 20000; i++) {
		r = try_append("more\n");
		usleep(500);
	}
	named.fail_at = 0;
	ck_assert_int_eq(r, -EROFS);
	ck_assert_int_eq(sfs_shard_sync(shard), -EIO);
	ck_assert_int_eq(close_store(), -EIO);
}
END_TEST

START_TEST(full_disk_heals_by_itself)
{
	open_with_fault(DISK_WRITE, -ENOSPC);
	arm();
	named.lasting = true;
	named.cut = 70;
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(try_append("no room\n"), -ENOSPC);
	check_lines(3, PAD);
	named.fail_at = 0;
	append_lines_one_by_one(3, 3, PAD);
	check_lines(6, PAD);
	sync_shard_now();
	reopen();
	check_lines(6, PAD);
	close_all();
}
END_TEST

START_TEST(failed_write_fails_the_shard_only)
{
	open_with_fault(DISK_WRITE, -EIO);
	struct sfs_stream *other;
	struct sfs_shard *other_shard, *own = shard;
	const struct sfs_owner owner = {0755, 0, 0};
	ck_assert_int_eq(sfs_stream_create(store, "other", &owner, &other), 0);
	ck_assert_int_eq(sfs_stream_shard(other, 0, &other_shard), 0);
	arm();
	ck_assert_int_eq(try_append("x\n"), -EIO);
	ck_assert_int_eq(try_append("x\n"), -EROFS);
	check_lines(3, PAD);
	shard = other_shard;
	ck_assert_int_eq(try_append("x\n"), 0);
	sync_shard_now();
	shard = own;
	sfs_shard_unref(other_shard);
	sfs_stream_unref(other);
	ck_assert_int_eq(close_store(), -EIO);
	open_all();
	check_lines(3, PAD);
	close_all();
}
END_TEST

START_TEST(missing_descriptor_harms_nothing)
{
	open_with_fault(DISK_OPEN, -EMFILE);
	arm();
	named.lasting = true;
	ck_assert_int_lt(sfs_shard_sync(shard), 0);
	named.fail_at = 0;
	sync_shard_now();
	append_lines_one_by_one(3, 1, PAD);
	check_lines(4, PAD);
	close_all();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("faults_named");
	TCase *one = add_case(suite, "one");
	tcase_add_loop_test(one, a_failed_disk_is_not_taken_for_trimmed_or_damaged_text, 0, 2);
	tcase_add_test(one, failed_sync_is_never_forgotten);
	tcase_add_test(one, failed_background_flush_fails_the_shard);
	tcase_add_test(one, full_disk_heals_by_itself);
	tcase_add_test(one, failed_write_fails_the_shard_only);
	tcase_add_test(one, missing_descriptor_harms_nothing);
	return run_suite(suite);
}
