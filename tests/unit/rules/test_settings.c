/* SPDX-License-Identifier: MIT */
#include "settings.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct settings initial(void)
{
	struct settings settings;
	settings_init(&settings);
	return settings;
}

/* Merges a JSON text into `base`, and frees `base`. */
static struct settings patched(struct settings base, const char *json)
{
	struct settings settings;
	struct sfs_diag diag = {""};
	int r = settings_patch(&base, json, strlen(json), &diag, &settings);
	ck_assert_msg(r == 0, "%s: %s", json, diag.text);
	settings_fini(&base);
	return settings;
}

/* Checks that base and result are unchanged and that the reason is exactly this. */
static void expect_refused_bytes(const char *json, size_t bytes, const char *reason)
{
	struct settings base = patched(initial(), "{\"shards\":3,\"key\":{\"json\":\"/k\"}}");
	struct settings result = {.shards = 4711};
	struct sfs_diag diag = {""};
	ck_assert_int_eq(settings_patch(&base, json, bytes, &diag, &result), -EINVAL);
	ck_assert_str_eq(diag.text, reason);
	ck_assert_uint_eq(result.shards, 4711);
	ck_assert_ptr_null(result.key.pointer);
	ck_assert_uint_eq(base.shards, 3);
	ck_assert_str_eq(base.key.pointer, "/k");
	settings_fini(&base);
}

static void expect_refused(const char *json, const char *reason)
{
	expect_refused_bytes(json, strlen(json), reason);
}

/* Checks how the reason begins; jansson writes the rest. */
static void expect_no_object(const char *json, size_t bytes)
{
	static const char beginning[] = "not one JSON object";
	struct settings base = initial(), result = {.shards = 4711};
	struct sfs_diag diag = {""};
	ck_assert_msg(settings_patch(&base, json, bytes, &diag, &result) == -EINVAL, "%s", json);
	ck_assert_msg(strncmp(diag.text, beginning, strlen(beginning)) == 0, "%s", diag.text);
	for (const char *c = diag.text; *c; c++)
		ck_assert_msg(*c >= ' ' && *c <= '~', "%s", diag.text);
	ck_assert_uint_eq(result.shards, 4711);
}

static void expect_json(const struct settings *settings, const char *json)
{
	json_t *object = settings_to_json(settings);
	char *text = json_dumps(object, JSON_COMPACT);
	ck_assert_str_eq(text, json);
	free(text);
	json_decref(object);
}

static const char initial_json[] =
	"{\"shards\":1,\"retention_hours\":0,\"retention_bytes\":0,"
	"\"large_records\":{\"policy\":\"claim-check\",\"threshold_bytes\":1048576},"
	"\"max_record_bytes\":5368709120,\"key\":null,\"compression\":\"lz4\","
	"\"flush_interval_ms\":1000}";

static const char changed_json[] =
	"{\"shards\":4,\"retention_hours\":24,\"retention_bytes\":1000000,"
	"\"large_records\":{\"policy\":\"split\",\"threshold_bytes\":2048},"
	"\"max_record_bytes\":77,\"key\":{\"json\":\"/customer/id\"},\"compression\":\"none\","
	"\"flush_interval_ms\":50}";

START_TEST(built_in_defaults_are_the_documented_ones)
{
	struct settings settings = initial();
	ck_assert_uint_eq(settings.shards, 1);
	ck_assert_uint_eq(settings.retention_hours, 0);
	ck_assert_uint_eq(settings.retention_bytes, 0);
	ck_assert_int_eq(settings.large_policy, LARGE_CLAIM_CHECK);
	ck_assert_uint_eq(settings.threshold_bytes, 1048576);
	ck_assert_uint_eq(settings.max_record_bytes, 5368709120);
	ck_assert_int_eq(settings.key.kind, KEY_RULE_NONE);
	ck_assert_int_eq(settings.compression, COMPRESSION_LZ4);
	ck_assert_uint_eq(settings.flush_interval_ms, 1000);
	expect_json(&settings, initial_json);
}
END_TEST

