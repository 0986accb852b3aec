/* SPDX-License-Identifier: MIT */
/* Writers and uploads: from bytes to records of any size, with writes that end anywhere. */
#include "storetest.h"

#include <sha2.h>

enum { MIB = 1 << 20 };

static struct sfs_writer *writer;

static int put(const void *data, size_t bytes, size_t *taken)
{
	*taken = SIZE_MAX;
	return sfs_writer_write(writer, data, bytes, taken);
}

static void put_all(const void *data, size_t bytes)
{
	size_t taken;
	ck_assert_int_eq(put(data, bytes, &taken), 0);
	ck_assert_uint_eq(taken, bytes);
}

static void put_text(const char *text)
{
	put_all(text, strlen(text));
}

static void open_writer(void)
{
	open_all();
	ck_assert_int_eq(sfs_writer_open_shard(shard, &writer), 0);
}

static void close_writer(void)
{
	ck_assert_int_eq(sfs_writer_close(writer), 0);
	writer = NULL;
}

static void check_string(const char *want, uint64_t records)
{
	struct sfs_shard_info info;
	check_text(want, strlen(want));
	sfs_shard_info(shard, &info);
	ck_assert_uint_eq(info.next_sequence, records);
}

static char *make_letters(size_t bytes)
{
	char *text = malloc(bytes + 2);
	for (size_t i = 0; i < bytes; i++)
		text[i] = (char)('a' + (i * 31 + i / 1000) % 26);
	text[bytes] = '\n';
	text[bytes + 1] = 0;
	return text;
}

/* Makes the line of a claim check, with its newline. */
static size_t claim_line(const void *data, size_t bytes, char line[256])
{
	char hex[65];
	uint8_t digest[32];
	SHA2_CTX sha;
	SHA256Init(&sha);
	SHA256Update(&sha, data, bytes);
	SHA256Final(digest, &sha);
	digest_to_hex(digest, hex);
	return (size_t)snprintf(line, 256,
		"{\"claim_check\":{\"sha256\":\"%s\",\"bytes\":%zu,\"path\":\"blobs/%s\"}}\n", hex,
		bytes, hex);
}

/* --- framing --- */

START_TEST(lines_are_records)
{
	open_writer();
	put_text("one\ntwo\n\nfour\n");
	check_string("one\ntwo\n\nfour\n", 4);
	put_all("a\0b\xff\n", 5);
	ck_assert_uint_eq(sfs_shard_size(shard), 19);
	check_range(14, 19, "a\0b\xff\n", 5);
	close_writer();
	close_all();
}
END_TEST

START_TEST(an_unfinished_line_waits)
{
	open_writer();
	put_text("beg");
	ck_assert_uint_eq(sfs_writer_pending(writer), 3);
	check_string("", 0);
	put_text("inning");
	put_text(" and end\nnext");
	check_string("beginning and end\n", 1);
	ck_assert_uint_eq(sfs_writer_pending(writer), 4);
	ck_assert_int_eq(sfs_writer_sync_wait(writer), 0);
	check_string("beginning and end\n", 1);
	ck_assert_int_eq(sfs_writer_end(writer), 0);
	ck_assert_int_eq(sfs_writer_end(writer), 0);
	check_string("beginning and end\nnext\n", 2);
	put_text("last");
	close_writer();
	check_string("beginning and end\nnext\nlast\n", 3);
	close_all();
}
END_TEST

START_TEST(writers_never_mix)
{
	struct sfs_writer *other;
	size_t taken;
	open_writer();
	ck_assert_int_eq(sfs_writer_open_shard(shard, &other), 0);
	put_text("aa");
	ck_assert_int_eq(sfs_writer_write(other, "bb", 2, &taken), 0);
	put_text("aa\n");
	ck_assert_int_eq(sfs_writer_write(other, "bb\n", 3, &taken), 0);
	check_string("aaaa\nbbbb\n", 2);
	ck_assert_int_eq(sfs_writer_close(other), 0);
	close_writer();
	close_all();
}
END_TEST

