/* SPDX-License-Identifier: MIT */
/* Changes of streams, settings and owners, with and without failures of the disk. */
#include "storetest.h"

static const struct sfs_owner owner = {0755, 0, 0};
static struct fault named;

/* Fails the n-th sync of a directory from now on. */
static void arm_at(unsigned n)
{
	named.calls = 0;
	named.fail_at = n;
}

static void disarm(void)
{
	ck_assert(fault_hit(&named));
	named.fail_at = 0;
}

static void open_orders(void)
{
	fault_init(&named, 0, -EIO);
	named.only = DISK_SYNC_DIR;
	options.disk_hook = &named.hook;
	open_store();
}

static void reopen_store(void)
{
	sfs_stream_unref(stream);
	stream = NULL;
	ck_assert_int_eq(sfs_store_close(store), 0);
	ck_assert_int_eq(try_open_store(), 0);
}

START_TEST(refused_owner_is_not_in_force_later)
{
	static const struct sfs_owner other = {0700, 7, 8};
	struct sfs_owner is;
	uint64_t created, changed, now;
	open_orders();
	sfs_stream_times(stream, &created, &changed);
	usleep(2000);
	arm_at(1);
	ck_assert_int_eq(sfs_stream_set_owner(stream, &other), -EIO);
	disarm();
	for (int i = 0; i < 2; i++) {
		sfs_stream_owner(stream, &is);
		ck_assert_uint_eq(is.uid, owner.uid);
		ck_assert_uint_eq(is.mode, owner.mode);
		sfs_stream_times(stream, &created, &now);
		ck_assert_uint_eq(now, changed);
		reopen_store();
		ck_assert_int_eq(sfs_stream_lookup(store, "orders", &stream), 0);
	}
}
END_TEST

START_TEST(refused_owner_of_the_root_is_not_in_force_later)
{
	struct sfs_owner before, is;
	open_orders();
	sfs_store_owner(store, &before);
	struct sfs_owner other = {0700, before.uid + 7, before.gid + 8};
	arm_at(1);
	ck_assert_int_eq(sfs_store_set_owner(store, &other), -EIO);
	disarm();
	for (int i = 0; i < 2; i++) {
		sfs_store_owner(store, &is);
		ck_assert_uint_eq(is.uid, before.uid);
		reopen_store();
	}
}
END_TEST

START_TEST(refused_defaults_are_not_in_force_later)
{
	static const char json[] = "{\"shards\":5}";
	struct sfs_diag diag;
	open_orders();
	arm_at(1);
	ck_assert_int_eq(sfs_store_patch_defaults(store, json, strlen(json), &diag), -EIO);
	disarm();
	for (int i = 0; i < 2; i++) {
		char *text;
		size_t bytes;
		ck_assert_int_eq(sfs_store_defaults(store, &text, &bytes), 0);
		ck_assert_ptr_nonnull(memmem(text, bytes, "\"shards\": 1", 11));
		free(text);
		reopen_store();
	}
}
END_TEST

static bool is_there(const char *name)
{
	struct sfs_stream *found;
	int r = sfs_stream_lookup(store, name, &found);
	ck_assert(r == 0 || r == -ENOENT);
	if (r == 0)
		sfs_stream_unref(found);
	return r == 0;
}

/* Each sync of a directory fails in turn. */
START_TEST(refused_mkdir_leaves_nothing)
{
	unsigned failures = 0;
	open_orders();
	for (unsigned n = 1;; n++) {
		struct sfs_stream *made;
		arm_at(n);
		int r = sfs_stream_create(store, "new", &owner, &made);
		if (r == 0) {
			sfs_stream_unref(made);
			break;
		}
		disarm();
		ck_assert_int_eq(r, -EIO);
		ck_assert(!is_there("new"));
		reopen_store();
		ck_assert(!is_there("new"));
		failures++;
	}
	named.fail_at = 0;
	ck_assert_uint_ge(failures, 2); /* the document's directory, and streams/ */
	ck_assert(is_there("new"));
}
END_TEST

