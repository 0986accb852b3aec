/* SPDX-License-Identifier: MIT */
#include "key_reference.h"
#include "random_json.h"
#include "stride.h"

#include "buf.h"

#include <check.h>
#include <stdio.h>
#include <time.h>

static struct key_rule json_rule(const char *pointer)
{
	struct key_rule rule;
	ck_assert_int_eq(key_rule_json(pointer, &rule), 0);
	return rule;
}

static struct key_rule field_rule(uint32_t field, const char *separator)
{
	struct key_rule rule;
	ck_assert_int_eq(key_rule_field(field, separator, &rule), 0);
	return rule;
}

/* A copy of the key that was found, with a NUL behind it. */
struct found {
	int result;
	size_t bytes;
	char key[SFS_KEY_MAX_BYTES + 1];
};

/* Searches a record that ends where its memory ends: a sanitizer then sees a read past the end. */
static struct found find(const struct key_rule *rule, const char *record, size_t bytes)
{
	static const char untouched[] = "untouched";
	struct found found = {.bytes = 77};
	char scratch[SFS_KEY_MAX_BYTES];
	const char *key = untouched;
	char *exact = malloc(bytes ? bytes : 1);
	ck_assert_ptr_nonnull(exact);
	memcpy(exact, record, bytes);
	found.result = key_rule_find(rule, exact, bytes, scratch, &key, &found.bytes);
	if (found.result == 0) {
		ck_assert_uint_le(found.bytes, SFS_KEY_MAX_BYTES);
		memcpy(found.key, key, found.bytes);
	} else {
		ck_assert_int_eq(found.result, -ENOENT);
		ck_assert_ptr_eq(key, untouched);
		ck_assert_uint_eq(found.bytes, 77);
	}
	free(exact);
	return found;
}

static void expect_found(struct key_rule rule, const char *record, const char *key)
{
	struct found found = find(&rule, record, strlen(record));
	ck_assert_msg(found.result == 0, "no key in %s", record);
	ck_assert_str_eq(found.key, key);
	ck_assert_uint_eq(found.bytes, strlen(key));
	key_rule_fini(&rule);
}

static void expect_none(struct key_rule rule, const char *record)
{
	struct found found = find(&rule, record, strlen(record));
	ck_assert_msg(found.result == -ENOENT, "key %s in %s", found.key, record);
	key_rule_fini(&rule);
}

static void expect_json(const char *pointer, const char *record, const char *key)
{
	expect_found(json_rule(pointer), record, key);
}

static void expect_no_json(const char *pointer, const char *record)
{
	expect_none(json_rule(pointer), record);
}

START_TEST(members_are_found_wherever_they_stand)
{
	const char *record = "{\"id\":\"8f_17\",\"t\":-147.24e+3,\"ok\":true,\"no\":false,"
			     "\"at\":{\"x\":[1,{\"y\":\"deep\"}]},\"last\":0}\r";
	expect_json("/id", record, "8f_17");
	expect_json("/t", record, "-147.24e+3");
	expect_json("/ok", record, "true");
	expect_json("/no", record, "false");
	expect_json("/at/x/0", record, "1");
	expect_json("/at/x/1/y", record, "deep");
	expect_json("/last", record, "0");
	expect_no_json("/lost", record);
	expect_no_json("/i", record);
	expect_no_json("/idx", record);
}
END_TEST

START_TEST(blanks_between_tokens_do_not_matter)
{
	expect_json("/a/1", " \t\r\n{ \"b\" : { } , \"a\"\t:\r[ [ ] , \"k\" ] }", "k");
	expect_json("", "  12 ", "12");
	expect_no_json("/a", "{\"a\":\f\"k\"}");
	expect_no_json("/a", "\xEF\xBB\xBF{\"a\":\"k\"}");
}
END_TEST

START_TEST(empty_pointer_is_the_whole_record)
{
	expect_json("", "\"k\"", "k");
	expect_json("", "-0", "-0");
	expect_json("", "1E5\r", "1E5");
	expect_json("", "true", "true");
	expect_no_json("", "{\"a\":1}");
	expect_no_json("", "[1]");
	expect_no_json("", "");
	expect_no_json("", " ");
	expect_no_json("", "word");
}
END_TEST