START_TEST(pieces_of_any_size_give_the_same_records)
{
	struct buf text = {0};
	open_writer();
	add_lines(&text, 0, 300, 20);
	for (size_t at = 0, step = 1; at < text.size; at += step, step = step % 97 + 1) {
		size_t bytes = text.size - at < step ? text.size - at : step;
		put_all(text.data + at, bytes);
	}
	check_text(text.data, text.size);
	close_writer();
	buf_fini(&text);
	close_all();
}
END_TEST

/* --- large records --- */

static const size_t around[] = {1023, 1024, 1025, 65535, 65536, MIB - 2, MIB - 1, MIB, MIB + 1,
	2 * MIB, 4 * MIB - 1, 4 * MIB, 4 * MIB + 1, 5 * MIB};
static const size_t pieces[] = {MIB, 100003, SIZE_MAX};

/* Writes one line of `bytes` in pieces. Returns the first error, or 0. */
static int put_line(const char *line, size_t bytes, size_t piece)
{
	for (size_t at = 0; at < bytes;) {
		size_t taken, ask = bytes - at < piece ? bytes - at : piece;
		int r = put(line + at, ask, &taken);
		if (r < 0)
			return r;
		ck_assert_uint_gt(taken, 0);
		at += taken;
	}
	return 0;
}

START_TEST(split_lines_of_every_size_come_back)
{
	size_t bytes = around[_i];
	open_writer();
	configure("{\"large_records\":{\"policy\":\"split\",\"threshold_bytes\":1024}}");
	struct buf want = {0};
	for (size_t i = 0; i < 3; i++) {
		char *line = make_letters(bytes);
		ck_assert_int_eq(put_line(line, bytes + 1, pieces[i]), 0);
		put_text("and a short one\n");
		buf_append(&want, line, bytes + 1);
		buf_append(&want, "and a short one\n", 16);
		free(line);
	}
	check_text(want.data, want.size);
	close_writer();
	reopen();
	check_text(want.data, want.size);
	struct sfs_shard_info info;
	sfs_shard_info(shard, &info);
	ck_assert_uint_eq(info.next_sequence, 6);
	buf_fini(&want);
	close_all();
}
END_TEST

START_TEST(claim_checks_begin_right_over_the_threshold)
{
	static const size_t thresholds[] = {1024, 65536, MIB, 2 * MIB};
	size_t threshold = thresholds[_i / 3], bytes = threshold - 1 + (size_t)_i % 3;
	char json[100], line[256];
	open_writer();
	snprintf(json, sizeof json, "{\"large_records\":{\"threshold_bytes\":%zu}}", threshold);
	configure(json);
	char *data = make_letters(bytes);
	struct buf want = {0};
	for (size_t i = 0; i < 3; i++) {
		ck_assert_int_eq(put_line(data, bytes + 1, pieces[i]), 0);
		if (bytes > threshold)
			buf_append(&want, line, claim_line(data, bytes, line));
		else
			buf_append(&want, data, bytes + 1);
	}
	check_text(want.data, want.size);
	if (bytes > threshold) {
		struct sfs_blob *blob;
		char *got = malloc(bytes), hex[65];
		snprintf(
			hex, sizeof hex, "%.64s", line + strlen("{\"claim_check\":{\"sha256\":\""));
		ck_assert_int_eq(sfs_blob_open(stream, hex, &blob), 0);
		ck_assert_uint_eq(sfs_blob_size(blob), bytes);
		for (size_t at = 0, n; at < bytes; at += n)
			ck_assert_int_eq(sfs_blob_read(blob, at, got + at, bytes - at, &n), 0);
		ck_assert(!memcmp(got, data, bytes));
		sfs_blob_close(blob);
		free(got);
	}
	buf_fini(&want);
	free(data);
	close_writer();
	close_all();
}
END_TEST

