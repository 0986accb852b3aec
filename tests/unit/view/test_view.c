/* SPDX-License-Identifier: MIT */
#include "viewtest.h"

#include "tidier.h"

START_TEST(views_of_an_empty_stream_have_nothing)
{
	open_all();
	for (int filter = SFS_OF_SHARD; filter <= SFS_OF_ALL; filter++)
		for (int start = SFS_FROM_HORIZON; start <= SFS_FROM_NOW; start++) {
			struct sfs_view *view = open_view((struct sfs_view_spec){
				.start = start, .filter = filter, .key = "k", .key_bytes = 1});
			check_drains(view, 10, 0, "");
			ck_assert_uint_eq(sfs_view_size(view), 0);
			sfs_view_close(view);
		}
	close_all();
}
END_TEST

START_TEST(all_of_one_shard_is_its_text)
{
	open_all();
	struct sfs_view *live =
		open_view((struct sfs_view_spec){.start = SFS_FROM_NOW, .filter = SFS_OF_ALL});
	append_bytes("one\ntwo\n", 8);
	append_bytes("\n", 1);
	for (size_t step = 1; step < 12; step++) {
		struct sfs_view *view = open_view((struct sfs_view_spec){.filter = SFS_OF_ALL});
		check_drains(view, step, 0, "one\ntwo\n\n");
		check_drains(view, step, 0, "");
		sfs_view_close(view);
	}
	check_drains(live, 3, 0, "one\ntwo\n\n");
	append_bytes("three\n", 6);
	check_drains(live, 3, 0, "three\n");
	sfs_view_close(live);
	close_all();
}
END_TEST

START_TEST(a_key_brings_its_records_and_no_others)
{
	open_all();
	configure("{\"shards\":4}");
	append_of_key("a", "a1\na2\n");
	append_of_key("b", "b1\n");
	append_of_key("a", "a3\n");
	append_of_key("aa", "x\n");
	for (size_t step = 1; step < 12; step++) {
		struct sfs_view *view = open_view(
			(struct sfs_view_spec){.filter = SFS_OF_KEY, .key = "a", .key_bytes = 1});
		check_drains(view, step, 0, "a1\na2\na3\n");
		sfs_view_close(view);
	}
	close_all();
}
END_TEST

START_TEST(json_of_a_shard_has_the_size_that_the_index_tells)
{
	open_all();
	append_of_key("k\"", "one\ntwo \\ \xff\n");
	append_bytes("three\n\n", 7);
	struct sfs_view *view =
		open_view((struct sfs_view_spec){.filter = SFS_OF_SHARD, .json = true});
	struct buf all = {0};
	ck_assert_int_eq(drain(view, 7, false, &all), 0);
	ck_assert_uint_eq(all.size, sfs_view_size(view));
	ck_assert_uint_eq(all.size, shard_json_size(shard));
	for (size_t at = 0; at < all.size; at++) {
		char byte;
		size_t n = 0;
		ck_assert_int_eq(sfs_view_pread(view, at, &byte, 1, &n), 0);
		ck_assert_uint_eq(n, 1);
		ck_assert_int_eq(byte, (char)all.data[at]);
	}
	buf_fini(&all);
	sfs_view_close(view);
	close_all();
}
END_TEST

/* --- against the model --- */

static const char *const keys[] = {"a", "b", "user-42", "k\"\\", "\xc3\xa4"};
enum { KEYS = 5, LIVE = 12 };

/* Makes a line that no other record has. */
static void random_line(struct buf *text, size_t length)
{
	static unsigned id;
	ck_assert_int_eq(buf_printf(text, "%u:", id++), 0);
	ck_assert_int_eq(buf_reserve(text, length + 1), 0);
	unsigned kind = (unsigned)below(8);
	for (size_t i = 0; i < length; i++) {
		uint8_t c = kind == 0	? (uint8_t)next_random()
			    : kind == 1 ? (uint8_t)(next_random() % 64)
					: (uint8_t)('a' + next_random() % 26);
		text->data[text->size++] = c == '\n' ? '\t' : c;
	}
	text->data[text->size++] = '\n';
}

static size_t random_length(void)
{
	return below(8) ? below(60) : below(16) ? below(1500) : below(12000);
}