START_TEST(every_member_is_taken_and_shown)
{
	struct settings settings = patched(initial(), changed_json);
	ck_assert_uint_eq(settings.shards, 4);
	ck_assert_uint_eq(settings.retention_hours, 24);
	ck_assert_uint_eq(settings.retention_bytes, 1000000);
	ck_assert_int_eq(settings.large_policy, LARGE_SPLIT);
	ck_assert_uint_eq(settings.threshold_bytes, 2048);
	ck_assert_uint_eq(settings.max_record_bytes, 77);
	ck_assert_int_eq(settings.key.kind, KEY_RULE_JSON);
	ck_assert_str_eq(settings.key.pointer, "/customer/id");
	ck_assert_int_eq(settings.compression, COMPRESSION_NONE);
	ck_assert_uint_eq(settings.flush_interval_ms, 50);
	expect_json(&settings, changed_json);
	settings_fini(&settings);
}
END_TEST

START_TEST(members_not_named_stay_as_they_are)
{
	struct settings settings = patched(patched(initial(), changed_json), " {} \r\n");
	expect_json(&settings, changed_json);
	settings = patched(settings, "{\"large_records\":{}}");
	expect_json(&settings, changed_json);
	settings = patched(settings, "{\"large_records\":{\"policy\":\"reject\"}}");
	ck_assert_int_eq(settings.large_policy, LARGE_REJECT);
	ck_assert_uint_eq(settings.threshold_bytes, 2048);
	settings = patched(settings, "{\"large_records\":{\"threshold_bytes\":4096}}");
	ck_assert_int_eq(settings.large_policy, LARGE_REJECT);
	ck_assert_uint_eq(settings.threshold_bytes, 4096);
	settings_fini(&settings);
}
END_TEST

START_TEST(null_goes_back_to_the_built_in_default)
{
	static const char *const members[] = {"shards", "retention_hours", "retention_bytes",
		"large_records", "max_record_bytes", "key", "compression", "flush_interval_ms"};
	struct settings all = patched(initial(), changed_json);
	json_t *expected = json_loads(initial_json, 0, NULL);
	for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
		char patch[64];
		snprintf(patch, sizeof patch, "{\"%s\":null}", members[i]);
		all = patched(all, patch);
		json_t *shown = settings_to_json(&all);
		ck_assert(json_equal(
			json_object_get(shown, members[i]), json_object_get(expected, members[i])));
		json_decref(shown);
	}
	expect_json(&all, initial_json);
	json_decref(expected);
}
END_TEST

START_TEST(null_inside_large_records_resets_that_member_alone)
{
	struct settings settings = patched(initial(), changed_json);
	settings = patched(settings, "{\"large_records\":{\"policy\":null}}");
	ck_assert_int_eq(settings.large_policy, LARGE_CLAIM_CHECK);
	ck_assert_uint_eq(settings.threshold_bytes, 2048);
	settings = patched(
		settings, "{\"large_records\":{\"threshold_bytes\":null,\"policy\":\"split\"}}");
	ck_assert_int_eq(settings.large_policy, LARGE_SPLIT);
	ck_assert_uint_eq(settings.threshold_bytes, 1048576);
	settings_fini(&settings);
}
END_TEST

START_TEST(key_is_replaced_as_a_whole)
{
	struct settings settings = patched(initial(), changed_json);
	settings = patched(settings, "{\"key\":{\"field\":2,\"separator\":\"\\t\"}}");
	ck_assert_int_eq(settings.key.kind, KEY_RULE_FIELD);
	ck_assert_uint_eq(settings.key.field, 2);
	ck_assert_str_eq(settings.key.separator, "\t");
	ck_assert_ptr_null(settings.key.pointer);
	settings = patched(settings, "{\"key\":{\"json\":\"\"}}");
	ck_assert_int_eq(settings.key.kind, KEY_RULE_JSON);
	ck_assert_str_eq(settings.key.pointer, "");
	settings = patched(settings, "{\"key\":{\"json\":null,\"field\":4294967295,"
				     "\"separator\":\"0123456789abcdef\"}}");
	ck_assert_uint_eq(settings.key.field, UINT32_MAX);
	ck_assert_str_eq(settings.key.separator, "0123456789abcdef");
	settings = patched(settings, "{\"key\":null}");
	ck_assert_int_eq(settings.key.kind, KEY_RULE_NONE);
}
END_TEST

/* A number in a patch: the text before and behind it, and its name. */
struct place {
	const char *before, *name, *behind;
};

