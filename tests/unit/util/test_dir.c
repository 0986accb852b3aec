/* SPDX-License-Identifier: MIT */
/* Reading the names in a directory, and its scoped release. */
#include "dir.h"

#include "cleanup.h"
#include "disk.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct disk disk = {0};
static char path[] = "/tmp/streamfs-dir.XXXXXX";
static int top;

static void setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(path));
	top = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(top, 0);
	ck_assert_int_eq(disk_mkdir(&disk, top, "empty"), 0);
	ck_assert_int_eq(disk_mkdir(&disk, top, "full"), 0);
	ck_assert_int_eq(disk_replace(&disk, top, "full/a", "", 0), 0);
	ck_assert_int_eq(disk_replace(&disk, top, "full/.b", "", 0), 0);
	ck_assert_int_eq(disk_replace(&disk, top, "full/...", "", 0), 0);
	ck_assert_int_eq(symlinkat("full", top, "link"), 0);
}

static void teardown(void)
{
	disk_unlink(&disk, top, "link");
	disk_unlink(&disk, top, "full/a");
	disk_unlink(&disk, top, "full/.b");
	disk_unlink(&disk, top, "full/...");
	disk_rmdir(&disk, top, "full");
	disk_rmdir(&disk, top, "empty");
	close(top);
	rmdir(path);
}

/* Counts the names, and reports whether one is among them. */
static size_t count_names(const char *name, const char *wanted, bool *ret_found)
{
	_cleanup_closedir_ DIR *dir = NULL;
	size_t count = 0;
	const char *found;
	*ret_found = false;
	int r = dir_open(&disk, top, name, &dir);
	while (r == 0 && (r = dir_next(dir, &found)) == 0 && found) {
		count++;
		*ret_found |= strcmp(found, wanted) == 0;
	}
	ck_assert_int_eq(r, 0);
	return count;
}

START_TEST(names_come_without_the_dots)
{
	bool found;
	ck_assert_uint_eq(count_names("full", "a", &found), 3);
	ck_assert(found);
	ck_assert_uint_eq(count_names("full", ".b", &found), 3);
	ck_assert(found);
	ck_assert_uint_eq(count_names("full", "...", &found), 3);
	ck_assert(found);
	ck_assert_uint_eq(count_names(".", "full", &found), 3);
	ck_assert(found);
	ck_assert_uint_eq(count_names("empty", "", &found), 0);
}
END_TEST

START_TEST(what_is_no_directory_below_is_refused)
{
	DIR *dir = NULL;
	ck_assert_int_eq(dir_open(&disk, top, "none", &dir), -ENOENT);
	ck_assert_int_eq(dir_open(&disk, top, "full/a", &dir), -ENOTDIR);
	ck_assert_int_eq(dir_open(&disk, top, "..", &dir), -EXDEV);
	int r = dir_open(&disk, top, "link", &dir);
	ck_assert(r == -ELOOP || r == -ENOTDIR);
	ck_assert_ptr_null(dir);
}
END_TEST

static int refuse(struct disk_hook *hook, const struct disk_call *call, size_t *limit)
{
	(void)hook;
	(void)limit;
	return call->op == DISK_OPEN ? -EMFILE : 0;
}

START_TEST(opening_passes_the_seam)
{
	struct disk_hook hook = {.before = refuse};
	struct disk hooked = {.hook = &hook};
	DIR *dir = NULL;
	ck_assert_int_eq(dir_open(&hooked, top, "full", &dir), -EMFILE);
	ck_assert_ptr_null(dir);
}
END_TEST

START_TEST(a_failing_read_is_no_end)
{
	DIR *dir = NULL;
	const char *name = "untouched";
	ck_assert_int_eq(dir_open(&disk, top, "full", &dir), 0);
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(dup2(null, dirfd(dir)), 0);
	close(null);
	ck_assert_int_eq(dir_next(dir, &name), -ENOTDIR);
	ck_assert_str_eq(name, "untouched");
	closedir(dir);
}
END_TEST

static FILE *open_scoped(const char *name, int *ret_fd)
{
	_cleanup_fclose_ FILE *file = fopen(name, "re");
	*ret_fd = file ? fileno(file) : -1;
	errno = ENXIO;
	return NULL;
}

START_TEST(a_file_is_closed_with_its_scope)
{
	int fd;
	ck_assert_ptr_null(open_scoped("/dev/null", &fd));
	ck_assert_int_eq(errno, ENXIO);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_lt(fcntl(fd, F_GETFD), 0);
	ck_assert_ptr_null(open_scoped("/dev/null/none", &fd));
	ck_assert_int_eq(fd, -1);
}
END_TEST

static void hold(pthread_rwlock_t *lock, bool exclusive)
{
	if (exclusive) {
		SCOPED_WRLOCK(lock);
		ck_assert_int_eq(pthread_rwlock_tryrdlock(lock), EBUSY);
	} else {
		SCOPED_RDLOCK(lock);
		ck_assert_int_eq(pthread_rwlock_trywrlock(lock), EBUSY);
		ck_assert_int_eq(pthread_rwlock_tryrdlock(lock), 0);
		pthread_rwlock_unlock(lock);
	}
	ck_assert_int_eq(pthread_rwlock_trywrlock(lock), 0);
	pthread_rwlock_unlock(lock);
}

START_TEST(a_rwlock_is_held_to_the_end_of_the_scope)
{
	pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
	hold(&lock, false);
	hold(&lock, true);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("dir");
	TCase *tcase = tcase_create("dir");
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, names_come_without_the_dots);
	tcase_add_test(tcase, what_is_no_directory_below_is_refused);
	tcase_add_test(tcase, opening_passes_the_seam);
	tcase_add_test(tcase, a_failing_read_is_no_end);
	tcase_add_test(tcase, a_file_is_closed_with_its_scope);
	tcase_add_test(tcase, a_rwlock_is_held_to_the_end_of_the_scope);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
