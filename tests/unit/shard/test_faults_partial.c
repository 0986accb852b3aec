/* SPDX-License-Identifier: MIT */
/* Every call of the disk is cut short, or is the first of many that fail. */
#include "daytest.h"

static const struct {
	int error;
	size_t cut;
	bool lasting;
} faults[] = {
	{-EIO, 1, false},
	{-ENOSPC, 60, false},
	{-ENOSPC, 2000, false},
	{-EIO, SIZE_MAX, false},
	{-EIO, 0, true},
	{-ENOSPC, 100, true},
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

int main(void)
{
	Suite *suite = suite_create("faults_partial");
	keep_memory();
	TCase *every = add_case(suite, "every");
	tcase_set_timeout(every, 600);
	tcase_add_loop_test(every, every_call_can_fail, 0, sizeof faults / sizeof *faults);
	return run_suite(suite);
}