static int limit_error(bool reject)
{
	configure(reject ? "{\"large_records\":{\"policy\":\"reject\",\"threshold_bytes\":1024}}"
			 : "{\"max_record_bytes\":1024}");
	return reject ? -EMSGSIZE : -EFBIG;
}

START_TEST(refused_is_what_is_over_the_limit)
{
	size_t taken;
	open_writer();
	int refusal = limit_error(_i);
	char *line = make_letters(1025);
	memcpy(line + 1024, "\n", 1);
	put_all(line, 1025);
	line[1024] = 'x';
	line[1025] = '\n';
	ck_assert_int_eq(put(line, 1026, &taken), refusal);
	ck_assert_int_eq(put(line, 1026, &taken), refusal); /* each time it comes */
	ck_assert_uint_eq(sfs_shard_size(shard), 1025);
	put_text("fine\n");
	ck_assert_uint_eq(sfs_shard_size(shard), 1030);
	free(line);
	close_writer();
	ck_assert_uint_eq(sfs_shard_size(shard), 1030);
	close_all();
}
END_TEST

START_TEST(lines_before_a_refused_one_are_appended)
{
	size_t taken;
	open_writer();
	int refusal = limit_error(_i);
	struct buf text = {0};
	char *line = make_letters(2000);
	buf_append(&text, "one\ntwo\n", 8);
	buf_append(&text, line, 2001);
	buf_append(&text, "behind\n", 7);
	ck_assert_int_eq(put(text.data, text.size, &taken), 0);
	ck_assert_uint_eq(taken, 8);
	check_string("one\ntwo\n", 2);
	ck_assert_int_eq(put(text.data + 8, text.size - 8, &taken), refusal);
	check_string("one\ntwo\n", 2);
	put_text("behind\n");
	check_string("one\ntwo\nbehind\n", 3);
	buf_fini(&text);
	free(line);
	close_writer();
	close_all();
}
END_TEST

/* A long line in pieces: refused once, again when the rest of a short write is tried again, and
 * what still belongs to it never becomes a record. */
START_TEST(all_of_a_refused_line_is_refused)
{
	size_t taken;
	open_writer();
	int refusal = limit_error(_i);
	char *line = make_letters(2500);
	put_all(line, 1000);
	ck_assert_int_eq(put(line + 1000, 1000, &taken), refusal);
	ck_assert_uint_eq(sfs_writer_pending(writer), 0);
	ck_assert_int_eq(put(line + 1000, 1000, &taken), refusal); /* the retry */
	ck_assert_int_eq(put(line + 2000, 501, &taken), refusal);  /* its end */
	check_string("", 0);
	put_text("next\n");
	check_string("next\n", 1);
	free(line);
	close_writer();
	check_string("next\n", 1);
	close_all();
}
END_TEST

/* The kernel splits a write(2) into large pieces. The program got a short write, not the error.
 */
START_TEST(a_refused_end_is_refused_when_tried_again)
{
	enum { PIECE = 1 << 17 };
	size_t taken;
	open_writer();
	int refusal = limit_error(_i);
	configure(_i ? "{\"large_records\":{\"threshold_bytes\":131073}}"
		     : "{\"max_record_bytes\":131073}");
	char *line = make_letters(PIECE + 500);
	put_all(line, PIECE);
	ck_assert_int_eq(put(line + PIECE, 501, &taken), refusal);
	ck_assert_int_eq(put(line + PIECE, 501, &taken), refusal);
	put_text("next\n");
	check_string("next\n", 1);
	free(line);
	close_writer();
	close_all();
}
END_TEST

/* Here the program got the error, so what it writes next is a new record. */
START_TEST(a_record_equal_to_a_refused_end_is_taken)
{
	size_t taken;
	open_writer();
	int refusal = limit_error(_i);
	char *line = make_letters(1500);
	put_all(line, 1000);
	ck_assert_int_eq(put(line + 1000, 501, &taken), refusal);
	put_all(line + 1000, 501);
	check_string(line + 1000, 1);
	free(line);
	close_writer();
	close_all();
}
END_TEST

