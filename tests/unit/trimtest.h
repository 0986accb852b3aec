/* SPDX-License-Identifier: MIT */
/* For tests of trims: trims by text, checks of the store that must find no fault, equal lines. */
#ifndef TEST_TRIMTEST_H
#define TEST_TRIMTEST_H

#include "viewtest.h"

#include "streamfs/check.h"

static inline int trim(const char *position)
{
	struct sfs_diag diag = {0};
	return sfs_stream_trim(stream, position, strlen(position), &diag);
}

static inline int trim_number(uint64_t number)
{
	char position[32];
	snprintf(position, sizeof position, "%" PRIu64, number);
	return trim(position);
}

static inline int trim_at(uint32_t number, uint64_t offset)
{
	char position[48];
	char name[SFS_SHARD_NAME_MAX];
	sfs_shard_name(number, name);
	snprintf(position, sizeof position, "%s:%" PRIu64, name, offset);
	return trim(position);
}

static inline void note_finding(void *context, const char *line, bool repaired)
{
	(void)context;
	if (strncmp(line, "note: ", 6) != 0)
		ck_abort_msg("check: %s%s", line, repaired ? " (repaired)" : "");
}

static inline void check_is_clean(void)
{
	struct sfs_check_summary summary;
	struct sfs_diag diag = {0};
	const struct sfs_check_options plain = {.finding = note_finding};
	int r = sfs_store_check(dir.path, &plain, &diag, &summary);
	ck_assert_msg(r == 0, "check: %d %s", r, diag.text);
	ck_assert_uint_eq(summary.unrepaired, 0);
}

static inline struct sfs_shard_info info_now(void)
{
	struct sfs_shard_info info;
	sfs_shard_info(shard, &info);
	return info;
}

enum { LINES = 60, PAD = 40, OLD = 7, NEW = 41 };

static inline uint64_t line_offset(unsigned line)
{
	struct buf text = {0};
	add_lines(&text, 0, line, PAD);
	uint64_t bytes = text.size;
	buf_fini(&text);
	return bytes;
}

#endif