static struct sfs_shard *random_open_shard(void)
{
	for (;;) {
		struct sfs_shard *s = model.shards[below(model.shard_count)].shard;
		struct sfs_shard_info info;
		sfs_shard_info(s, &info);
		if (info.state == SFS_SHARD_OPEN)
			return s;
	}
}

static void random_append(size_t max_lines)
{
	struct buf text = {0};
	for (size_t lines = 1 + below(max_lines); lines; lines--)
		random_line(&text, random_length());
	const char *key = below(3) ? keys[below(KEYS)] : NULL;
	model_append(key ? NULL : random_open_shard(), key, text.data, text.size);
	buf_fini(&text);
}

static void random_time(void)
{
	clock_ms += below(4) ? below(3) : 10;
	if (!below(20))
		clock_ms -= 25;
}

/* A view that stays open, and the text that it must return. */
static struct live {
	struct sfs_view *view;
	struct model_reader reader;
	const char *key;
} lives[LIVE];

static struct sfs_view_spec random_spec(void)
{
	const char *key = keys[below(KEYS)];
	struct sfs_view_spec spec = {
		.start = (enum sfs_view_start)below(3),
		.filter = (enum sfs_view_filter)below(3),
		.json = below(2),
		.shard = model.shards[below(model.shard_count)].shard,
		.key = key,
		.key_bytes = strlen(key),
	};
	spec.since_ms = clock_ms - 20 + below(40);
	return spec;
}

static void open_live(void)
{
	struct live *live = &lives[below(LIVE)];
	sfs_view_close(live->view);
	struct sfs_view_spec spec = random_spec();
	live->view = open_view(spec);
	live->reader = model_open(&spec);
}

static void read_live(void)
{
	struct live *live = &lives[below(LIVE)];
	struct buf got = {0};
	if (!live->view)
		return;
	int r = drain(live->view, below(2) ? 100 : 100000, true, &got);
	ck_assert_msg(r == 0 || r == -EPIPE, "%d", r);
	model_check(&live->reader, &got);
	buf_fini(&got);
}

static void close_lives(void)
{
	for (size_t i = 0; i < LIVE; i++) {
		sfs_view_close(lives[i].view);
		lives[i].view = NULL;
	}
}

static void check_preads(struct sfs_view *view, const struct buf *all)
{
	uint64_t begin = sfs_view_horizon(view);
	ck_assert_uint_eq(sfs_view_size(view) - begin, all->size);
	for (int i = 0; all->size && i < 20; i++) {
		size_t at = below(all->size + 1), ask = 1 + below(i % 2 ? 50 : 5000), n = 99;
		size_t want = all->size - at < ask ? all->size - at : ask;
		uint8_t *piece = malloc(ask);
		ck_assert_int_eq(sfs_view_pread(view, begin + at, piece, ask, &n), 0);
		ck_assert_uint_eq(n, want);
		ck_assert(!n || !memcmp(piece, all->data + at, n));
		free(piece);
	}
}

static void check_view(struct sfs_view_spec spec)
{
	struct sfs_view *view = open_view(spec);
	struct model_reader reader = model_open(&spec);
	struct buf got = {0};
	int r = drain(view, below(2) ? 64 : 1 << 18, true, &got);
	ck_assert_msg(r == 0 || (r == -EPIPE && spec.filter == SFS_OF_SHARD), "%d", r);
	model_check(&reader, &got);
	if (spec.filter == SFS_OF_SHARD)
		check_preads(view, &got);
	buf_fini(&got);
	sfs_view_close(view);
}

static void check_all_views(void)
{
	for (int json = 0; json < 2; json++)
		for (int start = SFS_FROM_HORIZON; start <= SFS_FROM_TIME; start++) {
			struct sfs_view_spec spec = random_spec();
			spec.json = json;
			spec.start = (enum sfs_view_start)start;
			spec.filter = SFS_OF_ALL;
			check_view(spec);
			spec.filter = SFS_OF_KEY;
			check_view(spec);
			spec.filter = SFS_OF_SHARD;
			for (size_t i = 0; i < model.shard_count; i++) {
				spec.shard = model.shards[i].shard;
				check_view(spec);
			}
		}
}

/* Merges the sealed segments, perhaps under open views. */
static void merge_all(void)
{
	tidier_drain(store->tidier);
}

static void reopen_all(void)
{
	close_lives();
	model_leave_shards();
	reopen();
	model_return_to_shards();
}

