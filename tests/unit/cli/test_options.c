/* SPDX-License-Identifier: MIT */
#include "options.h"
#include "process.h"

#include <check.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WORDS_MAX = 16 };

/* Parses a command line of words with a blank between them. */
static int parse(const char *line, struct cli_options *options)
{
	char *words[WORDS_MAX + 1] = {NULL};
	char *copy = strdup(line), *save = NULL;
	int count = 0;
	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
		ck_assert_int_lt(count, WORDS_MAX);
		words[count++] = w;
	}
	memset(options, 0, sizeof *options);
	int r = options_parse(options, count, words);
	free(copy);
	return r;
}

static void assert_kernel(const char *line, const char *want)
{
	struct cli_options options;
	ck_assert_msg(parse(line, &options) == 0, "%s", line);
	ck_assert_str_eq(options.kernel ? options.kernel : "", want);
	options_fini(&options);
}

static void assert_refused(const char *line)
{
	struct cli_options options;
	ck_assert_msg(parse(line, &options) == -EINVAL, "%s", line);
	options_fini(&options);
}

START_TEST(two_paths_are_enough)
{
	struct cli_options o;
	ck_assert_int_eq(parse("streamfs s m", &o), 0);
	ck_assert_str_eq(o.store, "s");
	ck_assert_str_eq(o.mountpoint, "m");
	ck_assert(!o.read_only && !o.foreground && !o.debug && !o.fake && !o.help && !o.version);
	ck_assert_ptr_null(o.blob_dir);
	ck_assert_ptr_null(o.kernel);
	options_fini(&o);
}
END_TEST

START_TEST(too_few_and_too_many_paths_are_refused)
{
	assert_refused("streamfs");
	assert_refused("streamfs s");
	assert_refused("streamfs s m x");
	assert_refused("mount.streamfs s -o ro");
}
END_TEST

START_TEST(the_trace_has_areas)
{
	struct cli_options o;
	ck_assert_int_eq(parse("streamfs s m -o trace=append,ro,trace=lock+read\\,sync", &o), 0);
	ck_assert_str_eq(o.trace, "lock+read,sync");
	ck_assert(o.read_only);
	options_fini(&o);
	ck_assert_int_eq(parse("streamfs s m", &o), 0);
	ck_assert_ptr_null(o.trace);
	options_fini(&o);
	assert_refused("streamfs s m -o trace=");
	assert_refused("streamfs s m -o trace");
}
END_TEST

START_TEST(flags_stand_anywhere)
{
	struct cli_options o;
	ck_assert_int_eq(parse("streamfs s -f m -o ro", &o), 0);
	ck_assert(o.foreground && o.read_only && !o.debug);
	options_fini(&o);
	ck_assert_int_eq(parse("streamfs -d s m", &o), 0);
	ck_assert(o.foreground && o.debug);
	options_fini(&o);
	assert_refused("streamfs -z s m");
	assert_refused("streamfs s m -o");
	assert_refused("streamfs --nonsense s m");
}
END_TEST

START_TEST(help_and_version_need_no_paths)
{
	struct cli_options o;
	ck_assert_int_eq(parse("streamfs -h", &o), 0);
	ck_assert(o.help);
	options_fini(&o);
	ck_assert_int_eq(parse("streamfs --version", &o), 0);
	ck_assert(o.version);
	options_fini(&o);
}
END_TEST

START_TEST(libfuse_gets_what_it_knows)
{
	assert_kernel(
		"streamfs s m -o allow_other,noatime -o noexec", "allow_other,noatime,noexec");
	assert_kernel("streamfs s m -o sync,dirsync,async,nodev,nosuid,exec",
		"sync,dirsync,async,nodev,nosuid,exec");
}
END_TEST

START_TEST(what_fstab_has_for_others_is_dropped)
{
	assert_kernel(
		"streamfs s m -o defaults,noauto,auto,nofail,user,user=joe,users,nouser,owner", "");
	assert_kernel("streamfs s m -o group,_netdev,x-systemd.automount,x-a=b,X-mount.mkdir", "");
	assert_kernel(
		"streamfs s m -o comment=hello,relatime,strictatime,atime,lazytime,dev,suid", "");
	assert_kernel("streamfs s m -o default_permissions,fsname=other,subtype=other,rw,,", "");
}
END_TEST

START_TEST(unknown_options_are_refused)
{
	assert_refused("streamfs s m -o nonsense");
	assert_refused("streamfs s m -o ro,nonsense=1");
	assert_refused("streamfs s m -o roo");
	assert_refused("streamfs s m -o r");
	assert_refused("streamfs s m -o blobs");
	assert_refused("streamfs s m -o blobs=");
	assert_refused("streamfs s m -o allow_root");
}
END_TEST

START_TEST(unsafe_options_are_refused)
{
	assert_refused("streamfs s m -o auto_unmount");
	assert_refused("streamfs s m -o remount");
	assert_refused("streamfs s m -o allow_other,nodefault_permissions");
	assert_refused("streamfs s m -o allow_other,no_default_permissions");
	assert_refused("streamfs s m -o default_permissions=0");
}
END_TEST

