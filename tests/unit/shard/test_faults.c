/* SPDX-License-Identifier: MIT */
/* Every call of the disk fails once, with each error that a disk has. */
#include "daytest.h"

static const struct {
	int error;
	size_t cut;
	bool lasting;
} faults[] = {
	{-EIO, 0, false},
	{-ENOSPC, 0, false},
	{-EMFILE, 0, false},
	{-ENOMEM, 0, false},
};

START_TEST(every_call_can_fail)
{
	share_model();
	unsigned n = 1 + (unsigned)_i % stride();
	while (run_with_fault(n, faults[_i].error, faults[_i].cut, faults[_i].lasting))
		n += stride();
	ck_assert_uint_gt(n, 100); /* or the scenario has shrunk */
}
END_TEST

START_TEST(without_a_fault_everything_succeeds)
{
	share_model();
	fault_init(&fault, 0, -EIO);
	fresh();
	scenario();
	ck_assert(!m->failed);
	ck_assert(m->claimed && m->renamed && m->removed);
	ck_assert_uint_eq(m->acked_lines, 60);
	ck_assert_uint_gt(metric_get(&store->env.metrics.segments_merged), 0);
	check_orders(false);
	close_scenario();
	check_reopened(false);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("faults");
	keep_memory();
	TCase *every = add_case(suite, "every");
	tcase_set_timeout(every, 600);
	tcase_add_test(every, without_a_fault_everything_succeeds);
	tcase_add_loop_test(every, every_call_can_fail, 0, sizeof faults / sizeof *faults);
	return run_suite(suite);
}