static void random_reshard(void)
{
	char json[40];
	if (model.shard_count > 40)
		return;
	snprintf(json, sizeof json, "{\"shards\":%zu}", 1 + below(5));
	configure(json);
	model_find_shards();
}

static void random_step(void)
{
	size_t dice = below(100);
	if (dice < 55)
		random_append(dice < 10 ? 40 : 3);
	else if (dice < 65)
		open_live();
	else if (dice < 90)
		read_live();
	else if (dice < 91)
		merge_all();
	else if (dice < 92)
		random_reshard();
	random_time();
}

static void run_model(unsigned seed, unsigned steps)
{
	random_state = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
	options.segment_bytes = 3000 + below(20000);
	options.segment_chunks = 50;
	clock_ms = UINT64_C(1700000000000);
	open_all();
	configure("{\"shards\":2}");
	model_find_shards();
	model_append(shard, NULL, "first\n", 6);
	if (seed % 3 == 0) {
		configure("{\"large_records\":{\"threshold_bytes\":1024}}");
		model.claim_above_bytes = 1024;
	} else {
		configure("{\"large_records\":{\"policy\":\"split\",\"threshold_bytes\":1024}}");
	}
	for (unsigned i = 1; i <= steps; i++) {
		random_step();
		if (i % 150 == 0)
			check_all_views();
		if (i % 400 == 0)
			reopen_all();
	}
	check_all_views();
	close_lives();
	model_free();
	close_all();
}

START_TEST(random_streams_read_as_the_model_says)
{
	run_model((unsigned)_i + 1, 600);
}
END_TEST

START_TEST(a_record_longer_than_a_chunk_reads_as_the_model_says)
{
	options.segment_bytes = 1 << 20;
	clock_ms = UINT64_C(1700000000000);
	open_all();
	configure("{\"shards\":2,\"large_records\":{\"policy\":\"split\"}}");
	model_find_shards();
	for (int round = 0; round < 4; round++) {
		struct buf text = {0};
		random_line(&text, 10);
		model_append(model.shards[1].shard, NULL, text.data, text.size);
		text.size = 0;
		ck_assert_int_eq(buf_reserve(&text, 3 << 20), 0);
		text.size = (3 << 20) - 100 + (size_t)round * 50;
		memset(text.data, round == 2 ? 0xff : 'x', text.size);
		text.data[0] = (uint8_t)('0' + round);
		text.data[text.size - 1] = '\n';
		clock_ms += 5;
		model_append(shard, round % 2 ? "a" : NULL, text.data, text.size);
		text.size = 0;
		random_line(&text, 10);
		clock_ms += (uint64_t)round;
		model_append(shard, "b", text.data, text.size);
		buf_fini(&text);
	}
	random_state = 5;
	check_all_views();
	check_all_views();
	model_free();
	close_all();
}
END_TEST

/* --- ends and damage --- */

START_TEST(a_closed_shard_ends_and_all_goes_on)
{
	open_all();
	append_bytes("one\n", 4);
	struct sfs_view *text = open_view((struct sfs_view_spec){.filter = SFS_OF_SHARD});
	struct sfs_view *json =
		open_view((struct sfs_view_spec){.filter = SFS_OF_SHARD, .json = true});
	struct sfs_view *all = open_view((struct sfs_view_spec){.filter = SFS_OF_ALL});
	configure("{\"shards\":2}");
	append_of_key("k", "two\n");
	struct buf got = {0};
	check_drains(text, 3, -EPIPE, "one\n");
	ck_assert_int_eq(drain(json, 3, false, &got), -EPIPE);
	ck_assert_uint_gt(got.size, 0);
	check_drains(all, 3, 0, "one\ntwo\n");
	sfs_view_close(text);
	sfs_view_close(json);
	sfs_view_close(all);
	buf_fini(&got);
	close_all();
}
END_TEST

/* Damages the frame of a chunk in shard 0's first segment. */
static void damage_chunk(size_t number)
{
	struct placed chunks[16];
	const char *path = segment_file(0);
	ck_assert_uint_lt(number, list_chunks(path, chunks, 16));
	flip_byte(path, chunks[number].at + chunk_stored_bytes(&chunks[number].chunk) - 12);
}