START_TEST(null_objects_and_arrays_are_no_keys)
{
	const char *record = "{\"n\":null,\"o\":{},\"a\":[],\"e\":\"\",\"k\":\"after them\"}";
	expect_no_json("/n", record);
	expect_no_json("/o", record);
	expect_no_json("/a", record);
	expect_no_json("/e", record);
	expect_json("/k", record, "after them");
}
END_TEST

START_TEST(pointer_steps_through_a_scalar_find_nothing)
{
	expect_no_json("/a/b", "{\"a\":\"x\"}");
	expect_no_json("/a/0", "{\"a\":1}");
	expect_no_json("/a/b", "{\"a\":null}");
	expect_no_json("/a/b", "{\"a\":[{\"b\":1}]}");
}
END_TEST

START_TEST(tilde_escapes_of_pointers_are_undone)
{
	expect_json("/a~1b", "{\"a\":1,\"a/b\":\"slash\"}", "slash");
	expect_json("/m~0n", "{\"m\":1,\"m~n\":\"tilde\"}", "tilde");
	expect_json("/~01", "{\"/\":1,\"~1\":\"in order\"}", "in order");
	expect_json("/", "{\"\":\"empty name\"}", "empty name");
	expect_json("//", "{\"\":{\"\":\"twice\"}}", "twice");
}
END_TEST

START_TEST(what_is_not_a_pointer_is_refused)
{
	char pointer[KEY_RULE_POINTER_MAX + 2];
	struct key_rule rule = {.field = 4711};
	ck_assert_int_eq(key_rule_json("a", &rule), -EINVAL);
	ck_assert_int_eq(key_rule_json("#/a", &rule), -EINVAL);
	ck_assert_int_eq(key_rule_json("/a~", &rule), -EINVAL);
	ck_assert_int_eq(key_rule_json("/a~2", &rule), -EINVAL);
	ck_assert_int_eq(key_rule_json("/a~/b", &rule), -EINVAL);
	ck_assert_int_eq(key_rule_json("/\xFF", &rule), -EINVAL);
	memset(pointer, '/', sizeof pointer);
	pointer[KEY_RULE_POINTER_MAX + 1] = '\0';
	ck_assert_int_eq(key_rule_json(pointer, &rule), -EINVAL);
	ck_assert_uint_eq(rule.field, 4711);
	pointer[KEY_RULE_POINTER_MAX] = '\0';
	expect_no_json(pointer, "{\"\":{\"\":{\"\":1}}}");
}
END_TEST

START_TEST(array_indices_follow_rfc_6901)
{
	expect_json("/0", "[\"a\",\"b\"]", "a");
	expect_json("/1", "[\"a\",\"b\"]", "b");
	expect_json("/10", "[0,1,2,3,4,5,6,7,8,9,\"ten\"]", "ten");
	expect_no_json("/2", "[\"a\",\"b\"]");
	expect_no_json("/0", "[]");
	expect_no_json("/-", "[\"a\"]");
	expect_no_json("/-0", "[\"a\"]");
	expect_no_json("/+0", "[\"a\"]");
	expect_no_json("/00", "[\"a\"]");
	expect_no_json("/01", "[\"a\",\"b\"]");
	expect_no_json("/", "[\"a\"]");
	expect_no_json("/1a", "[\"a\",\"b\"]");
	expect_no_json("/18446744073709551616", "[\"a\",\"b\"]"); /* 2^64 is not 0 */
}
END_TEST

START_TEST(digits_and_dashes_name_members_of_objects)
{
	const char *record = "{\"-\":\"dash\",\"01\":\"one\",\"0\":\"zero\"}";
	expect_json("/-", record, "dash");
	expect_json("/01", record, "one");
	expect_json("/0", record, "zero");
}
END_TEST

START_TEST(escapes_in_a_value_are_undone)
{
	expect_json("", "\"\\\"\\\\\\/\\b\\f\\r\\t\"", "\"\\/\b\f\r\t");
	expect_json("", "\"caf\\u00e9 \\u20AC \\uD83d\\uDe00.\"", "café € 😀.");
	expect_json("", "\"\\uFFFF\\u007f\\u0080\\u07ff\\u0800\"",
		"\xEF\xBF\xBF\x7F\xC2\x80\xDF\xBF\xE0\xA0\x80");
	expect_json("", "\"\\uDBFF\\uDFFF\\uD800\\uDC00\"", "\xF4\x8F\xBF\xBF\xF0\x90\x80\x80");
}
END_TEST

