/* SPDX-License-Identifier: MIT */
/*
 * A position to trim to, as a user writes it: "all", a sequence number, a time, an age, or a
 * shard's name and an offset. streamfs/stream.h has the forms.
 */
#ifndef STREAM_TRIM_POSITION_H
#define STREAM_TRIM_POSITION_H

#include <stddef.h>
#include <stdint.h>

struct sfs_diag;

enum trim_kind { TRIM_ALL, TRIM_SEQUENCE, TRIM_TIME, TRIM_OFFSET };

struct trim_position {
	enum trim_kind kind;
	uint32_t shard; /* TRIM_OFFSET: its number */
	uint64_t value; /* a sequence number, Unix time in ms, or an offset */
};

/* Ages count back from `now_ms`. White space around the text is ignored. -EINVAL, with `diag`. */
int trim_position_parse(const char *text, size_t bytes, uint64_t now_ms, struct sfs_diag *diag,
	struct trim_position *ret_position);

#endif
