/* SPDX-License-Identifier: MIT */
#include "when.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

enum { SECONDS_DIGITS = 11 }; /* seconds with as many go on until the year 5138 */

static const uint64_t ms_9999 = UINT64_C(253402300799999); /* 9999-12-31T23:59:59.999Z */

struct text {
	const char *at, *end;
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Exactly `digits` of them, as a number. */
static bool take_number(struct text *t, int digits, unsigned *ret_number)
{
	unsigned number = 0;
	if (t->end - t->at < digits)
		return false;
	for (int i = 0; i < digits; i++) {
		if (!is_digit(*t->at))
			return false;
		number = number * 10 + (unsigned)(*t->at++ - '0');
	}
	*ret_number = number;
	return true;
}

static bool take_char(struct text *t, const char *any_of)
{
	for (; t->at < t->end && *any_of; any_of++) {
		if (*t->at == *any_of) {
			t->at++;
			return true;
		}
	}
	return false;
}

/* ".123": digits past the third do not count. */
static bool take_fraction(struct text *t, unsigned *ret_ms)
{
	unsigned ms = 0, scale = 100;
	*ret_ms = 0;
	if (!take_char(t, "."))
		return true;
	if (t->at == t->end || !is_digit(*t->at))
		return false;
	for (; t->at < t->end && is_digit(*t->at); t->at++, scale /= 10)
		ms += (unsigned)(*t->at - '0') * scale;
	*ret_ms = ms;
	return true;
}

/* "Z" or "+05:30", in minutes. */
static bool take_zone(struct text *t, int *ret_minutes)
{
	unsigned hours, minutes;
	*ret_minutes = 0;
	if (take_char(t, "Zz"))
		return true;
	int sign = t->at < t->end && *t->at == '-' ? -1 : 1;
	if (!take_char(t, "+-") || !take_number(t, 2, &hours) || !take_char(t, ":") ||
		!take_number(t, 2, &minutes) || hours > 23 || minutes > 59)
		return false;
	*ret_minutes = sign * (int)(hours * 60 + minutes);
	return true;
}

static bool is_day(unsigned year, unsigned month, unsigned day)
{
	static const unsigned days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	return month >= 1 && month <= 12 && day >= 1 &&
	       day <= days[month - 1] + (month == 2 && leap);
}

static int parse_rfc3339(struct text t, uint64_t *ret_ms)
{
	unsigned year, month, day, hour, minute, second, ms;
	int zone;
	if (!take_number(&t, 4, &year) || !take_char(&t, "-") || !take_number(&t, 2, &month) ||
		!take_char(&t, "-") || !take_number(&t, 2, &day) || !take_char(&t, "Tt ") ||
		!take_number(&t, 2, &hour) || !take_char(&t, ":") ||
		!take_number(&t, 2, &minute) || !take_char(&t, ":") ||
		!take_number(&t, 2, &second) || !take_fraction(&t, &ms) || !take_zone(&t, &zone))
		return -EINVAL;
	if (t.at != t.end || !is_day(year, month, day) || hour > 23 || minute > 59 || second > 60)
		return -EINVAL;
	struct tm tm = {
		.tm_year = (int)year - 1900,
		.tm_mon = (int)month - 1,
		.tm_mday = (int)day,
		.tm_hour = (int)hour,
		.tm_min = (int)minute,
		.tm_sec = (int)second,
	};
	int64_t seconds = (int64_t)timegm(&tm) - (int64_t)zone * 60;
	*ret_ms = seconds < 0 ? 0 : (uint64_t)seconds * 1000 + ms;
	return 0;
}

static uint64_t unit_ms(char unit)
{
	switch (unit) {
	case 's':
		return 1000;
	case 'm':
		return 60 * 1000;
	case 'h':
		return 3600 * 1000;
	case 'd':
		return UINT64_C(24) * 3600 * 1000;
	default:
		return 0;
	}
}

int when_parse(const char *text, size_t bytes, uint64_t now_ms, uint64_t *ret_ms)
{
	size_t digits = 0;
	uint64_t number = 0;
	for (; digits < bytes && is_digit(text[digits]); digits++) {
		if (number > UINT64_MAX / 10 - 1)
			return -EINVAL;
		number = number * 10 + (uint64_t)(text[digits] - '0');
	}
	if (!digits)
		return -EINVAL;
	if (digits == bytes) {
		if (digits <= SECONDS_DIGITS)
			number *= 1000;
		*ret_ms = number;
		return 0;
	}
	uint64_t unit = digits + 1 == bytes ? unit_ms(text[digits]) : 0;
	if (!unit)
		return parse_rfc3339((struct text){text, text + bytes}, ret_ms);
	*ret_ms = number > now_ms / unit ? 0 : now_ms - number * unit;
	return 0;
}

void when_format(uint64_t ms, char text[WHEN_TEXT_BYTES + 1])
{
	if (ms > ms_9999)
		ms = ms_9999;
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm;
	gmtime_r(&seconds, &tm);
	size_t at = strftime(text, WHEN_TEXT_BYTES + 1, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + at, WHEN_TEXT_BYTES + 1 - at, ".%03uZ", (unsigned)(ms % 1000));
}