START_TEST(escapes_in_a_name_are_undone)
{
	expect_json("/sensorId", "{\"sensor\\u0049\":1,\"\\u0073ensorI\\u0064\":\"k\"}", "k");
	expect_json("/a\"\\b", "{\"a\\\"\":1,\"a\\\"\\\\bc\":2,\"a\\\"\\\\b\":\"k\"}", "k");
	expect_json("/😀", "{\"\\ud83d\\ude00\":\"k\"}", "k");
	expect_json("/😀", "{\"😀\":\"k\"}", "k");
	expect_no_json("/a", "{\"\\u0000\":1,\"\\ud83d\":2}");
	expect_no_json("/\\u0061", "{\"a\":1}");
}
END_TEST

START_TEST(lone_surrogates_and_nul_make_no_key)
{
	expect_no_json("", "\"\\ud83d\"");
	expect_no_json("", "\"\\ude00\"");
	expect_no_json("", "\"\\udc00\\udc00\"");
	expect_no_json("", "\"\\ud83d\\ud83d\"");
	expect_no_json("", "\"\\ud83dxude00\"");
	expect_no_json("", "\"\\ud83d\\nde000\"");
	expect_no_json("", "\"\\ud83d\\u0041\"");
	expect_no_json("", "\"\\ud83d\\ue000\"");
	expect_no_json("", "\"a\\u0000\"");
	expect_no_json("", "\"a\\nb\"");
	expect_no_json("", "\"a\\u000ab\"");
}
END_TEST

START_TEST(malformed_text_before_the_value_makes_no_key)
{
	static const char *const records[] = {"{\"a\":1 \"k\":\"v\"}", "{\"a\" 1,\"k\":\"v\"}",
		"{a:1,\"k\":\"v\"}", "{'a':1,\"k\":\"v\"}", "{,\"k\":\"v\"}",
		"{\"a\":,\"k\":\"v\"}", "{\"a\":01,\"k\":\"v\"}", "{\"a\":+1,\"k\":\"v\"}",
		"{\"a\":.5,\"k\":\"v\"}", "{\"a\":1.,\"k\":\"v\"}", "{\"a\":1e,\"k\":\"v\"}",
		"{\"a\":1e+,\"k\":\"v\"}", "{\"a\":-,\"k\":\"v\"}", "{\"a\":tru,\"k\":\"v\"}",
		"{\"a\":TRUE,\"k\":\"v\"}", "{\"a\":nul,\"k\":\"v\"}", "{\"a\":falsy,\"k\":\"v\"}",
		"{\"a\":[1,],\"k\":\"v\"}", "{\"a\":[1}, \"k\":\"v\"}", "{\"a\":{]},\"k\":\"v\"}",
		"{\"a\":{\"b\":1,},\"k\":\"v\"}", "{\"a\":[1 2],\"k\":\"v\"}",
		"{\"a\":\"\\x\",\"k\":\"v\"}", "{\"a\":\"\\u12g4\",\"k\":\"v\"}",
		"{\"a\":\"\t\",\"k\":\"v\"}", "{\"a\":\"\x1F\",\"k\":\"v\"}", "[\"k\",\"v\"]",
		"\"k\":\"v\"", "{\"k\"\"v\"}", "{\"k\":\"v", "{\"k\":\"v\\\"", "{\"k\":", "{\"k\"",
		"{\"k", "{", "{\"a\":1}", "{\"a\":\"\\", "{\"a\":\"\\u00", "{\"a\":\"\\u"};
	for (size_t i = 0; i < sizeof records / sizeof *records; i++)
		expect_no_json("/k", records[i]);
}
END_TEST

