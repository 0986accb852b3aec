/* SPDX-License-Identifier: MIT */
/*
 * Random JSON documents without duplicate members, with names, blanks and escapes that are hard to
 * get right, and random pointers into them. The same dice roll the same documents.
 */
#ifndef TEST_RANDOM_JSON_H
#define TEST_RANDOM_JSON_H

#include "buf.h"

#include <check.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {"", "a", "b", "a/b", "m~n", "~1", "\"", "\\", "é", "😀", "0",
	"1", "2", "01", "-", "a longer name of a member", "tab\t", "sensorId"};
enum { NAMES = sizeof names / sizeof *names };

struct dice {
	uint64_t state;
};

static inline uint32_t roll(struct dice *dice, uint32_t sides)
{
	dice->state = dice->state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(dice->state >> 33) % sides;
}

static inline void add(struct buf *text, const char *s)
{
	ck_assert_int_eq(buf_append(text, s, strlen(s)), 0);
}

static inline void add_blank(struct dice *dice, struct buf *text)
{
	static const char *const blanks[] = {" ", "\t", "\r", "  "};
	if (roll(dice, 6) == 0)
		add(text, blanks[roll(dice, 4)]);
}

static inline void add_unicode_escape(struct buf *text, unsigned int unit)
{
	ck_assert_int_eq(buf_printf(text, unit & 1 ? "\\u%04x" : "\\u%04X", unit), 0);
}

/* Adds one character of UTF-8, raw or escaped. Returns its length. */
static inline size_t add_character(struct dice *dice, struct buf *text, const char *s)
{
	unsigned char c = (unsigned char)s[0];
	bool must_escape = c < 0x20 || c == '"' || c == '\\';
	size_t bytes = c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
	if (!must_escape && roll(dice, 8)) {
		ck_assert_int_eq(buf_append(text, s, bytes), 0);
	} else if (c == '"' || c == '\\') {
		ck_assert_int_eq(buf_printf(text, "\\%c", c), 0);
	} else if (bytes == 1) {
		add_unicode_escape(text, c);
	} else if (bytes == 2) {
		add_unicode_escape(text, (c & 0x1Fu) << 6 | (s[1] & 0x3Fu));
	} else if (bytes == 3) {
		add_unicode_escape(text, (c & 0xFu) << 12 | (s[1] & 0x3Fu) << 6 | (s[2] & 0x3Fu));
	} else {
		unsigned int code = (c & 7u) << 18 | (s[1] & 0x3Fu) << 12 | (s[2] & 0x3Fu) << 6 |
				    (s[3] & 0x3Fu);
		add_unicode_escape(text, 0xD800 + ((code - 0x10000) >> 10));
		add_unicode_escape(text, 0xDC00 + ((code - 0x10000) & 0x3FF));
	}
	return bytes;
}

static inline void add_string(struct dice *dice, struct buf *text, const char *s)
{
	add(text, "\"");
	while (*s)
		s += add_character(dice, text, s);
	add(text, "\"");
}

static inline void add_text(struct dice *dice, struct buf *text)
{
	static const char *const pieces[] = {"k", "17", "é", "€", "😀", "\\", "\"", "\t", "\n", "/",
		"{", "]", ",", "0123456789abcdef"};
	char s[2048] = "";
	uint32_t count = roll(dice, 30) ? roll(dice, 12) : roll(dice, 120);
	for (uint32_t i = 0; i < count; i++)
		strcat(s, pieces[roll(dice, sizeof pieces / sizeof *pieces)]);
	add_string(dice, text, s);
}

static inline void add_number(struct dice *dice, struct buf *text)
{
	static const char *const numbers[] = {"0", "-0", "1675686126310", "147.24", "-1.5e3",
		"1E+2", "0.0e-1", "9223372036854775807", "-17"};
	add(text, numbers[roll(dice, sizeof numbers / sizeof *numbers)]);
}

static inline void add_value(struct dice *dice, struct buf *text, int depth);

static inline void add_object(struct dice *dice, struct buf *text, int depth)
{
	/* Steps coprime to NAMES reach no name twice. */
	uint32_t at = roll(dice, NAMES), step = roll(dice, 2) ? 5 : 7, count = roll(dice, 7);
	add(text, "{");
	for (uint32_t i = 0; i < count; i++, at = (at + step) % NAMES) {
		add(text, i ? "," : "");
		add_blank(dice, text);
		add_string(dice, text, names[at]);
		add_blank(dice, text);
		add(text, ":");
		add_value(dice, text, depth);
	}
	add_blank(dice, text);
	add(text, "}");
}

static inline void add_array(struct dice *dice, struct buf *text, int depth)
{
	uint32_t count = roll(dice, 5);
	add(text, "[");
	for (uint32_t i = 0; i < count; i++) {
		add(text, i ? "," : "");
		add_value(dice, text, depth);
	}
	add_blank(dice, text);
	add(text, "]");
}

static inline void add_value(struct dice *dice, struct buf *text, int depth)
{
	static const char *const words[] = {"true", "false", "null"};
	uint32_t kind = roll(dice, 10);
	add_blank(dice, text);
	if (kind < 3 && depth < 5)
		add_object(dice, text, depth + 1);
	else if (kind < 5 && depth < 5)
		add_array(dice, text, depth + 1);
	else if (kind < 6)
		add(text, words[roll(dice, 3)]);
	else if (kind < 7)
		add_number(dice, text);
	else
		add_text(dice, text);
	add_blank(dice, text);
}

static inline void add_step(struct buf *pointer, const char *name)
{
	add(pointer, "/");
	for (; *name; name++) {
		char as_it_is[2] = {*name, '\0'};
		add(pointer, *name == '~' ? "~0" : *name == '/' ? "~1" : as_it_is);
	}
}

/* Makes a pointer that mostly exists in the document, and sometimes does not. */
static inline void make_pointer(struct dice *dice, const json_t *value, struct buf *pointer)
{
	while (roll(dice, 12) && (json_object_size(value) || json_array_size(value))) {
		char index[16];
		const char *name = names[roll(dice, NAMES)];
		if (json_is_array(value)) {
			snprintf(index, sizeof index, "%u",
				roll(dice, (uint32_t)json_array_size(value)));
			name = index;
		} else if (roll(dice, 12)) {
			uint32_t skip = roll(dice, (uint32_t)json_object_size(value));
			void *at = json_object_iter((json_t *)value);
			while (skip--)
				at = json_object_iter_next((json_t *)value, at);
			name = json_object_iter_key(at);
		}
		add_step(pointer, name);
		value = json_is_array(value) ? json_array_get(value, strtoul(name, NULL, 10))
					     : json_object_get(value, name);
	}
	if (roll(dice, 20) == 0)
		add_step(pointer, names[roll(dice, NAMES)]);
	ck_assert_int_eq(buf_append(pointer, "", 1), 0);
}

#endif
