/* SPDX-License-Identifier: MIT */
#include "settings.h"

#include "cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define HOURS_MAX UINT64_C(1000000000) /* in milliseconds, plus any time, it fits 64 bits */
#define BYTES_MAX (UINT64_C(1) << 62)

enum { JSON_BYTES_MAX = 64 << 10, JSON_DEPTH_MAX = 64 };

static const char *const policy_words[] = {
	[LARGE_CLAIM_CHECK] = "claim-check",
	[LARGE_SPLIT] = "split",
	[LARGE_REJECT] = "reject",
};

static const char *const compression_words[] = {
	[COMPRESSION_LZ4] = "lz4",
	[COMPRESSION_NONE] = "none",
};

void settings_init(struct settings *settings)
{
	*settings = (struct settings){
		.shards = 1,
		.large_policy = LARGE_CLAIM_CHECK,
		.threshold_bytes = UINT64_C(1) << 20,
		.max_record_bytes = UINT64_C(5) << 30,
		.compression = COMPRESSION_LZ4,
		.flush_interval_ms = 1000,
	};
}

void settings_fini(struct settings *settings)
{
	if (settings)
		key_rule_fini(&settings->key);
}

int settings_copy(const struct settings *from, struct settings *ret_settings)
{
	struct settings copy = *from;
	int r = key_rule_copy(&from->key, &copy.key);
	if (r < 0)
		return r;
	*ret_settings = copy;
	return 0;
}

int settings_admit(const struct settings *settings, uint64_t record_bytes)
{
	if (record_bytes > settings->max_record_bytes)
		return -EFBIG;
	if (settings->large_policy == LARGE_REJECT && record_bytes > settings->threshold_bytes)
		return -EMSGSIZE;
	return 0;
}

bool settings_wants_claim_check(const struct settings *settings, uint64_t record_bytes)
{
	return settings->large_policy == LARGE_CLAIM_CHECK &&
	       record_bytes > settings->threshold_bytes;
}

/* Keeps printable ASCII alone: the reason may quote the user, and must not forge a log line. */
__attribute__((format(printf, 2, 3))) static int refuse(
	struct sfs_diag *diag, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(diag->text, sizeof diag->text, format, arguments);
	va_end(arguments);
	for (char *c = diag->text; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	return -EINVAL;
}

static int no_memory(struct sfs_diag *diag)
{
	refuse(diag, "out of memory");
	return -ENOMEM;
}

static int get_number(const json_t *value, const char *name, uint64_t min, uint64_t max,
	struct sfs_diag *diag, uint64_t *ret_number)
{
	json_int_t number = json_typeof(value) == JSON_INTEGER ? json_integer_value(value) : -1;
	if (number < 0 || (uint64_t)number < min || (uint64_t)number > max)
		return refuse(diag, "%s: must be a whole number from %" PRIu64 " to %" PRIu64, name,
			min, max);
	*ret_number = (uint64_t)number;
	return 0;
}

/* The index of a JSON string among `count` words, or -ENOENT. */
static int find_word(const json_t *value, const char *const *words, size_t count)
{
	if (json_typeof(value) != JSON_STRING)
		return -ENOENT;
	for (size_t i = 0; i < count; i++)
		if (strcmp(json_string_value(value), words[i]) == 0)
			return (int)i;
	return -ENOENT;
}

/* Members: each function sets one from a value that is not null. */

static int set_shards(struct settings *settings, const json_t *value, struct sfs_diag *diag)
{
	uint64_t number = 0;
	int r = get_number(value, "shards", 1, SFS_SHARDS_MAX, diag, &number);
	if (r < 0)
		return r;
	settings->shards = (uint32_t)number;
	return 0;
}

static int set_retention_hours(
	struct settings *settings, const json_t *value, struct sfs_diag *diag)
{
	return get_number(value, "retention_hours", 0, HOURS_MAX, diag, &settings->retention_hours);
}

static int set_retention_bytes(
	struct settings *settings, const json_t *value, struct sfs_diag *diag)
{
	return get_number(value, "retention_bytes", 0, BYTES_MAX, diag, &settings->retention_bytes);
}

static int set_policy(struct settings *settings, const json_t *value, struct sfs_diag *diag)
{
	int policy = find_word(value, policy_words, 3);
	if (policy < 0)
		return refuse(diag, "large_records.policy: must be \"claim-check\", \"split\" or "
				    "\"reject\"");
	settings->large_policy = (enum large_policy)policy;
	return 0;
}

static int set_threshold_bytes(
	struct settings *settings, const json_t *value, struct sfs_diag *diag)
{
	return get_number(value, "large_records.threshold_bytes", 1 << 10, 1 << 30, diag,
		&settings->threshold_bytes);
}

static int set_max_record_bytes(
	struct settings *settings, const json_t *value, struct sfs_diag *diag)
{
	return get_number(
		value, "max_record_bytes", 1, BYTES_MAX, diag, &settings->max_record_bytes);
}

static int set_compression(struct settings *settings, const json_t *value, struct sfs_diag *diag)
{
	int compression = find_word(value, compression_words, 2);
	if (compression < 0)
		return refuse(diag, "compression: must be \"lz4\" or \"none\"");
	settings->compression = (enum compression)compression;
	return 0;
}

static int set_flush_interval_ms(
	struct settings *settings, const json_t *value, struct sfs_diag *diag)
{
	uint64_t number = 0;
	int r = get_number(value, "flush_interval_ms", 1, 3600000, diag, &number);
	if (r < 0)
		return r;
	settings->flush_interval_ms = (uint32_t)number;
	return 0;
}

static int make_json_rule(const json_t *pointer, struct sfs_diag *diag, struct key_rule *ret_rule)
{
	int r = json_typeof(pointer) == JSON_STRING
			? key_rule_json(json_string_value(pointer), ret_rule)
			: -EINVAL;
	if (r == -EINVAL)
		return refuse(diag,
			"key.json: must be a JSON pointer of at most %d bytes, as in "
			"\"/customer/id\"",
			KEY_RULE_POINTER_MAX);
	return r < 0 ? no_memory(diag) : 0;
}

static int make_field_rule(const json_t *field, const json_t *separator, struct sfs_diag *diag,
	struct key_rule *ret_rule)
{
	uint64_t number = 0;
	int r = get_number(field, "key.field", 1, UINT32_MAX, diag, &number);
	if (r < 0)
		return r;
	if (json_typeof(separator) != JSON_STRING ||
		key_rule_field((uint32_t)number, json_string_value(separator), ret_rule) < 0)
		return refuse(diag, "key.separator: must be 1 to %d bytes without a newline",
			KEY_RULE_SEPARATOR_MAX);
	return 0;
}

/* A null member counts as absent (RFC 7386). */
static const json_t *get_member(const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);
	return json_is_null(value) ? NULL : value;
}