START_TEST(bare_values_must_end_where_they_end)
{
	expect_json("/k", "{\"k\":1.5}", "1.5");
	expect_json("/k", "{\"k\":1.5\t}", "1.5");
	expect_json("/0", "[true]", "true");
	expect_no_json("/k", "{\"k\":01}");
	expect_no_json("/k", "{\"k\":1.5.2}");
	expect_no_json("/k", "{\"k\":0x10}");
	expect_no_json("/k", "{\"k\":truest}");
	expect_no_json("/k", "{\"k\":1:2}");
	expect_no_json("/k", "{\"k\":NaN}");
	expect_no_json("/k", "{\"k\":-}");
	struct key_rule rule = json_rule("/k");
	ck_assert_int_eq(find(&rule, "{\"k\":1\0}", 8).result, -ENOENT);
	ck_assert_int_eq(find(&rule, "{\"k\":\0}", 7).result, -ENOENT);
	key_rule_fini(&rule);
}
END_TEST

START_TEST(text_behind_the_value_is_not_looked_at)
{
	expect_json("/k", "{\"k\":\"v\"", "v");
	expect_json("/k", "{\"k\":\"v\",,, \"k\":\"w\"", "v");
	expect_json("/k", "{\"k\":7", "7");
}
END_TEST

START_TEST(first_of_duplicate_members_counts)
{
	expect_json("/k", "{\"k\":\"first\",\"k\":\"second\"}", "first");
	expect_no_json("/k/a", "{\"k\":1,\"k\":{\"a\":2}}");
}
END_TEST

/* Nests `depth` arrays, with `inner` in the innermost and `tail` behind them. */
static void nest(char *text, int depth, const char *inner, const char *tail)
{
	memset(text, '[', (size_t)depth);
	strcpy(text + depth, inner);
	text += strlen(text);
	memset(text, ']', (size_t)depth);
	strcpy(text + depth, tail);
}

START_TEST(nesting_is_bounded)
{
	char record[256] = "{\"a\":", pointer[256];
	nest(record + 5, KEY_RULE_JSON_DEPTH_MAX - 1, "", ",\"k\":\"v\"}");
	expect_json("/k", record, "v");
	nest(record + 5, KEY_RULE_JSON_DEPTH_MAX, "", ",\"k\":\"v\"}");
	expect_no_json("/k", record);

	nest(record, KEY_RULE_JSON_DEPTH_MAX, "5", "");
	for (int i = 0; i <= KEY_RULE_JSON_DEPTH_MAX; i++)
		memcpy(pointer + 2 * i, "/0", 3);
	pointer[2 * KEY_RULE_JSON_DEPTH_MAX] = '\0';
	expect_json(pointer, record, "5");
	nest(record, KEY_RULE_JSON_DEPTH_MAX + 1, "5", "");
	pointer[2 * KEY_RULE_JSON_DEPTH_MAX] = '/';
	expect_no_json(pointer, record);
}
END_TEST

/* Searches a record {"k":"PIECE…"} of `count` pieces. */
static void expect_length(const char *piece, int count, bool found)
{
	struct buf record = {0};
	struct key_rule rule = json_rule("/k");
	ck_assert_int_eq(buf_printf(&record, "{\"k\":\""), 0);
	for (int i = 0; i < count; i++)
		ck_assert_int_eq(buf_append(&record, piece, strlen(piece)), 0);
	ck_assert_int_eq(buf_printf(&record, "\"}"), 0);
	struct found got = find(&rule, (const char *)record.data, record.size);
	ck_assert_msg((got.result == 0) == found, "%d times %s", count, piece);
	key_rule_fini(&rule);
	buf_fini(&record);
}

START_TEST(keys_have_at_most_256_characters)
{
	static const char *const pieces[] = {
		"x", "é", "€", "😀", "\\t", "\\u20ac", "\\ud83d\\ude00"};
	for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
		expect_length(pieces[i], 1, true);
		expect_length(pieces[i], SFS_KEY_MAX, true);
		expect_length(pieces[i], SFS_KEY_MAX + 1, false);
		expect_length(pieces[i], 5000, false);
	}
	expect_length("x", 0, false);
}
END_TEST

static bool valid(const char *key)
{
	return sfs_key_valid(key, strlen(key));
}

