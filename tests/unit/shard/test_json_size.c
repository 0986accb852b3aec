/* SPDX-License-Identifier: MIT */
/* The store's JSON size of its records, compared with their rendered length. */
#include "storetest.h"

#include "json_record.h"
#include "meta.h"

/* Renders the JSON of a segment's chunks, and checks where each begins and ends. */
struct rendering {
	struct buf json; /* of the chunk */
	struct buf line; /* of a record that has not ended */
	uint64_t offset; /* of the line */
	uint64_t text_offset, sequence, json_offset;
};

static void render_record(struct rendering *w, struct meta_record *record)
{
	struct json_record json = {
		.shard = shard->number,
		.sequence = w->sequence++,
		.offset = w->offset,
		.arrival_ms = record->arrival_ms,
		.key = (const char *)record->key,
		.key_bytes = record->key_bytes,
	};
	ck_assert_int_eq(
		json_record_append(&w->json, &json, w->line.data, w->line.size, record->has_claim),
		0);
}

static void render_chunk(struct rendering *w, const struct chunk *c, const uint8_t *stored)
{
	ck_assert_uint_eq(c->text_offset, w->text_offset);
	ck_assert_uint_eq(c->first_sequence, w->sequence);
	ck_assert_uint_eq(c->json_offset, w->json_offset);
	struct buf raw = {0};
	struct meta_view view;
	char *text = malloc(c->text_bytes);
	ck_assert_int_eq(chunk_decode(c, chunk_frame_of(c, stored), text), 0);
	ck_assert_int_eq(chunk_decode_meta(c, chunk_meta_of(stored), &raw), 0);
	ck_assert_int_eq(meta_view_init(&view, &raw, c->arrival_ms), 0);
	w->json.size = 0;
	for (const char *p = text, *end = text + c->text_bytes; p < end;) {
		const char *newline = memchr(p, '\n', (size_t)(end - p));
		if (!w->line.size)
			w->offset = c->text_offset + (uint64_t)(p - text);
		ck_assert_int_eq(
			buf_append(&w->line, p, (size_t)((newline ? newline : end) - p)), 0);
		struct meta_record record;
		if (newline) {
			ck_assert_int_eq(meta_view_next(&view, &record), 0);
			render_record(w, &record);
			w->line.size = 0;
		}
		p = newline ? newline + 1 : end;
	}
	ck_assert_uint_eq(c->json_bytes, w->json.size);
	w->text_offset += c->text_bytes;
	w->json_offset += c->json_bytes;
	meta_view_fini(&view);
	buf_fini(&raw);
	free(text);
}

/* Checks the chunks of all segments, and the sizes that the shard reports. */
static uint64_t check_all(void)
{
	uint64_t bases[64];
	size_t count = list_bases(bases, 64);
	struct rendering w = {.offset = 0};
	for (size_t i = 0; i < count; i++) {
		size_t bytes;
		uint8_t *data = slurp(segment_file(bases[i]), &bytes);
		struct chunk c;
		for (uint64_t at = 0; at < bytes; at += chunk_stored_bytes(&c)) {
			ck_assert_int_eq(chunk_parse(data + at, &c), 0);
			render_chunk(&w, &c, data + at);
		}
		free(data);
	}
	ck_assert_uint_eq(sfs_shard_size(shard), w.text_offset);
	ck_assert_uint_eq(shard_json_size(shard), w.json_offset);
	buf_fini(&w.json);
	buf_fini(&w.line);
	return w.json_offset;
}

static void append_keyed(const char *key, const char *text, size_t bytes)
{
	struct sfs_writer *writer;
	size_t taken;
	ck_assert_int_eq(sfs_writer_open_key(stream, key, strlen(key), &writer), 0);
	ck_assert_int_eq(sfs_writer_write(writer, text, bytes, &taken), 0);
	ck_assert_uint_eq(taken, bytes);
	ck_assert_int_eq(sfs_writer_close(writer), 0);
}

static void append_put(const char *text, size_t bytes)
{
	struct sfs_writer *writer;
	size_t taken;
	ck_assert_int_eq(sfs_writer_open_put(stream, &writer), 0);
	ck_assert_int_eq(sfs_writer_write(writer, text, bytes, &taken), 0);
	ck_assert_uint_eq(taken, bytes);
	ck_assert_int_eq(sfs_writer_close(writer), 0);
}

static const char mixed[] = "plain\n\n\"quoted\" \\ \t\x01\n\xc3\xa4\xe2\x82\xac\n\xff\xfe\n\0\n";