static int refuse_key(struct sfs_diag *diag)
{
	return refuse(diag, "key: must be {\"json\": POINTER}, {\"field\": NUMBER, "
			    "\"separator\": TEXT} or null");
}

static int set_key(struct settings *settings, const json_t *value, struct sfs_diag *diag)
{
	const char *name;
	json_t *ignored;
	if (json_typeof(value) != JSON_OBJECT)
		return refuse_key(diag);
	json_object_foreach((json_t *)value, name,
		ignored) if (strcmp(name, "json") != 0 && strcmp(name, "field") != 0 &&
			     strcmp(name, "separator") != 0) return refuse(diag,
		"key.%.64s: no such setting", name);

	const json_t *pointer = get_member(value, "json");
	const json_t *field = get_member(value, "field");
	const json_t *separator = get_member(value, "separator");
	struct key_rule rule;
	int r;
	if (pointer && !field && !separator)
		r = make_json_rule(pointer, diag, &rule);
	else if (!pointer && field && separator)
		r = make_field_rule(field, separator, diag, &rule);
	else
		r = refuse_key(diag);
	if (r < 0)
		return r;
	key_rule_fini(&settings->key);
	settings->key = rule;
	return 0;
}

/* Merging */

struct member {
	const char *name;
	int (*set)(struct settings *settings, const json_t *value, struct sfs_diag *diag);
	void (*reset)(struct settings *settings, const struct settings *initial);
};

#define RESETTER(field)                                                                            \
	static void reset_##field(struct settings *settings, const struct settings *initial)       \
	{                                                                                          \
		settings->field = initial->field;                                                  \
	}
RESETTER(shards)
RESETTER(retention_hours)
RESETTER(retention_bytes)
RESETTER(large_policy)
RESETTER(threshold_bytes)
RESETTER(max_record_bytes)
RESETTER(compression)
RESETTER(flush_interval_ms)
#undef RESETTER

static void reset_large_records(struct settings *settings, const struct settings *initial)
{
	reset_large_policy(settings, initial);
	reset_threshold_bytes(settings, initial);
}

static void reset_key(struct settings *settings, const struct settings *initial)
{
	(void)initial; /* has no rule */
	key_rule_fini(&settings->key);
}

static const struct member large_members[] = {
	{"policy", set_policy, reset_large_policy},
	{"threshold_bytes", set_threshold_bytes, reset_threshold_bytes},
	{0},
};

static int merge(struct settings *settings, const json_t *object, const struct member *members,
	const char *prefix, struct sfs_diag *diag)
{
	struct settings initial;
	const char *name;
	json_t *value;
	settings_init(&initial);
	json_object_foreach((json_t *)object, name, value)
	{
		const struct member *member = members;
		while (member->name && strcmp(member->name, name) != 0)
			member++;
		if (!member->name)
			return refuse(diag, "%s%.64s: no such setting", prefix, name);
		int r = 0;
		if (json_typeof(value) == JSON_NULL)
			member->reset(settings, &initial);
		else
			r = member->set(settings, value, diag);
		if (r < 0)
			return r;
	}
	return 0;
}