START_TEST(valid_keys_are_utf8_without_nul_and_newline)
{
	ck_assert(valid("k"));
	ck_assert(valid("a key of \t more than 8 bytes \x7F"));
	ck_assert(valid("twelve bytes é and on"));
	ck_assert(valid("\xC2\x80 \xDF\xBF \xE0\xA0\x80 \xED\x9F\xBF \xEE\x80\x80 \xEF\xBF\xBF"));
	ck_assert(valid("\xF0\x90\x80\x80 \xF4\x8F\xBF\xBF"));
	ck_assert(!sfs_key_valid("", 0));
	for (size_t i = 0; i < 20; i++) {
		char key[20];
		memset(key, 'k', sizeof key);
		key[i] = '\n';
		ck_assert(!sfs_key_valid(key, sizeof key));
		key[i] = '\0';
		ck_assert(!sfs_key_valid(key, sizeof key));
		key[i] = '\x80';
		ck_assert(!sfs_key_valid(key, sizeof key));
		key[i] = '\v';
		ck_assert(sfs_key_valid(key, sizeof key));
	}
}
END_TEST

START_TEST(malformed_utf8_is_no_key)
{
	static const char *const keys[] = {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xC3", "\xC3(",
		"\xE0\x9F\xBF", "\xE2\x82", "\xE2(\xA1", "\xE2\x82(", "\xED\xA0\x80",
		"\xED\xBF\xBF", "\xF0\x8F\xBF\xBF", "\xF0\x9F\x98", "\xF4\x90\x80\x80",
		"\xF5\x80\x80\x80", "\xFE", "\xFF", "\xF0\x9F\x98("};
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		char record[64];
		ck_assert_msg(!valid(keys[i]), "case %zu", i);
		snprintf(record, sizeof record, "{\"k\":\"a%s\"}", keys[i]);
		expect_no_json("/k", record);
		snprintf(record, sizeof record, "a,%s,b", keys[i]);
		expect_none(field_rule(2, ","), record);
	}
}
END_TEST

START_TEST(fields_are_counted_from_one)
{
	expect_found(field_rule(1, ","), "a,b,c", "a");
	expect_found(field_rule(2, ","), "a,b,c", "b");
	expect_found(field_rule(3, ","), "a,b,c", "c");
	expect_none(field_rule(4, ","), "a,b,c");
	expect_none(field_rule(UINT32_MAX, ","), "a,b,c");
	expect_none(field_rule(2, ","), "a,,c");
	expect_none(field_rule(2, ","), "a,");
	expect_none(field_rule(1, ","), "");
	expect_found(field_rule(1, ","), "whole", "whole");
}
END_TEST

START_TEST(separators_can_be_words)
{
	expect_found(field_rule(2, "::"), "a::b::c", "b");
	expect_found(field_rule(1, "::"), "a:b::c", "a:b");
	expect_found(field_rule(2, "::"), "a::b:", "b:");
	expect_found(field_rule(2, "aab"), "aaab!", "!");
	expect_none(field_rule(2, "::"), "a:b");
	expect_found(field_rule(2, "0123456789abcdef"), "x0123456789abcdefy", "y");
}
END_TEST

START_TEST(carriage_return_is_not_part_of_the_last_field)
{
	expect_found(field_rule(2, "\t"), "a\tb\r", "b");
	expect_found(field_rule(1, "\t"), "a\r\tb\r", "a\r");
	expect_found(field_rule(1, "\t"), "a\r\r", "a\r");
	expect_none(field_rule(2, "\t"), "a\t\r");
	expect_none(field_rule(1, "\t"), "\r");
	expect_none(field_rule(2, "\r"), "a\r");
}
END_TEST

/* Searches the second field, `count` characters long, of a record "a,xxx…" that ends in `tail`. */
static bool long_field_found(const char *character, size_t count, const char *tail, const char *by)
{
	struct buf record = {0};
	struct key_rule rule = field_rule(2, by);
	ck_assert_int_eq(buf_printf(&record, "a%s", by), 0);
	for (size_t i = 0; i < count; i++)
		ck_assert_int_eq(buf_append(&record, character, strlen(character)), 0);
	ck_assert_int_eq(buf_append(&record, tail, strlen(tail)), 0);
	struct found found = find(&rule, (const char *)record.data, record.size);
	if (found.result == 0)
		ck_assert_uint_eq(found.bytes, count * strlen(character));
	key_rule_fini(&rule);
	buf_fini(&record);
	return found.result == 0;
}