static void expect_taken(const struct place *place, const char *number)
{
	char json[128], expected[128];
	snprintf(json, sizeof json, "%s\"%s\":%s%s", place->before, place->name, number,
		place->behind);
	snprintf(expected, sizeof expected, "\"%s\":%s", place->name, number);
	struct settings settings = patched(initial(), json);
	json_t *object = settings_to_json(&settings);
	char *text = json_dumps(object, JSON_COMPACT);
	const char *shown = strstr(text, expected);
	ck_assert_msg(shown && strchr(",}", shown[strlen(expected)]), "%s in %s", expected, text);
	free(text);
	json_decref(object);
	settings_fini(&settings);
}

/* Both ends of the range are valid; a number just outside, or not whole, is not. */
static void expect_range(struct place place, const char *least, const char *greatest,
	const char *below, const char *above, const char *reason)
{
	const char *refused[] = {below, above, "1.0", "2048.0", "1e3", "\"2048\"", "true", "[]",
		"{}", "-9223372036854775808", "9223372036854775807"};
	expect_taken(&place, least);
	expect_taken(&place, greatest);
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		char json[128];
		snprintf(json, sizeof json, "%s\"%s\":%s%s", place.before, place.name, refused[i],
			place.behind);
		expect_refused(json, reason);
	}
}

START_TEST(numbers_are_whole_and_within_their_ranges)
{
	expect_range((struct place){"{", "shards", "}"}, "1", "4096", "0", "4097",
		"shards: must be a whole number from 1 to 4096");
	expect_range((struct place){"{", "retention_hours", "}"}, "0", "1000000000", "-1",
		"1000000001", "retention_hours: must be a whole number from 0 to 1000000000");
	expect_range((struct place){"{", "retention_bytes", "}"}, "0", "4611686018427387904", "-1",
		"4611686018427387905",
		"retention_bytes: must be a whole number from 0 to 4611686018427387904");
	expect_range((struct place){"{\"large_records\":{", "threshold_bytes", "}}"}, "1024",
		"1073741824", "1023", "1073741825",
		"large_records.threshold_bytes: must be a whole number from 1024 to 1073741824");
	expect_range((struct place){"{", "max_record_bytes", "}"}, "1", "4611686018427387904", "0",
		"4611686018427387905",
		"max_record_bytes: must be a whole number from 1 to 4611686018427387904");
	expect_range((struct place){"{", "flush_interval_ms", "}"}, "1", "3600000", "0", "3600001",
		"flush_interval_ms: must be a whole number from 1 to 3600000");
	expect_range((struct place){"{\"key\":{\"separator\":\",\",", "field", "}}"}, "1",
		"4294967295", "0", "4294967296",
		"key.field: must be a whole number from 1 to 4294967295");
}
END_TEST

START_TEST(words_are_taken_as_they_are_spelled)
{
	static const char policy[] =
		"large_records.policy: must be \"claim-check\", \"split\" or \"reject\"";
	static const char compression[] = "compression: must be \"lz4\" or \"none\"";
	expect_taken(&(struct place){"{\"large_records\":{", "policy", "}}"}, "\"claim-check\"");
	expect_taken(&(struct place){"{\"large_records\":{", "policy", "}}"}, "\"split\"");
	expect_taken(&(struct place){"{\"large_records\":{", "policy", "}}"}, "\"reject\"");
	expect_taken(&(struct place){"{", "compression", "}"}, "\"lz4\"");
	expect_taken(&(struct place){"{", "compression", "}"}, "\"none\"");
	expect_refused("{\"large_records\":{\"policy\":\"Split\"}}", policy);
	expect_refused("{\"large_records\":{\"policy\":\"\"}}", policy);
	expect_refused("{\"large_records\":{\"policy\":1}}", policy);
	expect_refused("{\"compression\":\"lz\"}", compression);
	expect_refused("{\"compression\":\"lz44\"}", compression);
	expect_refused("{\"compression\":false}", compression);
}
END_TEST

