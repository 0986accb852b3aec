/* SPDX-License-Identifier: MIT */
/* Stores for the tests of recovery: of a few lines, synced or not, and of many segments. */
#ifndef TESTS_RECOVERYTEST_H
#define TESTS_RECOVERYTEST_H

#include "storetest.h"

enum { PAD = 100, LINE = 16 + PAD + 1, FEW = 10 };

/* Makes FEW chunks of one line each, synced, and closes the store. */
static inline void make_synced(void)
{
	open_all();
	append_lines_one_by_one(0, FEW, PAD);
	close_all();
}

static inline void append_unsynced(void)
{
	open_all();
	append_lines_one_by_one(0, FEW, PAD);
}

static inline void append_more_unsynced(void)
{
	open_all();
	append_lines_one_by_one(FEW, FEW, PAD);
}

/* Makes a store whose first half is synced and whose second half is not. */
static inline void make_half_synced(void)
{
	make_synced();
	in_killed_process(append_more_unsynced);
}

/* Makes segments of four chunks. */
static inline void make_segments(unsigned lines)
{
	options.segment_chunks = 4;
	open_all();
	append_lines_one_by_one(0, lines, PAD);
	tidier_drain(store->tidier);
	close_all();
}

static inline void roll_unsynced(void)
{
	options.segment_chunks = 4;
	open_all();
	append_lines_one_by_one(0, FEW, PAD);
}

static inline void check_goes_on(unsigned lines)
{
	append_lines_one_by_one(lines, 3, PAD);
	check_lines(lines + 3, PAD);
	reopen();
	check_lines(lines + 3, PAD);
}

#endif