START_TEST(refused_mv_changes_nothing)
{
	unsigned failures = 0;
	open_orders();
	for (unsigned n = 1;; n++) {
		uint64_t created, before, after;
		sfs_stream_times(stream, &created, &before);
		usleep(2000);
		arm_at(n);
		int r = sfs_stream_rename(store, "orders", "other");
		if (r == 0)
			break;
		disarm();
		ck_assert_int_eq(r, -EIO);
		sfs_stream_times(stream, &created, &after);
		ck_assert_uint_eq(after, before);
		for (int i = 0; i < 2; i++) {
			ck_assert(is_there("orders") && !is_there("other"));
			reopen_store();
			ck_assert_int_eq(sfs_stream_lookup(store, "orders", &stream), 0);
		}
		failures++;
	}
	named.fail_at = 0;
	ck_assert_uint_ge(failures, 2);
	ck_assert(is_there("other") && !is_there("orders"));
}
END_TEST

START_TEST(refused_rmdir_removes_nothing)
{
	open_orders();
	for (int i = 0; i < 2; i++) {
		arm_at(1);
		ck_assert_int_eq(sfs_stream_remove(store, "orders"), -EIO);
		disarm();
		open_shard();
		ck_assert_int_eq(sfs_shard_sync(shard), 0); /* the shard still works */
		sfs_shard_unref(shard);
		shard = NULL;
		reopen_store();
		ck_assert_int_eq(sfs_stream_lookup(store, "orders", &stream), 0);
	}
	ck_assert_int_eq(sfs_stream_remove(store, "orders"), 0);
	ck_assert(!is_there("orders"));
}
END_TEST

START_TEST(mv_is_a_change)
{
	uint64_t created, before, after, later;
	open_orders();
	sfs_stream_times(stream, &created, &before);
	usleep(2000);
	ck_assert_int_eq(sfs_stream_rename(store, "orders", "other"), 0);
	sfs_stream_times(stream, &created, &after);
	ck_assert_uint_gt(after, before);
	reopen_store();
	ck_assert_int_eq(sfs_stream_lookup(store, "other", &stream), 0);
	sfs_stream_times(stream, &created, &later);
	ck_assert_uint_eq(later, after);
}
END_TEST

/* For sanitizers: the waiter of a sync holds the last reference to a removed stream. */
START_TEST(sync_of_a_removed_stream_outlives_its_waiter)
{
	open_orders();
	open_shard();
	ck_assert_int_eq(try_append("trimmed\n"), 0);
	pthread_mutex_lock(&shard->lock);
	shard->horizon.offset = shard->end.offset;
	pthread_mutex_unlock(&shard->lock);
	ck_assert_int_eq(sfs_stream_remove(store, "orders"), 0);
	struct sync_wait wait = SYNC_WAIT_INIT;
	syncer_request(shard, sync_wait_done, &wait);
	sfs_shard_unref(shard);
	sfs_stream_unref(stream);
	shard = NULL;
	stream = NULL;
	ck_assert_int_eq(sync_wait(&wait), -ENOENT);
	ck_assert_int_eq(close_store(), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("changes");
	TCase *all = add_case(suite, "changes");
	tcase_add_test(all, refused_owner_is_not_in_force_later);
	tcase_add_test(all, refused_owner_of_the_root_is_not_in_force_later);
	tcase_add_test(all, refused_defaults_are_not_in_force_later);
	tcase_add_test(all, refused_mkdir_leaves_nothing);
	tcase_add_test(all, refused_mv_changes_nothing);
	tcase_add_test(all, refused_rmdir_removes_nothing);
	tcase_add_test(all, mv_is_a_change);
	tcase_add_test(all, sync_of_a_removed_stream_outlives_its_waiter);
	return run_suite(suite);
}
