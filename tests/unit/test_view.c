/* SPDX-License-Identifier: MIT */
#include <check.h>

#include "storetest.h"

#include "streamfs/view.h"

/* --- a reader --- */

static struct sfs_view *open_view(struct sfs_view_spec spec)
{
	struct sfs_view *view;
	if (spec.filter == SFS_OF_SHARD && !spec.shard)
		spec.shard = shard;
	ck_assert_int_eq(sfs_view_open(stream, &spec, &view), 0);
	return view;
}

/* Reads all that there is at present, `step` bytes at a time; the last result. */
static int drain(struct sfs_view *view, size_t step, struct buf *out)
{
	for (;;) {
		size_t n = 0;
		ck_assert_int_eq(buf_reserve(out, step), 0);
		int r = sfs_view_read(view, out->data + out->size, step, &n);
		if (r < 0 || !n)
			return r;
		ck_assert_uint_le(n, step);
		out->size += n;
	}
}

static void check_drains(struct sfs_view *view, size_t step, int result, const char *want)
{
	struct buf got = {0};
	ck_assert_int_eq(drain(view, step, &got), result);
	ck_assert_int_eq(buf_append(&got, "", 1), 0);
	ck_assert_str_eq((char *)got.data, want);
	buf_fini(&got);
}

static void append_key(const char *key, const char *text)
{
	struct sfs_writer *writer;
	size_t taken;
	ck_assert_int_eq(sfs_writer_open_key(stream, key, strlen(key), &writer), 0);
	ck_assert_int_eq(sfs_writer_write(writer, text, strlen(text), &taken), 0);
	ck_assert_int_eq(sfs_writer_close(writer), 0);
}

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
	struct sfs_view *live = open_view((struct sfs_view_spec){
		.start = SFS_FROM_NOW, .filter = SFS_OF_ALL});
	append_bytes("one\ntwo\n", 8);
	append_bytes("\n", 1);
	for (size_t step = 1; step < 12; step++) {
		struct sfs_view *view = open_view(
			(struct sfs_view_spec){.filter = SFS_OF_ALL});
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
	append_key("a", "a1\na2\n");
	append_key("b", "b1\n");
	append_key("a", "a3\n");
	append_key("aa", "x\n");
	for (size_t step = 1; step < 12; step++) {
		struct sfs_view *view = open_view((struct sfs_view_spec){
			.filter = SFS_OF_KEY, .key = "a", .key_bytes = 1});
		check_drains(view, step, 0, "a1\na2\na3\n");
		sfs_view_close(view);
	}
	close_all();
}
END_TEST

START_TEST(json_of_a_shard_has_the_size_that_the_index_tells)
{
	open_all();
	append_key("k\"", "one\ntwo \\ \xff\n");
	append_bytes("three\n\n", 7);
	struct sfs_view *view =
		open_view((struct sfs_view_spec){.filter = SFS_OF_SHARD, .json = true});
	struct buf all = {0};
	ck_assert_int_eq(drain(view, 7, &all), 0);
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

int main(void)
{
	Suite *suite = suite_create("view");
	TCase *tcase = add_case(suite, "reading");
	tcase_add_test(tcase, views_of_an_empty_stream_have_nothing);
	tcase_add_test(tcase, all_of_one_shard_is_its_text);
	tcase_add_test(tcase, a_key_brings_its_records_and_no_others);
	tcase_add_test(tcase, json_of_a_shard_has_the_size_that_the_index_tells);
	return run_suite(suite);
}