static int set_large_records(struct settings *settings, const json_t *value, struct sfs_diag *diag)
{
	if (json_typeof(value) != JSON_OBJECT)
		return refuse(diag, "large_records: must be an object of \"policy\" and "
				    "\"threshold_bytes\"");
	return merge(settings, value, large_members, "large_records.", diag);
}

static const struct member settings_members[] = {
	{"shards", set_shards, reset_shards},
	{"retention_hours", set_retention_hours, reset_retention_hours},
	{"retention_bytes", set_retention_bytes, reset_retention_bytes},
	{"large_records", set_large_records, reset_large_records},
	{"max_record_bytes", set_max_record_bytes, reset_max_record_bytes},
	{"key", set_key, reset_key},
	{"compression", set_compression, reset_compression},
	{"flush_interval_ms", set_flush_interval_ms, reset_flush_interval_ms},
	{0},
};

static int merge_settings(const struct settings *base, const json_t *object, struct sfs_diag *diag,
	struct settings *ret_settings)
{
	_cleanup_(settings_fini) struct settings merged = {0};
	if (!json_is_object(object))
		return refuse(diag, "not one JSON object");
	if (settings_copy(base, &merged) < 0)
		return no_memory(diag);
	int r = merge(&merged, object, settings_members, "", diag);
	if (r < 0)
		return r;
	*ret_settings = merged;
	merged.key = (struct key_rule){0}; /* the caller's now */
	return 0;
}

/* Whether brackets nest too deep for a parser that recurses. */
static bool too_deep(const char *json, size_t bytes)
{
	int depth = 0;
	bool in_string = false;
	for (size_t i = 0; i < bytes; i++) {
		if (in_string && json[i] == '\\')
			i++;
		else if (json[i] == '"')
			in_string = !in_string;
		else if (!in_string && (json[i] == '{' || json[i] == '['))
			depth++;
		else if (!in_string && (json[i] == '}' || json[i] == ']'))
			depth--;
		if (depth > JSON_DEPTH_MAX)
			return true;
	}
	return false;
}

int settings_patch(const struct settings *base, const char *json, size_t bytes,
	struct sfs_diag *diag, struct settings *ret_settings)
{
	if (bytes > JSON_BYTES_MAX)
		return refuse(diag, "not one JSON object: over %d bytes", JSON_BYTES_MAX);
	if (bytes && memchr(json, '\0', bytes)) /* jansson accepts a NUL behind a number */
		return refuse(diag, "not one JSON object: has a NUL");
	if (too_deep(json, bytes))
		return refuse(diag, "not one JSON object: nests deeper than %d", JSON_DEPTH_MAX);
	json_error_t error;
	errno = 0; /* jansson reports some failed allocations as bad syntax */
	json_auto_t *object = json_loadb(bytes ? json : "", bytes, JSON_REJECT_DUPLICATES, &error);
	if (!object && errno == ENOMEM)
		return no_memory(diag);
	if (!object)
		return refuse(diag, "not one JSON object: line %d, column %d: %s", error.line,
			error.column, error.text);
	return merge_settings(base, object, diag, ret_settings);
}

int settings_from_json(const json_t *object, struct sfs_diag *diag, struct settings *ret_settings)
{
	struct settings initial;
	settings_init(&initial);
	return merge_settings(&initial, object, diag, ret_settings);
}

static json_t *key_to_json(const struct key_rule *key)
{
	if (key->kind == KEY_RULE_JSON)
		return json_pack("{s:s}", "json", key->pointer);
	if (key->kind == KEY_RULE_FIELD)
		return json_pack(
			"{s:I, s:s}", "field", (json_int_t)key->field, "separator", key->separator);
	return json_null();
}

static int add_number(json_t *object, const char *name, uint64_t number)
{
	return json_object_set_new(object, name, json_integer((json_int_t)number));
}

/* Without memory a value is NULL, and adding NULL fails. */
json_t *settings_to_json(const struct settings *settings)
{
	const char *policy = policy_words[settings->large_policy];
	const char *compression = compression_words[settings->compression];
	json_auto_t *object = json_object();
	json_auto_t *large = json_object();
	int r = 0;
	r |= json_object_set_new(large, "policy", json_string(policy));
	r |= add_number(large, "threshold_bytes", settings->threshold_bytes);

	r |= add_number(object, "shards", settings->shards);
	r |= add_number(object, "retention_hours", settings->retention_hours);
	r |= add_number(object, "retention_bytes", settings->retention_bytes);
	r |= json_object_set(object, "large_records", large);
	r |= add_number(object, "max_record_bytes", settings->max_record_bytes);
	r |= json_object_set_new(object, "key", key_to_json(&settings->key));
	r |= json_object_set_new(object, "compression", json_string(compression));
	r |= add_number(object, "flush_interval_ms", settings->flush_interval_ms);
	return r < 0 ? NULL : json_incref(object);
}