START_TEST(wrong_key_rules_are_refused)
{
	static const char shape[] = "key: must be {\"json\": POINTER}, {\"field\": NUMBER, "
				    "\"separator\": TEXT} or null";
	static const char pointer[] =
		"key.json: must be a JSON pointer of at most 1024 bytes, as in \"/customer/id\"";
	static const char separator[] = "key.separator: must be 1 to 16 bytes without a newline";
	expect_refused("{\"key\":{}}", shape);
	expect_refused("{\"key\":\"/a\"}", shape);
	expect_refused("{\"key\":[\"/a\"]}", shape);
	expect_refused("{\"key\":{\"json\":null}}", shape);
	expect_refused("{\"key\":{\"field\":1}}", shape);
	expect_refused("{\"key\":{\"separator\":\",\"}}", shape);
	expect_refused("{\"key\":{\"json\":\"/a\",\"field\":1}}", shape);
	expect_refused("{\"key\":{\"json\":\"/a\",\"separator\":\",\"}}", shape);
	expect_refused("{\"key\":{\"json\":\"/a\",\"field\":1,\"separator\":\",\"}}", shape);
	expect_refused("{\"key\":{\"json\":\"a\"}}", pointer);
	expect_refused("{\"key\":{\"json\":1}}", pointer);
	expect_refused("{\"key\":{\"field\":1,\"separator\":\"\"}}", separator);
	expect_refused("{\"key\":{\"field\":1,\"separator\":\"\\n\"}}", separator);
	expect_refused("{\"key\":{\"field\":1,\"separator\":\"0123456789abcdefg\"}}", separator);
	expect_refused("{\"key\":{\"field\":1,\"separator\":9}}", separator);
	expect_refused("{\"key\":{\"json\":\"/a\",\"path\":1}}", "key.path: no such setting");
}
END_TEST

START_TEST(unknown_members_are_refused)
{
	expect_refused("{\"shard\":1}", "shard: no such setting");
	expect_refused("{\"Shards\":1}", "Shards: no such setting");
	expect_refused("{\"\":1}", ": no such setting");
	expect_refused("{\"shard\":null}", "shard: no such setting");
	expect_refused("{\"policy\":\"split\"}", "policy: no such setting");
	expect_refused(
		"{\"large_records\":{\"shards\":1}}", "large_records.shards: no such setting");
}
END_TEST

START_TEST(large_records_must_be_an_object)
{
	static const char reason[] =
		"large_records: must be an object of \"policy\" and \"threshold_bytes\"";
	expect_refused("{\"large_records\":\"split\"}", reason);
	expect_refused("{\"large_records\":[]}", reason);
	expect_refused("{\"large_records\":2048}", reason);
}
END_TEST

START_TEST(good_members_beside_a_bad_one_change_nothing)
{
	expect_refused("{\"shards\":9,\"key\":{\"json\":\"/new\"},\"compression\":\"zip\"}",
		"compression: must be \"lz4\" or \"none\"");
	expect_refused(
		"{\"key\":null,\"shards\":0}", "shards: must be a whole number from 1 to 4096");
}
END_TEST

START_TEST(threshold_may_exceed_the_greatest_record)
{
	struct settings settings = patched(initial(), "{\"max_record_bytes\":1000}");
	ck_assert_uint_eq(settings.max_record_bytes, 1000);
	ck_assert_uint_eq(settings.threshold_bytes, 1048576);
}
END_TEST

START_TEST(text_that_is_not_one_object_is_refused)
{
	static const char *const texts[] = {"", " ", "[]", "[{}]", "1", "\"x\"", "null", "true",
		"{", "{}{}", "{} x", "{\"shards\"}", "{\"shards\":}", "{\"shards\":1,}",
		"{shards:1}", "{'shards':1}", "{\"shards\":01}", "{\"shards\":1 /* one */}",
		"\xEF\xBB\xBF{}", "{\"\xFF\":1}", "{\"a\nb\":1}",
		"{\"shards\":99999999999999999999}", "{\"shards\":1e999}", "{\"shards\":NaN}"};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		expect_no_object(texts[i], strlen(texts[i]));
	expect_no_object(NULL, 0);
}
END_TEST

START_TEST(duplicate_members_are_refused)
{
	static const char *const texts[] = {"{\"shards\":1,\"shards\":1}",
		"{\"shards\":1,\"\\u0073hards\":2}",
		"{\"large_records\":{\"policy\":\"split\",\"policy\":\"reject\"}}"};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		expect_no_object(texts[i], strlen(texts[i]));
}
END_TEST

