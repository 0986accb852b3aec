/* SPDX-License-Identifier: MIT */
/* The keys of a stream. */
#include "viewtest.h"

#include "tidier.h"

static int collect(void *context, const char *key, size_t bytes)
{
	struct buf *got = context;
	ck_assert_int_eq(buf_append(got, key, bytes), 0);
	return buf_append(got, ",", 1);
}

START_TEST(keys_of_trimmed_records_are_not_listed)
{
	open_all();
	configure("{\"key\":{\"field\":1,\"separator\":\" \"}}");
	struct sfs_writer *writer;
	ck_assert_int_eq(sfs_writer_open_put(stream, &writer), 0);
	write_to(writer, "a 1\nb 2\na 3\nc 4\n", 16);
	struct buf got = {0};
	set_horizon(8, 2, 0);
	ck_assert_int_eq(sfs_stream_keys(stream, collect, &got), 0);
	ck_assert_int_eq(buf_append(&got, "", 1), 0);
	ck_assert_str_eq((char *)got.data, "a,c,");
	buf_fini(&got);
	close_all();
}
END_TEST

static void check_keys(const char *want)
{
	struct buf got = {0};
	ck_assert_int_eq(sfs_stream_keys(stream, collect, &got), 0);
	ck_assert_int_eq(buf_append(&got, "", 1), 0);
	ck_assert_str_eq((char *)got.data, want);
	buf_fini(&got);
}

START_TEST(keys_are_listed_once_each)
{
	options.segment_bytes = 1;
	open_all();
	check_keys("");
	append_bytes("no key\n", 7);
	append_of_key("a", "1\n");
	append_of_key("b", "2\n");
	append_of_key("a", "3\n");
	check_keys("a,b,");
	tidier_drain(store->tidier);
	reopen();
	append_of_key("c", "4\n");
	check_keys("a,b,c,");
	close_all();
}
END_TEST

static int count_keys(void *context, const char *key, size_t bytes)
{
	(void)key;
	(void)bytes;
	return ++*(int *)context == 3 ? 77 : 0;
}

START_TEST(many_keys_are_listed_until_it_is_enough)
{
	open_all();
	configure("{\"key\":{\"field\":1,\"separator\":\" \"}}");
	struct sfs_writer *writer;
	ck_assert_int_eq(sfs_writer_open_put(stream, &writer), 0);
	struct buf text = {0};
	for (unsigned i = 0; i < 70000; i++)
		ck_assert_int_eq(buf_printf(&text, "key%u x\n", i), 0);
	write_to(writer, text.data, text.size);
	struct buf got = {0};
	ck_assert_int_eq(sfs_stream_keys(stream, collect, &got), 0);
	size_t count = 0;
	for (size_t i = 0; i < got.size; i++)
		count += got.data[i] == ',';
	ck_assert_uint_eq(count, SFS_KEYS_LISTED);
	int seen = 0;
	ck_assert_int_eq(sfs_stream_keys(stream, count_keys, &seen), 77);
	ck_assert_int_eq(seen, 3);
	buf_fini(&text);
	buf_fini(&got);
	close_all();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("retained_keys");
	TCase *tcase = add_case(suite, "keys");
	tcase_add_test(tcase, keys_of_trimmed_records_are_not_listed);
	tcase_add_test(tcase, keys_are_listed_once_each);
	tcase_add_test(tcase, many_keys_are_listed_until_it_is_enough);
	return run_suite(suite);
}
