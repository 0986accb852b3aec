/* SPDX-License-Identifier: MIT */
/* Each line is compared with what jansson parses. Jansson is strict about UTF-8. */
#include "json_record.h"
#include "stride.h"

#include <check.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static const struct json_record plain = {
	.shard = 3,
	.sequence = 41,
	.offset = 4711,
	.arrival_ms = UINT64_C(1700000000123),
};

static struct buf out;

static uint64_t next_random(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static json_t *parsed_line(void)
{
	ck_assert_uint_gt(out.size, 0);
	ck_assert_int_eq(out.data[out.size - 1], '\n');
	ck_assert_ptr_null(memchr(out.data, '\n', out.size - 1));
	json_error_t error;
	json_t *line = json_loadb(
		(const char *)out.data, out.size, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &error);
	ck_assert_msg(line != NULL, "%s: %.*s", error.text, (int)out.size, (char *)out.data);
	return line;
}

static void check_integer(json_t *line, const char *name, uint64_t value)
{
	ck_assert_int_eq(json_integer_value(json_object_get(line, name)), (json_int_t)value);
}

static void check_string(json_t *value, const void *data, size_t bytes)
{
	ck_assert(json_is_string(value));
	ck_assert_uint_eq(json_string_length(value), bytes);
	ck_assert_mem_eq(json_string_value(value), data, bytes);
}

/* Decodes base64 independently, bit by bit, and compares. */
static void check_base64(json_t *value, const uint8_t *data, size_t bytes)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *text = json_string_value(value);
	ck_assert_ptr_nonnull(text);
	ck_assert_uint_eq(strlen(text), (bytes + 2) / 3 * 4);
	size_t bits = bytes * 8;
	for (size_t i = 0; text[i]; i++) {
		if (i * 6 >= bits) {
			ck_assert_int_eq(text[i], '=');
			continue;
		}
		const char *digit = strchr(digits, text[i]);
		ck_assert_ptr_nonnull(digit);
		for (size_t b = 0; b < 6; b++) {
			size_t at = i * 6 + b;
			int want = at < bits ? data[at / 8] >> (7 - at % 8) & 1 : 0;
			ck_assert_int_eq((int)(digit - digits) >> (5 - b) & 1, want);
		}
	}
}

/* Whether jansson accepts the bytes as UTF-8. */
static bool is_utf8(const void *data, size_t bytes)
{
	json_t *string = json_stringn(data, bytes);
	json_decref(string);
	return string != NULL;
}

static bool check_record(const struct json_record *record, const void *data, size_t bytes)
{
	bool utf8 = is_utf8(data, bytes);
	out.size = 0;
	ck_assert_int_eq(json_record_append(&out, record, data, bytes, false), 0);
	ck_assert_uint_eq(json_record_bytes(record, data, bytes, false), out.size);
	json_t *line = parsed_line();
	check_integer(line, "sequence", record->sequence);
	check_integer(line, "offset", record->offset);
	json_t *text = json_object_get(line, "data");
	json_t *base64 = json_object_get(line, "data_base64");
	ck_assert_uint_eq(json_object_size(line), record->key_bytes ? 6 : 5);
	if (record->key_bytes)
		check_string(json_object_get(line, "key"), record->key, record->key_bytes);
	if (utf8)
		check_string(text, data, bytes);
	else
		check_base64(base64, data, bytes);
	json_decref(line);
	return utf8;
}

