/* SPDX-License-Identifier: MIT */
/* Retention by bytes and by hours, and what it costs an idle stream. */
#include "trimtest.h"

#include "retention.h"

START_TEST(retention_keeps_the_bytes_and_not_many_more)
{
	atomic_store(&clock_ms, 1800000000000);
	open_all();
	for (unsigned i = 0; i < 300; i++) {
		atomic_fetch_add(&clock_ms, 10);
		append_lines_one_by_one(i, 1, 80);
	}
	configure("{\"retention_bytes\":10000}");
	ck_assert_int_eq(retention_apply(stream), 0);
	struct sfs_shard_info info = info_now();
	uint64_t kept = info.size_bytes - info.horizon_offset;
	ck_assert_uint_ge(kept, 10000);
	ck_assert_uint_le(kept, 10000 + 200);
	ck_assert_int_eq(retention_apply(stream), 0);
	ck_assert_uint_eq(info_now().horizon_offset, info.horizon_offset);
	configure("{\"retention_bytes\":5000}"); /* another limit, without an append */
	ck_assert_int_eq(retention_apply(stream), 0);
	ck_assert_uint_le(info_now().size_bytes - info_now().horizon_offset, 5000 + 200);
	close_all();
	atomic_store(&clock_ms, 0);
}
END_TEST

/* The fault fails no call; it counts the calls. */
START_TEST(retention_costs_an_idle_stream_nothing)
{
	struct fault fault;
	fault_init(&fault, 0, 0);
	options.disk_hook = &fault.hook;
	atomic_store(&clock_ms, 1800000000000);
	open_all();
	for (unsigned i = 0; i < 100; i++) {
		atomic_fetch_add(&clock_ms, 10);
		append_lines_one_by_one(i, 1, 80);
	}
	configure("{\"retention_bytes\":3000}");
	ck_assert_int_eq(retention_apply(stream), 0);
	tidier_drain(store->tidier);
	ck_assert_int_eq(retention_apply(stream), 0);
	atomic_store(&fault.calls, 0);
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(retention_apply(stream), 0);
	ck_assert_uint_eq(fault.calls, 0);
	close_all();
	atomic_store(&clock_ms, 0);
}
END_TEST

START_TEST(retention_by_hours_takes_what_is_older)
{
	enum { HOUR_MS = 3600 * 1000 };
	atomic_store(&clock_ms, 1800000000000);
	open_all();
	for (unsigned i = 0; i < 10; i++) {
		append_lines_one_by_one(i, 1, PAD);
		atomic_fetch_add(&clock_ms, HOUR_MS);
	}
	configure("{\"retention_hours\":4}");
	ck_assert_int_eq(retention_apply(stream), 0);
	ck_assert_uint_eq(info_now().first_sequence, 6);
	atomic_fetch_add(&clock_ms, 100 * (uint64_t)HOUR_MS);
	ck_assert_int_eq(retention_apply(stream), 0);
	ck_assert_uint_eq(info_now().first_sequence, 10);
	close_all();
	atomic_store(&clock_ms, 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("retention");
	TCase *tcase = add_case(suite, "retention");
	tcase_add_test(tcase, retention_keeps_the_bytes_and_not_many_more);
	tcase_add_test(tcase, retention_costs_an_idle_stream_nothing);
	tcase_add_test(tcase, retention_by_hours_takes_what_is_older);
	return run_suite(suite);
}