START_TEST(nul_is_refused_wherever_it_stands)
{
	static const char raw[] = "{\"shards\":4\0}", name[] = "{\"shards\0\":4}", end[] = "{}";
	static const char escaped[] = "{\"key\":{\"json\":\"/a\\u0000b\"}}";
	expect_refused_bytes(raw, sizeof raw - 1, "not one JSON object: has a NUL");
	expect_refused_bytes(name, sizeof name - 1, "not one JSON object: has a NUL");
	expect_refused_bytes(end, sizeof end, "not one JSON object: has a NUL");
	expect_no_object(escaped, sizeof escaped - 1);
}
END_TEST

/* Returns {"x":[[…]]} with `depth` open brackets. */
static char *nested(int depth)
{
	size_t arrays = (size_t)depth - 1;
	char *text = malloc(2 * arrays + 16);
	ck_assert_ptr_nonnull(text);
	strcpy(text, "{\"x\":");
	memset(text + 5, '[', arrays);
	memset(text + 5 + arrays, ']', arrays);
	strcpy(text + 5 + 2 * arrays, "}");
	return text;
}

START_TEST(nesting_is_bounded_at_64)
{
	static const char reason[] = "not one JSON object: nests deeper than 64";
	char *text = nested(64);
	expect_refused(text, "x: no such setting");
	free(text);
	text = nested(65);
	expect_refused(text, reason);
	free(text);
	text = nested(20000);
	expect_refused(text, reason);
	free(text);
}
END_TEST

START_TEST(brackets_in_strings_do_not_nest)
{
	char json[256] = "{\"key\":{\"json\":\"/\\\"";
	size_t used = strlen(json);
	memset(json + used, '[', 100);
	strcpy(json + used + 100, "\"}}");
	struct settings settings = patched(initial(), json);
	ck_assert_uint_eq(strlen(settings.key.pointer), 102);
	settings_fini(&settings);
}
END_TEST

START_TEST(size_is_bounded_at_64_kib)
{
	enum { LIMIT = 64 << 10 };
	char *json = malloc(LIMIT + 1);
	ck_assert_ptr_nonnull(json);
	memset(json, ' ', LIMIT + 1);
	memcpy(json, "{\"shards\":2}", 12);
	struct settings base = initial(), settings;
	struct sfs_diag diag;
	ck_assert_int_eq(settings_patch(&base, json, LIMIT, &diag, &settings), 0);
	ck_assert_uint_eq(settings.shards, 2);
	expect_refused_bytes(json, LIMIT + 1, "not one JSON object: over 65536 bytes");
	free(json);
}
END_TEST

START_TEST(what_is_quoted_cannot_break_the_line)
{
	expect_refused("{\"a\\nERROR: \\u001b[31mb\\u007f\\u00e9\":1}",
		"a?ERROR: ?[31mb???: no such setting");
	expect_refused(
		"{\"0123456789012345678901234567890123456789012345678901234567890123456\":1}",
		"0123456789012345678901234567890123456789012345678901234567890123: no such "
		"setting");
}
END_TEST

START_TEST(parsed_objects_are_merged_onto_the_defaults)
{
	struct settings settings, again;
	struct sfs_diag diag;
	json_t *object = json_loads(changed_json, 0, NULL);
	ck_assert_int_eq(settings_from_json(object, &diag, &settings), 0);
	expect_json(&settings, changed_json);
	json_decref(object);

	ck_assert_int_eq(settings_copy(&settings, &again), 0);
	settings_fini(&settings);
	expect_json(&again, changed_json);
	settings_fini(&again);

	object = json_loads("{\"key\":{\"field\":3,\"separator\":\"::\"}}", 0, NULL);
	ck_assert_int_eq(settings_from_json(object, &diag, &settings), 0);
	ck_assert_uint_eq(settings.shards, 1);
	json_t *shown = settings_to_json(&settings);
	ck_assert(json_equal(json_object_get(shown, "key"), json_object_get(object, "key")));
	json_decref(shown);
	json_decref(object);
	settings_fini(NULL);
}
END_TEST

START_TEST(parsed_values_that_are_no_object_are_refused)
{
	struct settings settings = {.shards = 4711};
	struct sfs_diag diag;
	json_t *array = json_array();
	ck_assert_int_eq(settings_from_json(array, &diag, &settings), -EINVAL);
	ck_assert_str_eq(diag.text, "not one JSON object");
	ck_assert_int_eq(settings_from_json(NULL, &diag, &settings), -EINVAL);
	ck_assert_uint_eq(settings.shards, 4711);
	json_decref(array);
}
END_TEST