START_TEST(longest_fields_are_found_and_longer_ones_not)
{
	static const char *const tails[] = {"", "\r", "<=>", "<=>rest", "<=>a long rest\r"};
	for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
		ck_assert(long_field_found("😀", SFS_KEY_MAX, tails[i], "<=>"));
		ck_assert(!long_field_found("😀", SFS_KEY_MAX + 1, tails[i], "<=>"));
		ck_assert(!long_field_found("x", 100000, tails[i], "<=>"));
	}
	ck_assert(long_field_found("😀", SFS_KEY_MAX, "\r", ","));
	ck_assert(long_field_found("😀", SFS_KEY_MAX, ",b", ","));
	ck_assert(!long_field_found("😀", SFS_KEY_MAX, "x,b", ","));
}
END_TEST

START_TEST(fields_that_cannot_be_are_refused)
{
	struct key_rule rule = {.field = 4711};
	ck_assert_int_eq(key_rule_field(0, ",", &rule), -EINVAL);
	ck_assert_int_eq(key_rule_field(1, "", &rule), -EINVAL);
	ck_assert_int_eq(key_rule_field(1, "a\nb", &rule), -EINVAL);
	ck_assert_int_eq(key_rule_field(1, "0123456789abcdefg", &rule), -EINVAL);
	ck_assert_uint_eq(rule.field, 4711);
}
END_TEST

START_TEST(no_rule_finds_nothing)
{
	struct key_rule rule = {0};
	expect_none(rule, "{\"k\":\"v\"}");
}
END_TEST

START_TEST(copies_outlive_what_they_were_made_from)
{
	struct key_rule from = json_rule("/a~1b/1"), copy;
	ck_assert_int_eq(key_rule_copy(&from, &copy), 0);
	key_rule_fini(&from);
	ck_assert_int_eq(from.kind, KEY_RULE_NONE);
	ck_assert_str_eq(copy.pointer, "/a~1b/1");
	expect_found(copy, "{\"a/b\":[0,\"k\"]}", "k");

	from = field_rule(2, ";");
	ck_assert_int_eq(key_rule_copy(&from, &copy), 0);
	key_rule_fini(&from);
	expect_found(copy, "a;b", "b");

	ck_assert_int_eq(key_rule_copy(&from, &copy), 0);
	ck_assert_int_eq(copy.kind, KEY_RULE_NONE);
	key_rule_fini(NULL);
}
END_TEST

/* Random documents */

