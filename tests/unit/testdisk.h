/* SPDX-License-Identifier: MIT */
/* What tests of the store share: a directory of their own, and a disk that fails on demand. */
#ifndef TESTS_TESTDISK_H
#define TESTS_TESTDISK_H

#include "disk.h"
#include "stride.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct testdir {
	char path[64];
	int fd;
};

static inline void testdir_open(struct testdir *t)
{
	snprintf(t->path, sizeof t->path, "%s/streamfs-unit-XXXXXX",
		access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(t->path));
	t->fd = open(t->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(t->fd, 0);
}

static inline int testdir_remove_one(
	const char *path, const struct stat *st, int flag, struct FTW *f)
{
	(void)st;
	(void)flag;
	(void)f;
	return remove(path);
}

static inline void testdir_close(struct testdir *t)
{
	close(t->fd);
	ck_assert_int_eq(nftw(t->path, testdir_remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

/*
 * Fails call `fail_at` (counted from 1; 0: none), and every later one where `lasting`. With `only`
 * at least 0 it counts calls of that enum disk_op alone.
 */
struct fault {
	struct disk_hook hook; /* first */
	atomic_uint calls;
	/* Atomic: a test may change them while threads of the store are at work. */
	atomic_uint fail_at;
	atomic_bool lasting;
	atomic_int error;  /* -errno */
	atomic_size_t cut; /* bytes that a failing write still writes */
	atomic_int only;
	atomic_int hit_op; /* enum disk_op of the first call that failed; -1: none did */
};

static inline int fault_before(struct disk_hook *hook, const struct disk_call *call, size_t *limit)
{
	struct fault *f = (struct fault *)hook;
	if (f->only >= 0 && (int)call->op != f->only)
		return 0;
	unsigned n = atomic_fetch_add(&f->calls, 1) + 1;
	if (!f->fail_at || n < f->fail_at || (n > f->fail_at && !f->lasting))
		return 0;
	if (n == f->fail_at)
		f->hit_op = (int)call->op;
	*limit = call->bytes < f->cut ? call->bytes : f->cut;
	return f->error;
}

static inline void fault_init(struct fault *f, unsigned fail_at, int error)
{
	*f = (struct fault){.hook = {.before = fault_before},
		.fail_at = fail_at,
		.error = error,
		.only = -1,
		.hit_op = -1};
}

/* Whether the call that was to fail was made at all. */
static inline bool fault_hit(const struct fault *f)
{
	return f->fail_at && f->calls >= f->fail_at;
}

#endif