/* Fails jansson's allocations from the n-th on. */
static int allocations_left; /* of this process, which runs one test */

static void *scarce_malloc(size_t bytes)
{
	if (allocations_left-- > 0)
		return malloc(bytes);
	errno = ENOMEM;
	return NULL;
}

static bool patch_with(int allocations)
{
	struct settings base = initial(), settings = {.shards = 4711};
	struct sfs_diag diag = {""};
	allocations_left = allocations;
	int r = settings_patch(&base, changed_json, strlen(changed_json), &diag, &settings);
	if (r == 0) {
		ck_assert_uint_eq(settings.shards, 4);
		settings_fini(&settings);
		return true;
	}
	ck_assert_int_eq(r, -ENOMEM);
	ck_assert_str_eq(diag.text, "out of memory");
	ck_assert_uint_eq(settings.shards, 4711);
	return false;
}

static bool show_with(const struct settings *settings, int allocations)
{
	allocations_left = allocations;
	json_t *object = settings_to_json(settings);
	if (object)
		ck_assert_uint_eq(json_object_size(object), 8);
	json_decref(object);
	return object;
}

START_TEST(every_failed_allocation_of_json_is_reported)
{
	struct settings json = patched(initial(), changed_json);
	struct settings field = patched(initial(), "{\"key\":{\"field\":1,\"separator\":\",\"}}");
	int patch = 0, show_json = 0, show_field = 0;
	json_object_seed(1);
	json_set_alloc_funcs(scarce_malloc, free);
	while (patch < 1000 && !patch_with(patch))
		patch++;
	while (show_json < 1000 && !show_with(&json, show_json))
		show_json++;
	while (show_field < 1000 && !show_with(&field, show_field))
		show_field++;
	json_set_alloc_funcs(malloc, free);
	ck_assert(patch > 10 && patch < 1000);
	ck_assert(show_json > 10 && show_json < 1000);
	ck_assert(show_field > 10 && show_field < 1000);
	settings_fini(&json);
	settings_fini(&field);
}
END_TEST

static TCase *taken_cases(void)
{
	TCase *cases = tcase_create("taken");
	tcase_add_test(cases, built_in_defaults_are_the_documented_ones);
	tcase_add_test(cases, every_member_is_taken_and_shown);
	tcase_add_test(cases, members_not_named_stay_as_they_are);
	tcase_add_test(cases, null_goes_back_to_the_built_in_default);
	tcase_add_test(cases, null_inside_large_records_resets_that_member_alone);
	tcase_add_test(cases, key_is_replaced_as_a_whole);
	tcase_add_test(cases, numbers_are_whole_and_within_their_ranges);
	tcase_add_test(cases, words_are_taken_as_they_are_spelled);
	tcase_add_test(cases, threshold_may_exceed_the_greatest_record);
	tcase_add_test(cases, brackets_in_strings_do_not_nest);
	tcase_add_test(cases, size_is_bounded_at_64_kib);
	tcase_add_test(cases, parsed_objects_are_merged_onto_the_defaults);
	return cases;
}

static TCase *refused_cases(void)
{
	TCase *cases = tcase_create("refused");
	tcase_add_test(cases, wrong_key_rules_are_refused);
	tcase_add_test(cases, unknown_members_are_refused);
	tcase_add_test(cases, large_records_must_be_an_object);
	tcase_add_test(cases, good_members_beside_a_bad_one_change_nothing);
	tcase_add_test(cases, text_that_is_not_one_object_is_refused);
	tcase_add_test(cases, duplicate_members_are_refused);
	tcase_add_test(cases, nul_is_refused_wherever_it_stands);
	tcase_add_test(cases, nesting_is_bounded_at_64);
	tcase_add_test(cases, what_is_quoted_cannot_break_the_line);
	tcase_add_test(cases, parsed_values_that_are_no_object_are_refused);
	tcase_add_test(cases, every_failed_allocation_of_json_is_reported);
	return cases;
}

int main(void)
{
	Suite *suite = suite_create("settings");
	suite_add_tcase(suite, taken_cases());
	suite_add_tcase(suite, refused_cases());
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
