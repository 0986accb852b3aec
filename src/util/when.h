/* SPDX-License-Identifier: MIT */
/* Points in time as people write them. */
#ifndef UTIL_WHEN_H
#define UTIL_WHEN_H

#include <stddef.h>
#include <stdint.h>

/*
 * Reads a point in time, as Unix time in ms: RFC 3339 ("2026-11-23T10:00:00Z", with a fraction or
 * an offset if one is given), seconds or milliseconds since 1970 (more than 11 digits are
 * milliseconds), or an age before `now_ms` ("90s", "15m", "2h", "7d"; one before 1970 is 0). All of
 * `text` or -EINVAL.
 */
int when_parse(const char *text, size_t bytes, uint64_t now_ms, uint64_t *ret_ms);

/* "2026-11-23T05:30:00.123Z": always WHEN_TEXT_BYTES characters; a later time than the year 9999
 * becomes its end.
 */
enum { WHEN_TEXT_BYTES = 24 };
void when_format(uint64_t ms, char text[WHEN_TEXT_BYTES + 1]);

#endif