START_TEST(every_kind_of_line_is_counted)
{
	open_all();
	ck_assert_uint_eq(shard_json_size(shard), 0);
	append_bytes("hello\n", 6);
	append_bytes("gr\xc3\xbc\xc3\x9f\x65\n\n", 9);
	append_bytes(mixed, sizeof mixed - 1);
	append_keyed("user-\"42\"", mixed, sizeof mixed - 1);
	configure("{\"key\":{\"field\":1,\"separator\":\" \"}}");
	static const char keyed[] = "a 1\nb 2\n\xc3\xa4 3\n4\n 5\n\"q\" 6\n";
	append_put(keyed, sizeof keyed - 1);
	uint64_t size = check_all();
	reopen();
	ck_assert_uint_eq(shard_json_size(shard), size);
	append_bytes("more\n", 5);
	ck_assert_uint_gt(check_all(), size);
	close_all();
}
END_TEST

/* One record a chunk, and chunks of many, over the first powers of ten. */
START_TEST(powers_of_ten_are_crossed_anywhere)
{
	open_all();
	append_bytes("a\n", 2);
	append_bytes("b\n\n\n\n", 5);
	append_bytes("1\n2\n3\n4\n5\n6\n", 12); /* text 10, sequence 10 */
	append_lines_one_by_one(0, 12, 0);
	struct buf lines = {0};
	add_lines(&lines, 0, 500, 3);
	append_bytes(lines.data, lines.size);
	append_bytes(lines.data, lines.size);
	append_bytes(lines.data, lines.size);
	ck_assert_uint_gt(sfs_shard_size(shard), 10000);
	check_all();
	buf_fini(&lines);
	close_all();
}
END_TEST

START_TEST(claim_checks_count_as_they_are_shown)
{
	static char payload[5000];
	open_all();
	configure("{\"large_records\":{\"policy\":\"claim-check\",\"threshold_bytes\":1024}}");
	memset(payload, '"', sizeof payload);
	payload[sizeof payload - 1] = '\n';
	append_bytes("before\n", 7);
	append_bytes(payload, sizeof payload);
	append_keyed("k", payload, sizeof payload);
	append_bytes("{\"claim_check\":{}}\n", 19);
	check_all();
	close_all();
}
END_TEST

/* Characters and escapes cross the borders of pieces. Only the end decides the member. */
START_TEST(a_record_over_many_chunks_counts_where_it_ends)
{
	size_t bytes = (5 << 19) + 1;
	char *line = malloc(bytes);
	open_all();
	configure("{\"large_records\":{\"policy\":\"split\"}}");
	append_bytes("x\n", 2);
	for (int kind = 0; kind < 4; kind++) {
		for (size_t i = 0; i + 1 < bytes; i++)
			line[i] = kind == 0   ? 'x'
				  : kind == 1 ? "\xe2\x82\xac"[i % 3]
					      : "\"\n\x01"[i % 2 * 2];
		if (kind == 3)
			line[bytes - 2] = (char)0xff;
		if (kind == 1) /* whole characters only */
			for (size_t i = (bytes - 1) / 3 * 3; i + 1 < bytes; i++)
				line[i] = '.';
		line[bytes - 1] = '\n';
		append_bytes(line, bytes);
		append_keyed("k", line, bytes);
		append_bytes("next\n", 5);
	}
	check_all();
	uint64_t size = shard_json_size(shard);
	reopen();
	ck_assert_uint_eq(shard_json_size(shard), size);
	free(line);
	close_all();
}
END_TEST

START_TEST(merging_keeps_the_sums)
{
	options.segment_bytes = 4000;
	open_all();
	append_bytes(mixed, sizeof mixed - 1);
	append_lines_one_by_one(0, 300, 20);
	uint64_t size = check_all();
	tidier_drain(store->tidier);
	ck_assert_uint_gt(atomic_load(&store->env.metrics.segments_merged), 0);
	ck_assert_uint_eq(check_all(), size);
	reopen();
	ck_assert_uint_eq(check_all(), size);
	close_all();
}
END_TEST

/* Fails the writes of chunks while it is switched on. */
struct refuser {
	struct disk_hook hook; /* first */
	atomic_bool refuses;
};

static int refuse(struct disk_hook *hook, const struct disk_call *call, size_t *limit)
{
	struct refuser *r = (struct refuser *)hook;
	(void)limit;
	return r->refuses && call->op == DISK_WRITE && call->iov_count == 2 ? -ENOSPC : 0;
}

static struct refuser refuser = {.hook = {.before = refuse}};

START_TEST(an_append_that_is_taken_back_counts_nothing)
{
	options.disk_hook = &refuser.hook;
	open_all();
	append_bytes(mixed, sizeof mixed - 1);
	uint64_t size = shard_json_size(shard);
	refuser.refuses = true;
	ck_assert_int_eq(try_append("lost\n"), -ENOSPC);
	refuser.refuses = false;
	ck_assert_uint_eq(shard_json_size(shard), size);
	append_bytes("kept\n", 5);
	check_all();
	close_all();
}
END_TEST

