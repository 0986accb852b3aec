/* SPDX-License-Identifier: MIT */
#include "keyname.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void decodes(const char *name, const char *want, size_t want_bytes)
{
	char key[SFS_KEY_MAX_BYTES];
	size_t bytes = 0;
	ck_assert_msg(keyname_decode(name, key, &bytes) == 0, "%s", name);
	ck_assert_uint_eq(bytes, want_bytes);
	ck_assert_int_eq(memcmp(key, want, bytes), 0);
}

static void refuses(const char *name)
{
	char key[SFS_KEY_MAX_BYTES];
	size_t bytes = 77;
	ck_assert_msg(keyname_decode(name, key, &bytes) == -EINVAL, "%s", name);
	ck_assert_uint_eq(bytes, 77);
}

START_TEST(plain_names_are_keys)
{
	decodes("user-42", "user-42", 7);
	decodes("a b", "a b", 3);
	decodes("\xc3\xbc", "\xc3\xbc", 2);
	decodes("a.b", "a.b", 3);
}
END_TEST

START_TEST(codes_stand_for_any_byte)
{
	decodes("a%2Fb", "a/b", 3);
	decodes("a%2fb", "a/b", 3);
	decodes("100%25", "100%", 4);
	decodes("%2Ehidden", ".hidden", 7);
	decodes("%41", "A", 1);
	decodes("%C3%BC", "\xc3\xbc", 2);
}
END_TEST

START_TEST(broken_codes_are_refused)
{
	refuses("%");
	refuses("a%2");
	refuses("%zz");
	refuses("%2g");
	refuses("%%41");
	refuses("%00");
	refuses("a%0Ab");
	refuses("%C3");
	refuses("a\xff");
	refuses("%ED%A0%80");
	refuses("");
}
END_TEST

START_TEST(keys_have_256_characters_at_most)
{
	char name[4 * SFS_KEY_MAX + 16];
	memset(name, 'x', SFS_KEY_MAX);
	name[SFS_KEY_MAX] = '\0';
	char key[SFS_KEY_MAX_BYTES];
	size_t bytes;
	ck_assert_int_eq(keyname_decode(name, key, &bytes), 0);
	ck_assert_uint_eq(bytes, SFS_KEY_MAX);
	strcat(name, "x");
	refuses(name);
	*name = '\0';
	for (int i = 0; i < SFS_KEY_MAX; i++)
		strcat(name, "\xf0\x9f\x98\x80");
	ck_assert_int_eq(keyname_decode(name, key, &bytes), 0);
	ck_assert_uint_eq(bytes, SFS_KEY_MAX_BYTES);
	strcat(name, "x");
	refuses(name);
}
END_TEST

START_TEST(every_key_has_a_name_that_decodes_to_it)
{
	char name[KEYNAME_MAX + 1];
	keyname_encode(".a/%.b", 6, name);
	ck_assert_str_eq(name, "%2Ea%2F%25.b");
	for (int byte = 1; byte < 128; byte++) {
		if (byte == '\n')
			continue;
		const char key[] = {(char)byte, 'x', (char)byte};
		keyname_encode(key, sizeof key, name);
		ck_assert_ptr_null(strchr(name, '/'));
		ck_assert_int_ne(name[0], '.');
		decodes(name, key, sizeof key);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("keyname");
	TCase *tc = tcase_create("keyname");
	tcase_add_test(tc, plain_names_are_keys);
	tcase_add_test(tc, codes_stand_for_any_byte);
	tcase_add_test(tc, broken_codes_are_refused);
	tcase_add_test(tc, keys_have_256_characters_at_most);
	tcase_add_test(tc, every_key_has_a_name_that_decodes_to_it);
	suite_add_tcase(suite, tc);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