START_TEST(a_refused_line_ends_with_the_file)
{
	size_t taken;
	open_writer();
	int refusal = limit_error(_i);
	char *line = make_letters(2500);
	ck_assert_int_eq(put(line, 2000, &taken), refusal);
	ck_assert_int_eq(sfs_writer_end(writer), 0);
	put_text("new\n");
	check_string("new\n", 1);
	free(line);
	close_writer();
	close_all();
}
END_TEST

/* --- keys --- */

static uint64_t records_of(uint32_t number)
{
	struct sfs_shard *of;
	struct sfs_shard_info info;
	ck_assert_int_eq(sfs_stream_shard(stream, number, &of), 0);
	sfs_shard_info(of, &info);
	sfs_shard_unref(of);
	return info.next_sequence;
}

static size_t route_of(const char *key)
{
	SCOPED_RDLOCK(&stream->home.lock);
	return stream_route(stream, key, strlen(key));
}

static uint32_t shard_of_key(const char *key, uint32_t shards)
{
	size_t route = route_of(key);
	ck_assert_uint_lt(route, shards);
	return stream->table.routes.shards[route]->number;
}

static const char *const rules[] = {
	"{\"shards\":4,\"key\":{\"json\":\"/id\"}}",
	"{\"shards\":4,\"key\":{\"field\":2,\"separator\":\"\\t\"}}",
};

START_TEST(put_follows_the_key_rule)
{
	uint64_t want[4] = {0};
	struct buf text = {0};
	open_store();
	configure(rules[_i]);
	ck_assert_int_eq(sfs_writer_open_put(stream, &writer), 0);
	for (unsigned i = 0; i < 400; i++) {
		char key[32], line[64];
		snprintf(key, sizeof key, "key %u", i % 50);
		int n = snprintf(
			line, sizeof line, _i ? "x\tkey %u\tz\n" : "{\"id\":\"key %u\"}\n", i % 50);
		buf_append(&text, line, (size_t)n);
		want[shard_of_key(key, 4)]++;
	}
	for (size_t at = 0; at < text.size; at += 1001) /* lines begin and end anywhere */
		put_all(text.data + at, text.size - at < 1001 ? text.size - at : 1001);
	for (uint32_t i = 0; i < 4; i++) {
		ck_assert_uint_gt(want[i], 0);
		ck_assert_uint_eq(records_of(i), want[i]);
	}
	ck_assert_int_eq(sfs_writer_sync_wait(writer), 0);
	close_writer();
	buf_fini(&text);
	close_all();
}
END_TEST

START_TEST(a_key_has_one_shard)
{
	open_store();
	configure("{\"shards\":16}");
	for (unsigned i = 0; i < 64; i++) {
		char key[32];
		snprintf(key, sizeof key, "user %u", i);
		uint32_t number = shard_of_key(key, 16);
		uint64_t before = records_of(number);
		ck_assert_int_eq(sfs_writer_open_key(stream, key, strlen(key), &writer), 0);
		put_text("1\n2\n3");
		close_writer();
		ck_assert_uint_eq(records_of(number), before + 3);
	}
	ck_assert_int_eq(sfs_writer_open_key(stream, "", 0, &writer), -EINVAL);
	ck_assert_int_eq(sfs_writer_open_key(stream, "\xff", 1, &writer), -EINVAL);
	close_all();
}
END_TEST

START_TEST(records_without_a_key_spread)
{
	uint64_t total = 0;
	open_store();
	configure("{\"shards\":4,\"key\":{\"json\":\"/id\"}}");
	ck_assert_int_eq(sfs_writer_open_put(stream, &writer), 0);
	for (int i = 0; i < 40; i++)
		put_text("no json\n");
	close_writer();
	for (uint32_t i = 0; i < 4; i++) {
		ck_assert_uint_ge(records_of(i), 5);
		total += records_of(i);
	}
	ck_assert_uint_eq(total, 40);
	ck_assert_uint_eq(metric_get(&stream->home.metrics.keyless), 40);
	close_all();
}
END_TEST

