/* SPDX-License-Identifier: MIT */
/*
 * What key_rule_find() must find in a JSON document, by a walk through jansson's tree. The tests
 * test_key_rule.c and fuzz_key_rule.c compare with it.
 */
#ifndef TEST_KEY_REFERENCE_H
#define TEST_KEY_REFERENCE_H

#include "key_rule.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* Cuts the first step off *pointer ("/a/b") and writes it unescaped to `step`; it must fit. */
static inline void reference_step(const char **pointer, char *step)
{
	const char *p = *pointer + 1;
	for (; *p && *p != '/'; p++) {
		if (p[0] == '~') {
			*step++ = p[1] == '1' ? '/' : '~';
			p++;
		} else {
			*step++ = *p;
		}
	}
	*step = '\0';
	*pointer = p;
}

static inline const json_t *reference_element(const json_t *array, const char *step)
{
	size_t digits = strspn(step, "0123456789");
	if (!digits || step[digits] || (step[0] == '0' && digits > 1) || digits > 9)
		return NULL;
	return json_array_get(array, strtoul(step, NULL, 10));
}

/* Returns a borrowed value. NULL: there is none. */
static inline const json_t *reference_walk(const json_t *value, const char *pointer)
{
	char step[KEY_RULE_POINTER_MAX + 1];
	while (value && *pointer) {
		reference_step(&pointer, step);
		value = json_is_array(value) ? reference_element(value, step)
					     : json_object_get(value, step);
	}
	return value;
}

static inline int reference_depth(const json_t *value)
{
	int deepest = 0, depth;
	const char *name;
	json_t *member;
	size_t i;
	json_object_foreach((json_t *)value, name,
		member) if ((depth = reference_depth(member)) > deepest) deepest = depth;
	json_array_foreach(value, i, member) if ((depth = reference_depth(member)) > deepest)
		deepest = depth;
	return deepest + (json_is_object(value) || json_is_array(value));
}

/* Whether `text` is how a number or boolean of this value can be written. */
static inline bool reference_text_is(const json_t *value, const char *text, size_t bytes)
{
	json_t *parsed = json_loadb(text, bytes, JSON_DECODE_ANY, NULL);
	bool same = parsed && json_equal((json_t *)value, parsed);
	json_decref(parsed);
	return same && !strpbrk(" \t\r\n", (char[2]){text[0], 0}) &&
	       !strpbrk(" \t\r\n", (char[2]){text[bytes - 1], 0});
}

/* Whether a result of key_rule_find() is right for the value that the walk found. */
static inline bool reference_agrees(
	const json_t *value, int result, const char *key, size_t key_bytes)
{
	if (json_is_string(value)) {
		const char *text = json_string_value(value);
		size_t bytes = json_string_length(value);
		if (!sfs_key_valid(text, bytes))
			return result == -ENOENT;
		return result == 0 && key_bytes == bytes && memcmp(key, text, bytes) == 0;
	}
	if (json_is_number(value) || json_is_boolean(value))
		/* The tree does not keep how a number was written, so its length is not known. */
		return result == 0 ? reference_text_is(value, key, key_bytes)
				   : json_is_number(value);
	return result == -ENOENT;
}

#endif