START_TEST(damage_is_told_once_at_its_place)
{
	open_all();
	for (char c = 'a'; c < 'f'; c++)
		append_of_key("k", (char[]){c, c, '\n', 0});
	damage_chunk(2);
	for (int filter = SFS_OF_SHARD; filter <= SFS_OF_ALL; filter++)
		for (size_t step = 1; step < 20; step += 6) {
			struct sfs_view *view = open_view(
				(struct sfs_view_spec){.filter = (enum sfs_view_filter)filter,
					.key = "k",
					.key_bytes = 1});
			check_drains(view, step, -EBADMSG, "aa\nbb\n");
			check_drains(view, step, -EBADMSG, "");
			ck_assert_int_eq(sfs_view_skip(view), 0);
			check_drains(view, step, 0, "dd\nee\n");
			sfs_view_close(view);
		}
	close_all();
}
END_TEST

START_TEST(damage_in_json_is_told_once_at_its_place)
{
	open_all();
	for (char c = 'a'; c < 'f'; c++)
		append_of_key("k", (char[]){c, c, '\n', 0});
	struct sfs_view *view =
		open_view((struct sfs_view_spec){.filter = SFS_OF_SHARD, .json = true});
	struct buf whole = {0}, got = {0};
	ck_assert_int_eq(drain(view, 4096, false, &whole), 0);
	sfs_view_close(view);
	size_t line = whole.size / 5; /* the last is a byte longer: its offset has two digits */
	damage_chunk(2);
	for (int filter = SFS_OF_SHARD; filter <= SFS_OF_ALL; filter++) {
		view = open_view((struct sfs_view_spec){.filter = (enum sfs_view_filter)filter,
			.json = true,
			.key = "k",
			.key_bytes = 1});
		got.size = 0;
		ck_assert_int_eq(drain(view, 50, false, &got), -EBADMSG);
		ck_assert_uint_eq(got.size, 2 * line);
		ck_assert_int_eq(drain(view, 50, false, &got), -EBADMSG);
		ck_assert_int_eq(sfs_view_skip(view), 0);
		ck_assert_int_eq(drain(view, 50, false, &got), 0);
		ck_assert_uint_eq(got.size, 4 * line + 1);
		ck_assert(!memcmp(got.data, whole.data, 2 * line));
		ck_assert(!memcmp(got.data + 2 * line, whole.data + 3 * line, 2 * line + 1));
		sfs_view_close(view);
	}
	buf_fini(&whole);
	buf_fini(&got);
	close_all();
}
END_TEST

START_TEST(a_record_that_is_damaged_inside_does_not_run_into_the_next)
{
	open_all();
	configure("{\"large_records\":{\"policy\":\"split\"}}");
	append_bytes("before\n", 7);
	size_t bytes = 5 << 19;
	char *text = malloc(bytes);
	memset(text, 'x', bytes);
	text[bytes - 1] = '\n';
	append_bytes(text, bytes);
	append_bytes("after\n", 6);
	struct buf got = {0};
	damage_chunk(2);
	struct sfs_view *view = open_view((struct sfs_view_spec){.filter = SFS_OF_ALL});
	ck_assert_int_eq(drain(view, 100000, false, &got), -EBADMSG);
	ck_assert_uint_eq(got.size, 7 + (1 << 20));
	ck_assert_int_eq(sfs_view_skip(view), 0);
	check_drains(view, 100000, 0, "\nafter\n");
	sfs_view_close(view);
	view = open_view((struct sfs_view_spec){.filter = SFS_OF_ALL, .json = true});
	got.size = 0;
	ck_assert_int_eq(drain(view, 100000, false, &got), -EBADMSG);
	ck_assert_uint_eq(count_lines(&got), 1);
	ck_assert_int_eq(sfs_view_skip(view), 0);
	ck_assert_int_eq(drain(view, 100000, false, &got), 0);
	ck_assert_uint_eq(count_lines(&got), 2);
	sfs_view_close(view);
	buf_fini(&got);
	free(text);
	close_all();
}
END_TEST

/* --- trimming --- */

static size_t behind_line(const struct buf *text, unsigned lines)
{
	size_t at = 0;
	while (lines--)
		at = (size_t)((uint8_t *)memchr(text->data + at, '\n', text->size - at) -
			      text->data) +
		     1;
	return at;
}