/* Writes one line with its key at an offset; its end comes in a later write. */
static void put_long_line(size_t key_at, size_t bytes)
{
	char *line = malloc(bytes);
	memset(line, 'x', bytes);
	memcpy(line + key_at, "\tkey\t", 5);
	put_all(line, bytes);
	put_text("\n");
	free(line);
}

START_TEST(a_key_is_found_in_the_first_4_mib_of_a_line_on_disk)
{
	enum { REACH = 4 << 20, BYTES = 5 << 20 };
	static const struct {
		size_t key_at;
		bool found;
	} cases[] = {{10, true}, {REACH - 6, true}, {REACH - 3, false}, {REACH + 9, false}};
	open_store();
	configure("{\"shards\":4,\"key\":{\"field\":2,\"separator\":\"\\t\"}}");
	uint64_t keyless = 0;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		ck_assert_int_eq(sfs_writer_open_put(stream, &writer), 0);
		uint32_t number = (uint32_t)route_of("key");
		uint64_t before = records_of(number);
		put_long_line(cases[i].key_at, BYTES);
		close_writer();
		keyless += !cases[i].found;
		ck_assert_uint_eq(metric_get(&stream->home.metrics.keyless), keyless);
		ck_assert(!cases[i].found || records_of(number) == before + 1);
	}
	close_all();
}
END_TEST

START_TEST(long_lines_follow_the_key_rule_too)
{
	open_store();
	configure("{\"shards\":4,\"key\":{\"field\":1,\"separator\":\"\\t\"},"
		  "\"large_records\":{\"policy\":\"split\"}}");
	ck_assert_int_eq(sfs_writer_open_put(stream, &writer), 0);
	char *line = make_letters(3 * MIB);
	memcpy(line, "key\t", 4);
	uint32_t number = shard_of_key("key", 4);
	put_text("key\tbefore\n");
	ck_assert_int_eq(put_line(line, 3 * MIB + 1, 1 << 17), 0);
	put_text("key\tbehind\n");
	close_writer();
	ck_assert_uint_eq(records_of(number), 3);
	ck_assert_int_eq(sfs_stream_shard(stream, number, &shard), 0);
	check_range(0, 11, "key\tbefore\n", 11);
	check_range(11, 11 + 3 * MIB + 1, line, MIB);
	check_range(12 + 3 * MIB, 23 + 3 * MIB, "key\tbehind\n", 11);
	free(line);
	close_all();
}
END_TEST

START_TEST(a_removed_stream_takes_no_records)
{
	size_t taken;
	open_writer();
	ck_assert_int_eq(sfs_stream_remove(store, "orders"), 0);
	ck_assert_int_eq(put("x\n", 2, &taken), -ENOENT);
	ck_assert_int_eq(sfs_writer_close(writer), 0);
	close_all();
}
END_TEST

/* --- uploads --- */

START_TEST(an_upload_of_one_line_is_a_line)
{
	struct sfs_upload *upload;
	open_all();
	ck_assert_int_eq(sfs_upload_open(stream, &upload), 0);
	ck_assert_int_eq(sfs_upload_write(upload, 3, "def\n", 4), 0);
	ck_assert_int_eq(sfs_upload_write(upload, 0, "abc", 3), 0);
	check_string("", 0);
	ck_assert_int_eq(sfs_upload_commit(upload, "name", 4), 0);
	check_string("abcdef\n", 1);
	ck_assert_int_eq(sfs_upload_sync(upload), 0);
	ck_assert_uint_eq(synced_offset(), 7);
	sfs_upload_free(upload);
	close_all();
}
END_TEST

