/* SPDX-License-Identifier: MIT */
#include "key_rule.h"

#include "lanes.h"
#include "utf8.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* An index of so many digits fits in 64 bits, and no record has more elements. */
enum { INDEX_DIGITS_MAX = 18 };

struct key_rule_token {
	const char *name; /* not terminated; lies behind the array of tokens */
	size_t bytes;
	bool is_index;
	uint64_t index;
};

/* Making rules */

static bool pointer_valid(const char *pointer, size_t bytes)
{
	if (bytes > KEY_RULE_POINTER_MAX || (bytes && pointer[0] != '/'))
		return false;
	for (size_t i = 0, n; i < bytes; i += n) {
		n = utf8_bytes((const unsigned char *)pointer + i, bytes - i);
		if (!n)
			return false;
		if (pointer[i] == '~' && pointer[i + 1] != '0' && pointer[i + 1] != '1')
			return false;
	}
	return true;
}

/* An array index has no sign and no leading zero. */
static void token_set_index(struct key_rule_token *token)
{
	if (!token->bytes || token->bytes > INDEX_DIGITS_MAX)
		return;
	if (token->name[0] == '0' && token->bytes > 1)
		return;
	uint64_t index = 0;
	for (size_t i = 0; i < token->bytes; i++) {
		if (token->name[i] < '0' || token->name[i] > '9')
			return;
		index = index * 10 + (uint64_t)(token->name[i] - '0');
	}
	token->is_index = true;
	token->index = index;
}

/* Unescapes the step behind a slash, from `from` to `to`. Returns the next slash, or the end. */
static const char *token_parse(const char *from, char *to, struct key_rule_token *ret_token)
{
	struct key_rule_token token = {.name = to};
	for (; *from && *from != '/'; from++) {
		if (*from == '~')
			to[token.bytes++] = *++from == '0' ? '~' : '/';
		else
			to[token.bytes++] = *from;
	}
	token_set_index(&token);
	*ret_token = token;
	return from;
}

int key_rule_json(const char *pointer, struct key_rule *ret_rule)
{
	size_t bytes = strnlen(pointer, KEY_RULE_POINTER_MAX + 1);
	if (!pointer_valid(pointer, bytes))
		return -EINVAL;
	struct key_rule rule = {.kind = KEY_RULE_JSON};
	for (size_t i = 0; i < bytes; i++)
		rule.token_count += pointer[i] == '/';
	rule.pointer = strdup(pointer);
	rule.tokens = malloc(rule.token_count * sizeof *rule.tokens + bytes + 1);
	if (!rule.pointer || !rule.tokens) {
		key_rule_fini(&rule);
		return -ENOMEM;
	}
	char *names = (char *)(rule.tokens + rule.token_count);
	for (size_t i = 0; i < rule.token_count; i++) {
		pointer = token_parse(pointer + 1, names, &rule.tokens[i]);
		names += rule.tokens[i].bytes;
	}
	*ret_rule = rule;
	return 0;
}

int key_rule_field(uint32_t field, const char *separator, struct key_rule *ret_rule)
{
	size_t bytes = strnlen(separator, KEY_RULE_SEPARATOR_MAX + 1);
	if (!field || !bytes || bytes > KEY_RULE_SEPARATOR_MAX || memchr(separator, '\n', bytes))
		return -EINVAL;
	struct key_rule rule = {.kind = KEY_RULE_FIELD, .field = field};
	memcpy(rule.separator, separator, bytes);
	*ret_rule = rule;
	return 0;
}

int key_rule_copy(const struct key_rule *from, struct key_rule *ret_rule)
{
	if (from->kind == KEY_RULE_JSON)
		return key_rule_json(from->pointer, ret_rule);
	*ret_rule = *from;
	return 0;
}

void key_rule_fini(struct key_rule *rule)
{
	if (!rule)
		return;
	free(rule->pointer);
	free(rule->tokens);
	*rule = (struct key_rule){0};
}

/* Reading JSON: a function returns false for text that is not JSON. */

struct cursor {
	const char *at;
	const char *end;
};

static inline char peek(const struct cursor *c)
{
	return c->at < c->end ? *c->at : '\0'; /* NUL has no place between JSON's tokens either */
}

static inline bool take(struct cursor *c, char wanted)
{
	if (c->at == c->end || *c->at != wanted)
		return false;
	c->at++;
	return true;
}

static inline void skip_space(struct cursor *c)
{
	while (c->at < c->end &&
		(*c->at == ' ' || *c->at == '\t' || *c->at == '\r' || *c->at == '\n'))
		c->at++;
}