START_TEST(a_torn_tail_takes_its_json_with_it)
{
	open_all();
	append_bytes("one\n", 4);
	uint64_t size = shard_json_size(shard);
	close_all();
	uint64_t good = file_size(segment_file(0));
	open_all();
	append_bytes("two\n", 4);
	close_all();
	cut_file(segment_file(0), good + 130);
	ck_assert_int_eq(unlink(file_path("synced")), 0);
	open_all();
	ck_assert_uint_eq(shard_json_size(shard), size);
	check_all();
	close_all();
}
END_TEST

/* Durable text that was lost keeps its JSON offsets. */
START_TEST(a_lost_end_is_a_gap_in_json_too)
{
	open_all();
	append_bytes("one\n", 4);
	uint64_t first = shard_json_size(shard);
	append_bytes("two\n", 4);
	sync_shard_now();
	uint64_t size = shard_json_size(shard);
	close_all();
	struct placed chunks[4];
	ck_assert_uint_eq(list_chunks(segment_file(0), chunks, 4), 2);
	cut_file(segment_file(0), chunks[1].at);
	open_all();
	ck_assert_uint_eq(shard_json_size(shard), size);
	append_bytes("three\n", 6);
	ck_assert_uint_eq(list_chunks(segment_file(8), chunks, 4), 1);
	ck_assert_uint_eq(chunks[0].chunk.json_offset, size);
	close_all();
	ck_assert_uint_lt(first, size);
}
END_TEST

/* A damaged chunk between good ones: the next chunk shows how long its JSON is. */
START_TEST(a_gap_ends_where_the_next_chunk_begins)
{
	options.segment_bytes = 1 << 20;
	open_all();
	append_lines_one_by_one(0, 3, 10);
	uint64_t size = shard_json_size(shard);
	close_all();
	struct placed chunks[4];
	ck_assert_uint_eq(list_chunks(segment_file(0), chunks, 4), 3);
	flip_byte(segment_file(0), chunks[1].at + 20);
	open_all();
	ck_assert_uint_eq(shard_json_size(shard), size);
	const struct index *index = &shard->active->index;
	ck_assert_uint_eq(index->count, 3);
	ck_assert(index->items[1].flags & INDEX_DAMAGED);
	for (size_t i = 0; i < 3; i++)
		ck_assert_uint_eq(index->items[i].start.json_offset, chunks[i].chunk.json_offset);
	close_all();
}
END_TEST

/* All is trimmed and no segment is left: only the watermark holds where the shard goes on. */
START_TEST(a_shard_without_segments_goes_on_at_its_horizon)
{
	open_all();
	append_bytes("one\n", 4);
	uint64_t tag = shard->tag;
	close_all();
	ck_assert_int_eq(unlink(segment_file(0)), 0);
	struct watermark mark = {
		.counter = 100,
		.synced.offset = 4000,
		.synced.sequence = 40,
		.synced.json_offset = 9000,
		.horizon.offset = 4000,
		.horizon.sequence = 40,
		.horizon.json_offset = 9000,
		.horizon_arrival_ms = UINT64_C(4000000000000),
	};
	const struct disk disk = {.hook = NULL};
	int fd = open(file_path("synced"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_eq(watermark_store(&disk, fd, tag, &mark), 0);
	close(fd);
	open_all();
	struct sfs_shard_info info;
	sfs_shard_info(shard, &info);
	ck_assert_uint_eq(info.size_bytes, 4000);
	ck_assert_uint_eq(info.next_sequence, 40);
	ck_assert_uint_eq(info.last_arrival_ms, mark.horizon_arrival_ms);
	ck_assert_uint_eq(info.quarantined_bytes, 0);
	ck_assert_uint_eq(shard_json_size(shard), 9000);
	append_bytes("two\n", 4);
	struct placed chunks[4];
	ck_assert_uint_eq(list_chunks(segment_file(4000), chunks, 4), 1);
	ck_assert_uint_eq(chunks[0].chunk.json_offset, 9000);
	ck_assert_uint_eq(chunks[0].chunk.first_sequence, 40);
	/* times never step back */
	ck_assert_uint_ge(chunks[0].chunk.arrival_ms, mark.horizon_arrival_ms);
	close_all();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("json size");
	TCase *tcase = add_case(suite, "json size");
	tcase_add_test(tcase, every_kind_of_line_is_counted);
	tcase_add_test(tcase, powers_of_ten_are_crossed_anywhere);
	tcase_add_test(tcase, claim_checks_count_as_they_are_shown);
	tcase_add_test(tcase, a_record_over_many_chunks_counts_where_it_ends);
	tcase_add_test(tcase, merging_keeps_the_sums);
	tcase_add_test(tcase, an_append_that_is_taken_back_counts_nothing);
	tcase_add_test(tcase, a_torn_tail_takes_its_json_with_it);
	tcase_add_test(tcase, a_lost_end_is_a_gap_in_json_too);
	tcase_add_test(tcase, a_gap_ends_where_the_next_chunk_begins);
	tcase_add_test(tcase, a_shard_without_segments_goes_on_at_its_horizon);
	return run_suite(suite);
}