/* A payload in up to three pieces gives the same line as in one. */
static void check_split(const uint8_t *data, size_t bytes, size_t first, size_t second)
{
	const size_t cuts[] = {0, first, second, bytes};
	struct json_scan scan = {0};
	for (int i = 0; i < 3; i++)
		json_scan(&scan, data + cuts[i], cuts[i + 1] - cuts[i]);
	struct buf pieces = {0};
	struct json_payload payload;
	ck_assert_int_eq(json_payload_head(&payload, &pieces, &plain, &scan), 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(json_payload_piece(
					 &payload, &pieces, data + cuts[i], cuts[i + 1] - cuts[i]),
			0);
	ck_assert_int_eq(json_payload_tail(&payload, &pieces), 0);
	out.size = 0;
	ck_assert_int_eq(json_record_append(&out, &plain, data, bytes, false), 0);
	ck_assert_uint_eq(pieces.size, out.size);
	ck_assert_mem_eq(pieces.data, out.data, out.size);
	ck_assert_uint_eq(json_record_scanned_bytes(&plain, &scan), out.size);
	buf_fini(&pieces);
}

static void check_every_split(const void *data, size_t bytes)
{
	for (size_t first = 0; first <= bytes; first++)
		for (size_t second = first; second <= bytes; second++)
			check_split(data, bytes, first, second);
}

static void check_line(const struct json_record *record, const char *payload, const char *line)
{
	out.size = 0;
	ck_assert_int_eq(json_record_append(&out, record, payload, strlen(payload), false), 0);
	ck_assert_uint_eq(out.size, strlen(line));
	ck_assert_mem_eq(out.data, line, out.size);
}

START_TEST(members_have_the_documented_order)
{
	check_line(&plain, "hello",
		"{\"shard\":\"shard-0003\",\"sequence\":41,\"offset\":4711,"
		"\"time\":\"2023-11-14T22:13:20.123Z\",\"data\":\"hello\"}\n");
	struct json_record keyed = plain;
	keyed.key = "user-42";
	keyed.key_bytes = 7;
	check_line(&keyed, "",
		"{\"shard\":\"shard-0003\",\"sequence\":41,\"offset\":4711,"
		"\"time\":\"2023-11-14T22:13:20.123Z\",\"key\":\"user-42\",\"data\":\"\"}\n");
	check_line(&keyed, "\xff\x01",
		"{\"shard\":\"shard-0003\",\"sequence\":41,\"offset\":4711,"
		"\"time\":\"2023-11-14T22:13:20.123Z\",\"key\":\"user-42\","
		"\"data_base64\":\"/wE=\"}\n");
}
END_TEST

START_TEST(escapes_are_the_documented_ones)
{
	check_line(&plain, "\"\\/\n\r\t\b\f\x01\x0b\x1f\x7f\xc3\xa4",
		"{\"shard\":\"shard-0003\",\"sequence\":41,\"offset\":4711,"
		"\"time\":\"2023-11-14T22:13:20.123Z\","
		"\"data\":\"\\\"\\\\/\\n\\r\\t\\b\\f\\u0001\\u000b\\u001f\x7f\xc3\xa4\"}\n");
}
END_TEST

START_TEST(every_byte_is_readable_alone_and_inside)
{
	for (int c = 0; c < 256; c++) {
		uint8_t alone = (uint8_t)c, inside[40];
		memset(inside, 'x', sizeof inside);
		inside[c % 40] = (uint8_t)c;
		ck_assert_int_eq(check_record(&plain, &alone, 1), c < 0x80);
		ck_assert_int_eq(check_record(&plain, inside, sizeof inside), c < 0x80);
	}
}
END_TEST

START_TEST(utf8_ends_where_the_rfc_says)
{
	static const struct {
		const char *bytes;
		bool valid;
	} cases[] = {
		{"\xc2\x80", true},
		{"\xdf\xbf", true},
		{"\xc1\xbf", false},
		{"\xc0\x80", false},
		{"\xe0\xa0\x80", true},
		{"\xe0\x9f\xbf", false},
		{"\xe1\x80\x80", true},
		{"\xed\x9f\xbf", true},
		{"\xed\xa0\x80", false},
		{"\xed\xbf\xbf", false},
		{"\xee\x80\x80", true},
		{"\xef\xbf\xbf", true},
		{"\xef\xbb\xbf", true},
		{"\xf0\x90\x80\x80", true},
		{"\xf0\x8f\xbf\xbf", false},
		{"\xf4\x8f\xbf\xbf", true},
		{"\xf4\x90\x80\x80", false},
		{"\xf5\x80\x80\x80", false},
		{"\xf8\x88\x80\x80\x80", false},
		{"\xff", false},
		{"\x80", false},
		{"\xbf", false},
		{"\xc2", false},
		{"\xe1\x80", false},
		{"\xf1\x80\x80", false},
		{"\xc2x", false},
		{"\xc2\xc2\x80", false},
		{"\xe1\x80\xc0", false},
		{"\xf1\x80\x80\x7f", false},
		{"\xc2\x80\x80", false},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char text[32];
		size_t n = strlen(cases[i].bytes);
		ck_assert_int_eq(check_record(&plain, cases[i].bytes, n), cases[i].valid);
		check_every_split((const uint8_t *)cases[i].bytes, n);
		for (size_t at = 0; at <= sizeof text - n; at++) {
			memset(text, 'x', sizeof text);
			memcpy(text + at, cases[i].bytes, n);
			ck_assert_int_eq(check_record(&plain, text, sizeof text), cases[i].valid);
			/* nothing behind it */
			ck_assert_int_eq(check_record(&plain, text, at + n), cases[i].valid);
		}
	}
}
END_TEST

/* Every lead byte with every second byte, and bytes that complete the character. */
START_TEST(jansson_agrees_on_all_pairs)
{
	for (int a = 0x80; a < 256; a++) {
		for (int b = 0; b < 256; b++) {
			const uint8_t text[] = {(uint8_t)a, (uint8_t)b, 0x80, 0x80};
			for (size_t n = 2; n <= sizeof text; n++) {
				struct json_scan scan = {0};
				json_scan(&scan, text, n);
				ck_assert_int_eq(json_scan_is_utf8(&scan), is_utf8(text, n));
			}
		}
	}
}
END_TEST

START_TEST(pieces_are_split_anywhere)
{
	static const char *const texts[] = {"", "a", "ab", "abc", "a\"b\\c\x01\n",
		"gr\xc3\xbc\xc3\x9f\x65 \xf0\x9f\x98\x80 \xe2\x82\xac!", "\xff\xfe\xfd\xfc\xfb",
		"\xff\xfe\xfd\xfc", "\xf0\x9f\x98", "12345678901234567\xe2\x82\xac"};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		check_every_split(texts[i], strlen(texts[i]));
	check_every_split("\0\0\x1f\0", 4);
}
END_TEST

/* Lengths around those of the scanned blocks, and counts that fill a lane. */
START_TEST(blocks_of_escapes_are_counted)
{
	static uint8_t data[3000];
	static const uint8_t fills[] = {'"', '\\', '\n', 0, 0x0b, 0x0e, 0x1f, ' ', 0x7f, 'x'};
	for (size_t f = 0; f < sizeof fills; f++) {
		memset(data, fills[f], sizeof data);
		for (size_t n = 0; n < 70; n++)
			check_record(&plain, data, n);
		for (size_t n = 1000; n < sizeof data; n += n % 1024 < 1000 ? 24 : 7)
			check_record(&plain, data, n);
	}
	/* a character across the border of two blocks */
	memset(data, 'x', sizeof data);
	for (size_t at = 1020; at < 1026; at++) {
		memcpy(data + at, "\xf0\x9f\x98\x80", 4);
		ck_assert(check_record(&plain, data, 2048));
		ck_assert(!check_record(&plain, data, at + 3));
		memset(data + at, 'x', 4);
		memcpy(data + at, "\xf0\x9f\x98", 3);
		ck_assert(!check_record(&plain, data, 2048));
		memset(data + at, 'x', 4);
	}
}
END_TEST

/* Bytes of one kind: any, ASCII, or whole characters. */
static size_t random_text(uint64_t *state, uint8_t *data, size_t room)
{
	static const char *const characters[] = {"\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80",
		"\"", "\\", "\t", "x", " ", "\xed\xa0\x80"};
	size_t n = next_random(state) % room;
	uint64_t kind = next_random(state) % 4;
	size_t at = 0;
	while (at < n) {
		uint64_t r = next_random(state);
		if (kind == 0)
			data[at++] = (uint8_t)r;
		else if (kind == 1)
			data[at++] = (uint8_t)(r % 128);
		else {
			const char *c = characters[r % (kind == 2 ? 8 : 9)];
			if (strlen(c) > n - at)
				break;
			memcpy(data + at, c, strlen(c));
			at += strlen(c);
		}
	}
	return at;
}

START_TEST(random_payloads_read_back)
{
	static uint8_t data[2500];
	uint64_t state = 1;
	int valid = 0, rounds = sampled(4000);
	for (int i = 0; i < rounds; i++) {
		char key[] = "k\"\\\x01\xc3\xa4";
		struct json_record record = {
			.shard = (uint32_t)(next_random(&state) >> (32 + i % 32)),
			.sequence = next_random(&state) >> (1 + i % 63),
			.offset = next_random(&state) >> (1 + i % 61),
			.arrival_ms = next_random(&state) >> (i % 64),
			.key = key,
			.key_bytes = i % 2 ? sizeof key - 1 : 0,
		};
		size_t n = random_text(&state, data, i % 10 ? 100 : sizeof data);
		valid += check_record(&record, data, n);
		if (n) {
			size_t cut = next_random(&state) % n;
			check_split(data, n, cut, cut + next_random(&state) % (n - cut));
		}
	}
	ck_assert_int_gt(valid, rounds / 4);
	ck_assert_int_lt(valid, rounds - rounds / 10);
}
END_TEST

/* The length of a chunk's lines in two parts: without the place, and the place. */
START_TEST(text_counts_as_the_sum_of_its_lines)
{
	static uint8_t text[4000];
	uint64_t state = 7;
	for (int i = 0; i < 3000; i++) {
		uint64_t power = 1;
		for (uint64_t n = next_random(&state) % 15; n; n--)
			power *= 10;
		size_t bytes = random_text(&state, text, i % 10 ? 60 : sizeof text - 1);
		uint64_t back = next_random(&state) % (bytes + 40);
		struct json_place place = {
			.shard = (uint32_t)(next_random(&state) >> (32 + i % 32)),
			.first_sequence = power > 20 ? power - next_random(&state) % 20 : power,
			.text_offset = power > back ? power - back : 0,
		};
		place.record_offset = place.text_offset;
		text[bytes++] = '\n';
		uint64_t sum = 0;
		uint32_t records = 0;
		for (uint8_t *p = text, *end = text + bytes; p < end; records++) {
			size_t line = (size_t)((uint8_t *)memchr(p, '\n', (size_t)(end - p)) - p);
			struct json_record record = {
				.shard = place.shard,
				.sequence = place.first_sequence + records,
				.offset = place.text_offset + (uint64_t)(p - text),
				.key = "k\"",
				.key_bytes = i % 2 ? 2 : 0,
			};
			sum += json_record_bytes(&record, p, line, false);
			p += line + 1;
		}
		uint64_t unplaced = json_unplaced_text_bytes(
			"k\"", i % 2 ? 2 : 0, (const char *)text, bytes, records);
		uint64_t digits = json_place_bytes(&place, (const char *)text, bytes, records);
		ck_assert_uint_eq(unplaced + digits, sum);
	}
}
END_TEST

/* The last piece of a long record: its offset lies before the text and may be a digit shorter. */
START_TEST(a_record_counts_from_where_it_began)
{
	const struct json_place place = {
		.first_sequence = 9, .record_offset = 7, .text_offset = 95};
	/* shard-0000, sequences 9 and 10, offsets 7 and 98 */
	ck_assert_uint_eq(json_place_bytes(&place, "ab\nc\n", 5, 2), 8 + 3 + 3);
}
END_TEST

START_TEST(numbers_count_by_their_digits)
{
	uint64_t power = 1;
	for (unsigned digits = 1; digits <= 19; digits++, power *= 10) {
		ck_assert_uint_eq(json_digits(power), digits);
		ck_assert_uint_eq(json_digits(power * 10 - 1), digits == 19 ? 19 : digits);
		struct json_record record = {.shard = (uint32_t)power, .sequence = power - 1};
		if (power <= INT64_MAX)
			record.offset = power;
		check_record(&record, "x", 1);
	}
	ck_assert_uint_eq(json_digits(0), 1);
	ck_assert_uint_eq(json_digits(UINT64_MAX), 20);
}
END_TEST

START_TEST(a_claim_check_shows_its_object)
{
	static const char line[] =
		"{\"claim_check\":{\"sha256\":\"ab\",\"bytes\":7,\"path\":\"p\"}}";
	out.size = 0;
	ck_assert_int_eq(json_record_append(&out, &plain, line, strlen(line), true), 0);
	ck_assert_uint_eq(json_record_bytes(&plain, line, strlen(line), true), out.size);
	json_t *root = parsed_line();
	ck_assert_uint_eq(json_object_size(root), 5);
	json_t *claim = json_object_get(root, "claim_check");
	ck_assert_uint_eq(json_object_size(claim), 3);
	check_integer(claim, "bytes", 7);
	json_decref(root);
}
END_TEST

/* A line that a user wrote, or that has not the store's form, is data. */
START_TEST(what_only_looks_like_a_claim_check_is_data)
{
	check_record(&plain, "{\"claim_check\":{}}", 18);
	static const char *const lines[] = {"", "{}", "{\"claim_check\":{}",
		"{\"claim_check\":{ }x", "x\"claim_check\":{}}", "\xff"};
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		struct buf marked = {0};
		size_t n = strlen(lines[i]);
		ck_assert_int_eq(json_record_append(&marked, &plain, lines[i], n, true), 0);
		ck_assert_uint_eq(json_record_bytes(&plain, lines[i], n, true), marked.size);
		check_record(&plain, lines[i], n);
		ck_assert_uint_eq(out.size, marked.size);
		ck_assert_mem_eq(out.data, marked.data, marked.size);
		buf_fini(&marked);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("json_record");
	TCase *tc = tcase_create("json_record");
	tcase_set_timeout(tc, 300);
	tcase_add_test(tc, members_have_the_documented_order);
	tcase_add_test(tc, escapes_are_the_documented_ones);
	tcase_add_test(tc, every_byte_is_readable_alone_and_inside);
	tcase_add_test(tc, utf8_ends_where_the_rfc_says);
	tcase_add_test(tc, jansson_agrees_on_all_pairs);
	tcase_add_test(tc, pieces_are_split_anywhere);
	tcase_add_test(tc, blocks_of_escapes_are_counted);
	tcase_add_test(tc, random_payloads_read_back);
	tcase_add_test(tc, text_counts_as_the_sum_of_its_lines);
	tcase_add_test(tc, a_record_counts_from_where_it_began);
	tcase_add_test(tc, numbers_count_by_their_digits);
	tcase_add_test(tc, a_claim_check_shows_its_object);
	tcase_add_test(tc, what_only_looks_like_a_claim_check_is_data);
	suite_add_tcase(suite, tc);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	buf_fini(&out);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
