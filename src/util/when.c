/* SPDX-License-Identifier: MIT */
#include "when.h"

#include "number.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
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

/* A number of exactly `digits` digits. */
static bool take_number(struct text *t, int digits, unsigned *ret_number)
{
	const char *at = t->at;
	uint64_t number;
	if (t->end - at < digits || number_take(&at, at + digits, UINT_MAX, &number) < 0 ||
		at != t->at + digits)
		return false;
	t->at = at;
	*ret_number = (unsigned)number;
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
		!take_number(&t, 2, &hour) || !take_char(&t, ":") || !take_number(&t, 2, &minute) ||
		!take_char(&t, ":") || !take_number(&t, 2, &second) || !take_fraction(&t, &ms) ||
		!take_zone(&t, &zone))
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
	const char *behind = text;
	uint64_t number;
	if (number_take(&behind, text + bytes, UINT64_MAX, &number) < 0)
		return -EINVAL;
	size_t digits = (size_t)(behind - text);
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

/* Writes a number's digits so that they end before `end`. */
static void put_digits(char *end, uint32_t number)
{
	for (; number; number /= 10)
		*--end = (char)('0' + number % 10);
}

/*
 * The date of a day since 1970. In years that begin in March, which put the leap day last, an era
 * of 400 years always has 146,097 days. By hand, since every line of JSON has a time in it.
 */
static void date_of(uint32_t days, uint32_t *ret_year, uint32_t *ret_month, uint32_t *ret_day)
{
	enum { ERA_DAYS = 146097, DAYS_TO_1970 = 719468 }; /* from the March of the year 0 */
	uint32_t z = days + DAYS_TO_1970, era = z / ERA_DAYS, d = z % ERA_DAYS;
	uint32_t year = (d - d / 1460 + d / 36524 - d / 146096) / 365;
	uint32_t of_year = d - (365 * year + year / 4 - year / 100);
	uint32_t march_month = (5 * of_year + 2) / 153;
	*ret_day = of_year - (153 * march_month + 2) / 5 + 1;
	*ret_month = march_month < 10 ? march_month + 3 : march_month - 9;
	*ret_year = year + era * 400 + (*ret_month <= 2);
}

void when_format(uint64_t ms, char text[WHEN_TEXT_BYTES + 1])
{
	if (ms > ms_9999)
		ms = ms_9999;
	uint32_t day_ms = (uint32_t)(ms % (86400 * 1000)), year, month, day;
	date_of((uint32_t)(ms / (86400 * 1000)), &year, &month, &day);
	memcpy(text, "0000-00-00T00:00:00.000Z", WHEN_TEXT_BYTES + 1);
	put_digits(text + 4, year);
	put_digits(text + 7, month);
	put_digits(text + 10, day);
	put_digits(text + 13, day_ms / (3600 * 1000));
	put_digits(text + 16, day_ms / (60 * 1000) % 60);
	put_digits(text + 19, day_ms / 1000 % 60);
	put_digits(text + 23, day_ms % 1000);
}