START_TEST(trimmed_text_is_stale_once_and_new_views_begin_behind_it)
{
	for (int json = 0; json < 2; json++)
		for (int filter = SFS_OF_SHARD; filter <= SFS_OF_ALL; filter++) {
			setup();
			open_all();
			append_of_key("k", "one\ntwo\n");
			append_of_key("k", "three\nfour\nfive\n");
			append_of_key("k", "six\n");
			struct sfs_view_spec spec = {.filter = SFS_OF_SHARD, .json = true};
			struct buf whole = {0}, got = {0};
			struct sfs_view *view = open_view(spec);
			ck_assert_int_eq(drain(view, 100, false, &whole), 0);
			sfs_view_close(view);
			size_t json_horizon = behind_line(&whole, 3);
			if (!json) {
				whole.size = 0;
				ck_assert_int_eq(
					buf_printf(&whole, "one\ntwo\nthree\nfour\nfive\nsix\n"),
					0);
			}
			size_t horizon = behind_line(&whole, 3), n = 0;
			char buffer[400];
			spec = (struct sfs_view_spec){.filter = (enum sfs_view_filter)filter,
				.json = json,
				.key = "k",
				.key_bytes = 1};
			view = open_view(spec);
			size_t first = behind_line(&whole, 1);
			ck_assert_int_eq(sfs_view_read(view, buffer, first, &n), 0);
			ck_assert_uint_eq(n, first);
			set_horizon(14, 3, json_horizon);
			ck_assert_int_eq(drain(view, 100, false, &got), -ESTALE);
			ck_assert_uint_eq(got.size, 0);
			ck_assert_int_eq(sfs_view_skip(view), 0);
			ck_assert_int_eq(drain(view, 100, false, &got), 0);
			ck_assert_uint_eq(got.size, whole.size - horizon);
			ck_assert(!memcmp(got.data, whole.data + horizon, got.size));
			sfs_view_close(view);
			view = open_view(spec);
			got.size = 0;
			ck_assert_int_eq(drain(view, 7, false, &got), 0);
			ck_assert_uint_eq(got.size, whole.size - horizon);
			ck_assert(!memcmp(got.data, whole.data + horizon, got.size));
			bool sized = filter == SFS_OF_SHARD;
			ck_assert_uint_eq(sfs_view_size(view), sized ? whole.size : 0);
			ck_assert_uint_eq(sfs_view_horizon(view), sized ? horizon : 0);
			ck_assert_int_eq(sfs_view_pread(view, horizon - 1, buffer, 9, &n),
				sized ? -ESTALE : -ESPIPE);
			if (sized) {
				ck_assert_int_eq(
					sfs_view_pread(view, horizon + 2, buffer, 9, &n), 0);
				ck_assert_uint_eq(n, 9);
				ck_assert(!memcmp(buffer, whole.data + horizon + 2, n));
			}
			sfs_view_close(view);
			spec.start = SFS_FROM_TIME;
			view = open_view(spec);
			got.size = 0;
			ck_assert_int_eq(drain(view, 7, false, &got), 0);
			ck_assert_uint_eq(got.size, whole.size - horizon);
			sfs_view_close(view);
			buf_fini(&whole);
			buf_fini(&got);
			close_all();
			teardown();
		}
	setup();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("view");
	TCase *tcase = add_case(suite, "reading");
	tcase_add_test(tcase, views_of_an_empty_stream_have_nothing);
	tcase_add_test(tcase, all_of_one_shard_is_its_text);
	tcase_add_test(tcase, a_key_brings_its_records_and_no_others);
	tcase_add_test(tcase, json_of_a_shard_has_the_size_that_the_index_tells);
	tcase = add_case(suite, "model");
	tcase_add_loop_test(tcase, random_streams_read_as_the_model_says, 0, sampled(12));
	tcase_add_test(tcase, a_record_longer_than_a_chunk_reads_as_the_model_says);
	tcase = add_case(suite, "ends");
	tcase_add_test(tcase, a_closed_shard_ends_and_all_goes_on);
	tcase_add_test(tcase, damage_is_told_once_at_its_place);
	tcase_add_test(tcase, damage_in_json_is_told_once_at_its_place);
	tcase_add_test(tcase, a_record_that_is_damaged_inside_does_not_run_into_the_next);
	tcase_add_test(tcase, trimmed_text_is_stale_once_and_new_views_begin_behind_it);
	return run_suite(suite);
}