/* Finds the first quote, backslash or control character, or the end. */
static inline const char *find_special(const char *at, const char *end)
{
	for (; end - at >= 8; at += 8) {
		uint64_t word = load_lanes(at);
		uint64_t quote = (word ^ LANES('"')) - LANES(1);
		uint64_t backslash = (word ^ LANES('\\')) - LANES(1);
		uint64_t control = word - LANES(0x20);
		/* A borrow marks only lanes above a rightly marked one, so the lowest mark is right. */
		uint64_t marks = (quote | backslash | control) & ~word & LANES(0x80);
		if (marks)
			return at + __builtin_ctzll(marks) / 8;
	}
	while (at < end && *at != '"' && *at != '\\' && (unsigned char)*at >= 0x20)
		at++;
	return at;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool skip_escape(struct cursor *c)
{
	c->at++;
	char kind = peek(c);
	if (!kind || !strchr("\"\\/bfnrtu", kind))
		return false;
	c->at++;
	for (int i = 0; kind == 'u' && i < 4; i++, c->at++)
		if (hex_value(peek(c)) < 0)
			return false;
	return true;
}

/* The text between two quotes, still escaped. */
struct body {
	const char *at;
	size_t bytes;
	bool escaped;
};

static inline bool take_string(struct cursor *c, struct body *ret_body)
{
	if (!take(c, '"'))
		return false;
	struct body body = {.at = c->at};
	for (;;) {
		c->at = find_special(c->at, c->end);
		char special = peek(c);
		if (special == '"')
			break;
		if (special != '\\' || !skip_escape(c))
			return false;
		body.escaped = true;
	}
	body.bytes = (size_t)(c->at++ - body.at);
	*ret_body = body;
	return true;
}

static uint32_t hex_unit(const char *at)
{
	uint32_t unit = 0;
	for (int i = 0; i < 4; i++)
		unit = unit << 4 | (uint32_t)hex_value(at[i]);
	return unit;
}

/* Decodes \uXXXX at *at and moves *at. Returns 0 for NUL and for half a surrogate pair. */
static uint32_t unescape_unicode(const char **at, const char *end)
{
	uint32_t unit = hex_unit(*at + 2);
	*at += 6;
	if (unit < 0xD800 || unit > 0xDFFF)
		return unit;
	if (unit > 0xDBFF || end - *at < 6 || (*at)[0] != '\\' || (*at)[1] != 'u')
		return 0;
	uint32_t low = hex_unit(*at + 2);
	if (low < 0xDC00 || low > 0xDFFF)
		return 0;
	*at += 6;
	return 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
}

/* Decodes one byte or escape to `out`. Returns how many bytes that is; 0: it is not valid. */
static size_t unescape(const char **at, const char *end, char out[4])
{
	if (**at != '\\') {
		out[0] = *(*at)++;
		return 1;
	}
	if ((*at)[1] == 'u') {
		uint32_t code = unescape_unicode(at, end);
		return code ? utf8_encode(code, out) : 0;
	}
	static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
	const char *found = strchr(from, (*at)[1]);
	out[0] = found ? to[found - from] : (*at)[1];
	*at += 2;
	return 1;
}

static bool unescape_key(
	const struct body *body, char scratch[SFS_KEY_MAX_BYTES], size_t *ret_bytes)
{
	const char *at = body->at, *end = at + body->bytes;
	size_t used = 0;
	while (at < end) {
		char out[4];
		size_t bytes = unescape(&at, end, out);
		if (!bytes || bytes > SFS_KEY_MAX_BYTES - used)
			return false;
		memcpy(scratch + used, out, bytes);
		used += bytes;
	}
	*ret_bytes = used;
	return true;
}

static bool escaped_name_matches(const struct body *name, const struct key_rule_token *token)
{
	const char *at = name->at, *end = at + name->bytes;
	size_t matched = 0;
	while (at < end) {
		char out[4];
		size_t bytes = unescape(&at, end, out);
		if (!bytes || bytes > token->bytes - matched ||
			memcmp(token->name + matched, out, bytes) != 0)
			return false;
		matched += bytes;
	}
	return matched == token->bytes;
}

static inline bool name_matches(const struct body *name, const struct key_rule_token *token)
{
	if (name->escaped)
		return escaped_name_matches(name, token);
	return name->bytes == token->bytes && memcmp(name->at, token->name, name->bytes) == 0;
}

static bool skip_digits(struct cursor *c)
{
	const char *first = c->at;
	while (c->at < c->end && *c->at >= '0' && *c->at <= '9')
		c->at++;
	return c->at > first;
}

static bool skip_number(struct cursor *c)
{
	take(c, '-');
	if (!take(c, '0') && !skip_digits(c))
		return false;
	if (take(c, '.') && !skip_digits(c))
		return false;
	if (!take(c, 'e') && !take(c, 'E'))
		return true;
	if (!take(c, '+'))
		take(c, '-');
	return skip_digits(c);
}

static bool skip_word(struct cursor *c, const char *word, size_t bytes)
{
	if ((size_t)(c->end - c->at) < bytes || memcmp(c->at, word, bytes) != 0)
		return false;
	c->at += bytes;
	return true;
}

static bool skip_bare(struct cursor *c)
{
	switch (peek(c)) {
	case 't':
		return skip_word(c, "true", 4);
	case 'f':
		return skip_word(c, "false", 5);
	case 'n':
		return skip_word(c, "null", 4);
	default:
		return skip_number(c);
	}
}

enum walk { WALK_MALFORMED, WALK_END, WALK_FOUND };

static enum walk walk_container(struct cursor *c, const struct key_rule_token *token, int depth);

static bool skip_value(struct cursor *c, int depth)
{
	struct body ignored;
	switch (peek(c)) {
	case '"':
		return take_string(c, &ignored);
	case '{':
	case '[':
		return walk_container(c, NULL, depth) == WALK_END;
	default:
		return skip_bare(c);
	}
}

static enum walk walk_object(struct cursor *c, const struct key_rule_token *token, int depth)
{
	if (take(c, '}'))
		return WALK_END;
	do {
		struct body name;
		skip_space(c);
		if (!take_string(c, &name))
			return WALK_MALFORMED;
		skip_space(c);
		if (!take(c, ':'))
			return WALK_MALFORMED;
		skip_space(c);
		if (token && name_matches(&name, token))
			return WALK_FOUND;
		if (!skip_value(c, depth))
			return WALK_MALFORMED;
		skip_space(c);
	} while (take(c, ','));
	return take(c, '}') ? WALK_END : WALK_MALFORMED;
}

static enum walk walk_array(struct cursor *c, const struct key_rule_token *token, int depth)
{
	if (take(c, ']'))
		return WALK_END;
	uint64_t index = 0;
	do {
		skip_space(c);
		if (token && token->is_index && token->index == index++)
			return WALK_FOUND;
		if (!skip_value(c, depth))
			return WALK_MALFORMED;
		skip_space(c);
	} while (take(c, ','));
	return take(c, ']') ? WALK_END : WALK_MALFORMED;
}

/*
 * Walks an object or array to the value of a member or element, or to its end. `depth` is the
 * number of containers around it. KEY_RULE_JSON_DEPTH_MAX bounds the recursion in skip_value().
 */
static enum walk walk_container(struct cursor *c, const struct key_rule_token *token, int depth)
{
	bool object = take(c, '{');
	if ((!object && !take(c, '[')) || depth >= KEY_RULE_JSON_DEPTH_MAX)
		return WALK_MALFORMED;
	skip_space(c);
	return object ? walk_object(c, token, depth + 1) : walk_array(c, token, depth + 1);
}

/* Finding keys */

static bool string_key(struct cursor *c, char scratch[SFS_KEY_MAX_BYTES], struct body *ret_key)
{
	struct body key;
	if (!take_string(c, &key))
		return false;
	if (key.escaped) {
		if (!unescape_key(&key, scratch, &key.bytes))
			return false;
		key.at = scratch;
	}
	*ret_key = key;
	return true;
}

static bool bare_key(struct cursor *c, struct body *ret_key)
{
	struct body key = {.at = c->at};
	if (peek(c) == 'n' || !skip_bare(c))
		return false;
	key.bytes = (size_t)(c->at - key.at);
	/* A delimiter or the record's end must follow a bare value. */
	if (c->at < c->end && (!*c->at || !strchr(" \t\r\n,]}", *c->at)))
		return false;
	*ret_key = key;
	return true;
}

static bool find_json(const struct key_rule *rule, struct cursor *c,
	char scratch[SFS_KEY_MAX_BYTES], struct body *ret_key)
{
	skip_space(c);
	for (size_t i = 0; i < rule->token_count; i++)
		if (walk_container(c, &rule->tokens[i], (int)i) != WALK_FOUND)
			return false;
	return peek(c) == '"' ? string_key(c, scratch, ret_key) : bare_key(c, ret_key);
}

static const char *find_separator(const struct key_rule *rule, const char *at, size_t bytes)
{
	size_t separator_bytes = strlen(rule->separator);
	if (separator_bytes == 1)
		return memchr(at, rule->separator[0], bytes);
	return memmem(at, bytes, rule->separator, separator_bytes);
}

static bool find_field(const struct key_rule *rule, const struct cursor *c, struct body *ret_key)
{
	const char *at = c->at, *separator;
	size_t separator_bytes = strlen(rule->separator);
	for (uint32_t i = 1; i < rule->field; i++) {
		separator = find_separator(rule, at, (size_t)(c->end - at));
		if (!separator)
			return false;
		at = separator + separator_bytes;
	}
	/* A field that does not end within this reach is too long for a key. */
	size_t left = (size_t)(c->end - at), reach = SFS_KEY_MAX_BYTES + 1 + separator_bytes;
	separator = find_separator(rule, at, left < reach ? left : reach);
	if (!separator && left > reach)
		return false;
	if (!separator && left && c->end[-1] == '\r')
		left--;
	*ret_key = (struct body){.at = at, .bytes = separator ? (size_t)(separator - at) : left};
	return true;
}

int key_rule_find(const struct key_rule *rule, const char *record, size_t bytes,
	char scratch[SFS_KEY_MAX_BYTES], const char **ret_key, size_t *ret_key_bytes)
{
	if (!bytes || rule->kind == KEY_RULE_NONE)
		return -ENOENT;
	struct cursor c = {.at = record, .end = record + bytes};
	struct body key;
	bool found = rule->kind == KEY_RULE_JSON ? find_json(rule, &c, scratch, &key)
						 : find_field(rule, &c, &key);
	if (!found || !sfs_key_valid(key.at, key.bytes))
		return -ENOENT;
	*ret_key = key.at;
	*ret_key_bytes = key.bytes;
	return 0;
}