START_TEST(an_upload_of_anything_else_is_a_claim_check)
{
	static const size_t upload_sizes[] = {0, 4, 5000, MIB + 77, 5 * MIB};
	size_t bytes = upload_sizes[_i];
	struct sfs_upload *upload;
	char line[256];
	open_all();
	char *data = make_letters(bytes + 1);
	for (size_t i = 2; i < bytes; i += 1000)
		data[i] = '\n';
	ck_assert_int_eq(sfs_upload_open(stream, &upload), 0);
	for (size_t at = 0; at < bytes; at += 100000)
		ck_assert_int_eq(sfs_upload_write(upload, at, data + at,
					 bytes - at < 100000 ? bytes - at : 100000),
			0);
	ck_assert_uint_eq(sfs_upload_size(upload), bytes);
	ck_assert_int_eq(sfs_upload_commit(upload, "k", 1), 0);
	if (bytes) {
		size_t n = claim_line(data, bytes, line);
		check_text(line, n);
	} else {
		check_string("\n", 1);
	}
	sfs_upload_free(upload);
	free(data);
	close_all();
}
END_TEST

START_TEST(an_upload_over_the_limit_is_refused)
{
	struct sfs_upload *upload;
	open_all();
	configure("{\"max_record_bytes\":100}");
	ck_assert_int_eq(sfs_upload_open(stream, &upload), 0);
	ck_assert_int_eq(sfs_upload_write(upload, 90, "0123456789", 10), 0);
	ck_assert_int_eq(sfs_upload_write(upload, 91, "0123456789", 10), -EFBIG);
	ck_assert_int_eq(sfs_upload_truncate(upload, 101), -EFBIG);
	ck_assert_uint_eq(sfs_upload_size(upload), 100);
	sfs_upload_free(upload); /* discards what was not committed */
	check_string("", 0);
	close_all();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("writer");
	TCase *framing = add_case(suite, "framing");
	tcase_add_test(framing, lines_are_records);
	tcase_add_test(framing, an_unfinished_line_waits);
	tcase_add_test(framing, writers_never_mix);
	tcase_add_test(framing, pieces_of_any_size_give_the_same_records);
	TCase *large = add_case(suite, "large");
	tcase_add_loop_test(
		large, split_lines_of_every_size_come_back, 0, sizeof around / sizeof *around);
	tcase_add_loop_test(large, claim_checks_begin_right_over_the_threshold, 0, 12);
	tcase_add_loop_test(large, refused_is_what_is_over_the_limit, 0, 2);
	tcase_add_loop_test(large, lines_before_a_refused_one_are_appended, 0, 2);
	tcase_add_loop_test(large, all_of_a_refused_line_is_refused, 0, 2);
	tcase_add_loop_test(large, a_refused_end_is_refused_when_tried_again, 0, 2);
	tcase_add_loop_test(large, a_record_equal_to_a_refused_end_is_taken, 0, 2);
	tcase_add_loop_test(large, a_refused_line_ends_with_the_file, 0, 2);
	TCase *keys = add_case(suite, "keys");
	tcase_add_loop_test(keys, put_follows_the_key_rule, 0, 2);
	tcase_add_test(keys, a_key_has_one_shard);
	tcase_add_test(keys, records_without_a_key_spread);
	tcase_add_test(keys, a_key_is_found_in_the_first_4_mib_of_a_line_on_disk);
	tcase_add_test(keys, long_lines_follow_the_key_rule_too);
	tcase_add_test(keys, a_removed_stream_takes_no_records);
	TCase *uploads = add_case(suite, "uploads");
	tcase_add_test(uploads, an_upload_of_one_line_is_a_line);
	tcase_add_loop_test(uploads, an_upload_of_anything_else_is_a_claim_check, 0, 5);
	tcase_add_test(uploads, an_upload_over_the_limit_is_refused);
	return run_suite(suite);
}