START_TEST(the_last_of_ro_and_rw_holds)
{
	struct cli_options o;
	ck_assert_int_eq(parse("streamfs s m -o ro,rw", &o), 0);
	ck_assert(!o.read_only);
	options_fini(&o);
	ck_assert_int_eq(parse("streamfs s m -o rw -o ro", &o), 0);
	ck_assert(o.read_only);
	options_fini(&o);
}
END_TEST

START_TEST(an_escaped_comma_belongs_to_the_name)
{
	struct cli_options o;
	ck_assert_int_eq(parse("streamfs s m -o ro,blobs=/a\\,b\\\\c,noatime", &o), 0);
	ck_assert_str_eq(o.blob_dir, "/a,b\\c");
	ck_assert(o.read_only);
	ck_assert_str_eq(o.kernel, "noatime");
	options_fini(&o);
}
END_TEST

START_TEST(as_a_helper_it_takes_the_flags_of_mount)
{
	struct cli_options o;
	ck_assert_int_eq(parse("/sbin/mount.streamfs s m -n -v -o rw,noatime -t streamfs", &o), 0);
	ck_assert_str_eq(o.store, "s");
	ck_assert_str_eq(o.kernel, "noatime");
	ck_assert(!o.foreground && !o.fake);
	options_fini(&o);
	ck_assert_int_eq(parse("mount.fuse.streamfs s m -f", &o), 0);
	ck_assert(o.fake && !o.foreground); /* mount -f is a dry run, not the foreground */
	options_fini(&o);
	ck_assert_int_eq(parse("mount.streamfs s m -o nonsense,ro -s", &o), 0);
	ck_assert(o.read_only); /* -s: unknown options are skipped */
	options_fini(&o);
	assert_refused("mount.streamfs s m -o nonsense");
	assert_refused("mount.streamfs s m -o auto_unmount -s");
	assert_refused("mount.streamfs -d s m");
}
END_TEST

START_TEST(paths_become_absolute)
{
	char dir[] = "/tmp/streamfs-options.XXXXXX", buffer[PATH_MAX];
	char *path = NULL;
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(chdir(dir), 0);
	ck_assert_int_eq(symlink("nowhere", "dangling"), 0);
	ck_assert_ptr_nonnull(getcwd(buffer, sizeof buffer));

	ck_assert_int_eq(path_absolute(".", &path), 0);
	ck_assert_str_eq(path, buffer);
	free(path);
	strcat(buffer, "/new");
	ck_assert_int_eq(path_absolute("new", &path), 0);
	ck_assert_str_eq(path, buffer);
	free(path);
	ck_assert_int_eq(path_absolute("./new//", &path), 0);
	ck_assert_str_eq(path, buffer);
	free(path);
	ck_assert_int_eq(path_absolute("/new-at-the-root", &path), 0);
	ck_assert_str_eq(path, "/new-at-the-root");
	free(path);
	path = NULL;
	ck_assert_int_eq(path_absolute("missing/new", &path), -ENOENT);
	ck_assert_int_eq(path_absolute("dangling", &path), -ENOENT);
	ck_assert_int_eq(path_absolute("missing/..", &path), -ENOENT);
	ck_assert_ptr_null(path);
	ck_assert_int_eq(unlink("dangling"), 0);
	ck_assert_int_eq(rmdir(dir), 0);
}
END_TEST

START_TEST(a_path_is_within_whole_components)
{
	ck_assert(path_is_within("/a/b", "/a/b"));
	ck_assert(path_is_within("/a/b/c", "/a/b"));
	ck_assert(path_is_within("/a", "/"));
	ck_assert(!path_is_within("/a/bc", "/a/b"));
	ck_assert(!path_is_within("/a", "/a/b"));
}
END_TEST

START_TEST(the_environment_is_not_believed)
{
	setenv("PATH", "/evil", 1);
	setenv("LD_PRELOAD_LIKE", "x", 1);
	umask(0);
	ck_assert_int_eq(process_prepare("test"), 0);
	ck_assert_ptr_null(getenv("LD_PRELOAD_LIKE"));
	ck_assert_ptr_null(strstr(getenv("PATH"), "evil"));
	ck_assert_uint_eq(umask(077), 077);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("options");
	TCase *c = tcase_create("options");
	tcase_add_test(c, two_paths_are_enough);
	tcase_add_test(c, too_few_and_too_many_paths_are_refused);
	tcase_add_test(c, the_trace_has_areas);
	tcase_add_test(c, flags_stand_anywhere);
	tcase_add_test(c, help_and_version_need_no_paths);
	tcase_add_test(c, libfuse_gets_what_it_knows);
	tcase_add_test(c, what_fstab_has_for_others_is_dropped);
	tcase_add_test(c, unknown_options_are_refused);
	tcase_add_test(c, unsafe_options_are_refused);
	tcase_add_test(c, the_last_of_ro_and_rw_holds);
	tcase_add_test(c, an_escaped_comma_belongs_to_the_name);
	tcase_add_test(c, as_a_helper_it_takes_the_flags_of_mount);
	tcase_add_test(c, paths_become_absolute);
	tcase_add_test(c, a_path_is_within_whole_components);
	tcase_add_test(c, the_environment_is_not_believed);
	suite_add_tcase(suite, c);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