static json_t *parse(const struct buf *text)
{
	return json_loadb((const char *)text->data, text->size,
		JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
}

/* Returns whether a key was found in `text`. It must be the one in `document`, by the walk. */
static bool check_document(const struct buf *text, const char *pointer, const json_t *document)
{
	struct key_rule rule = json_rule(pointer);
	struct found found = find(&rule, (const char *)text->data, text->size);
	const json_t *value = reference_walk(document, pointer);
	ck_assert_msg(reference_agrees(value, found.result, found.key, found.bytes),
		"%s in %.*s: %d, %s", pointer, (int)text->size, (const char *)text->data,
		found.result, found.key);
	key_rule_fini(&rule);
	return found.result == 0;
}

/* Damages one byte. If the text is still JSON, the results must still agree. */
static bool check_damaged(struct dice *dice, struct buf *text, const char *pointer)
{
	static const char bytes[] = "{}[]\",:\\/ue0123456789 \xC3\x1F\x80";
	text->data[roll(dice, (uint32_t)text->size)] = (uint8_t)bytes[roll(dice, sizeof bytes - 1)];
	json_t *document = parse(text);
	if (document) {
		check_document(text, pointer, document);
	} else {
		struct key_rule rule = json_rule(pointer);
		find(&rule, (const char *)text->data, text->size);
		key_rule_fini(&rule);
	}
	json_decref(document);
	return document;
}

static uint64_t choose_seed(void)
{
	const char *given = getenv("STREAMFS_TEST_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 10) : (uint64_t)time(NULL);
	printf("STREAMFS_TEST_SEED=%llu\n", (unsigned long long)seed);
	fflush(stdout); /* the parent's output, in case this process dies */
	return seed;
}

START_TEST(random_documents_give_what_a_walk_gives)
{
	const int documents = sampled(20000);
	struct dice dice = {choose_seed()};
	int found = 0, none = 0, still_json = 0;
	for (int i = 0; i < documents; i++) {
		struct buf text = {0}, pointer = {0};
		add_value(&dice, &text, 0);
		json_t *document = parse(&text);
		ck_assert_msg(document, "%.*s", (int)text.size, (const char *)text.data);
		make_pointer(&dice, document, &pointer);
		bool has = check_document(&text, (const char *)pointer.data, document);
		found += has;
		none += !has;
		still_json += check_damaged(&dice, &text, (const char *)pointer.data);
		json_decref(document);
		buf_fini(&text);
		buf_fini(&pointer);
	}
	ck_assert_int_gt(found, documents / 10); /* else the test compares nothing */
	ck_assert_int_gt(none, documents / 10);
	ck_assert_int_gt(still_json, documents / 100);
}
END_TEST

START_TEST(every_cut_of_a_record_is_safe)
{
	const char *record = "{\"a\":[1.5e3,true,false,null,{}],\"\\u006b\":\"\\ud83d\\ude00\\n\"}";
	struct key_rule last = json_rule("/none"), field = field_rule(3, "\":");
	for (size_t bytes = 0; bytes <= strlen(record); bytes++) {
		ck_assert_int_eq(find(&last, record, bytes).result, -ENOENT);
		find(&field, record, bytes);
	}
	key_rule_fini(&last);
}
END_TEST

static TCase *json_cases(void)
{
	TCase *cases = tcase_create("json");
	tcase_add_test(cases, members_are_found_wherever_they_stand);
	tcase_add_test(cases, blanks_between_tokens_do_not_matter);
	tcase_add_test(cases, empty_pointer_is_the_whole_record);
	tcase_add_test(cases, null_objects_and_arrays_are_no_keys);
	tcase_add_test(cases, pointer_steps_through_a_scalar_find_nothing);
	tcase_add_test(cases, tilde_escapes_of_pointers_are_undone);
	tcase_add_test(cases, what_is_not_a_pointer_is_refused);
	tcase_add_test(cases, array_indices_follow_rfc_6901);
	tcase_add_test(cases, digits_and_dashes_name_members_of_objects);
	tcase_add_test(cases, escapes_in_a_value_are_undone);
	tcase_add_test(cases, escapes_in_a_name_are_undone);
	tcase_add_test(cases, lone_surrogates_and_nul_make_no_key);
	tcase_add_test(cases, malformed_text_before_the_value_makes_no_key);
	tcase_add_test(cases, bare_values_must_end_where_they_end);
	tcase_add_test(cases, text_behind_the_value_is_not_looked_at);
	tcase_add_test(cases, first_of_duplicate_members_counts);
	tcase_add_test(cases, nesting_is_bounded);
	tcase_add_test(cases, every_cut_of_a_record_is_safe);
	return cases;
}

static TCase *key_cases(void)
{
	TCase *cases = tcase_create("keys and fields");
	tcase_add_test(cases, keys_have_at_most_256_characters);
	tcase_add_test(cases, valid_keys_are_utf8_without_nul_and_newline);
	tcase_add_test(cases, malformed_utf8_is_no_key);
	tcase_add_test(cases, fields_are_counted_from_one);
	tcase_add_test(cases, separators_can_be_words);
	tcase_add_test(cases, carriage_return_is_not_part_of_the_last_field);
	tcase_add_test(cases, longest_fields_are_found_and_longer_ones_not);
	tcase_add_test(cases, fields_that_cannot_be_are_refused);
	tcase_add_test(cases, no_rule_finds_nothing);
	tcase_add_test(cases, copies_outlive_what_they_were_made_from);
	return cases;
}

static TCase *random_cases(void)
{
	TCase *cases = tcase_create("random");
	tcase_set_timeout(cases, 120); /* under valgrind, on a busy machine */
	tcase_add_test(cases, random_documents_give_what_a_walk_gives);
	return cases;
}

int main(void)
{
	Suite *suite = suite_create("key_rule");
	suite_add_tcase(suite, json_cases());
	suite_add_tcase(suite, key_cases());
	suite_add_tcase(suite, random_cases());
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
