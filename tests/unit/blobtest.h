/* SPDX-License-Identifier: MIT */
/* Shared by the tests of blobs: a blob directory, payloads, and ways to inspect and damage it.
 */
#ifndef TESTS_BLOBTEST_H
#define TESTS_BLOBTEST_H

#include "blob.h"
#include "blob_sweep.h"
#include "blobs.h"
#include "chunk.h"
#include "testdisk.h"

#include <dirent.h>
#include <limits.h>

enum { MIB = 1 << 20 };

static struct testdir dir;
static struct blobs blobs;
static struct payload payload;
static const struct disk disk = {0};

static inline void setup(void)
{
	testdir_open(&dir);
	payload_init(&payload, NULL);
	blobs_init(&blobs, &disk, dup(dir.fd));
}

static inline void teardown(void)
{
	blobs_fini(&blobs);
	payload_fini(&payload);
	testdir_close(&dir);
}

/* --- payloads, blobs and their files --- */

/* `random_percent` of the bytes are random; the rest compress well. */
static inline uint8_t *make_bytes(uint64_t seed, size_t bytes, unsigned random_percent)
{
	uint8_t *data = malloc(bytes + 1);
	uint64_t x = seed * 0x9E3779B97F4A7C15u + 1;
	ck_assert_ptr_nonnull(data);
	for (size_t i = 0; i < bytes; i++) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		data[i] = i / 64 % 100 < random_percent ? (uint8_t)(x >> 32)
							: (uint8_t)(seed + i / 4096);
	}
	return data;
}

/* Fills the payload with such bytes; the caller frees them. */
static inline uint8_t *fill(uint64_t seed, size_t bytes, unsigned random_percent)
{
	uint8_t *data = make_bytes(seed, bytes, random_percent);
	payload_reset(&payload);
	ck_assert_int_eq(payload_append(&payload, &disk, dir.fd, data, bytes), 0);
	return data;
}

static inline void put_done(char hex[65])
{
	uint8_t digest[32];
	ck_assert_int_eq(blobs_put(&blobs, &payload, COMPRESSION_LZ4, digest), 0);
	blobs_put_done(&blobs, digest);
	digest_to_hex(digest, hex);
}

static inline void put_bytes(uint64_t seed, size_t bytes, char hex[65])
{
	free(fill(seed, bytes, 10));
	put_done(hex);
}

static inline const char *blob_path(const char *hex)
{
	static char path[200];
	snprintf(path, sizeof path, "%s/%.2s/%s.lz4", dir.path, hex, hex);
	return path;
}

static inline struct stat stat_blob(const char *hex)
{
	struct stat st;
	ck_assert_int_eq(lstat(blob_path(hex), &st), 0);
	return st;
}

static inline void make_old(const char *path)
{
	const struct timespec past[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
	ck_assert_int_eq(utimensat(AT_FDCWD, path, past, AT_SYMLINK_NOFOLLOW), 0);
}

static inline void overwrite(const char *hex, uint64_t offset, const void *data, size_t bytes)
{
	int fd = open(blob_path(hex), O_RDWR | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, data, bytes, (off_t)offset), (ssize_t)bytes);
	close(fd);
}

static inline void flip(const char *hex, uint64_t offset)
{
	uint8_t byte;
	int fd = open(blob_path(hex), O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(pread(fd, &byte, 1, (off_t)offset), 1);
	close(fd);
	byte ^= 0x40;
	overwrite(hex, offset, &byte, 1);
}

static inline void parse_at(const char *hex, uint64_t offset, struct chunk *ret_chunk)
{
	uint8_t bytes[sizeof(struct chunk_header)];
	int fd = open(blob_path(hex), O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(pread(fd, bytes, sizeof bytes, (off_t)offset), sizeof bytes);
	close(fd);
	ck_assert_int_eq(chunk_parse(bytes, ret_chunk), 0);
}

/* Where chunk i of a blob begins in its file. */
static inline uint64_t chunk_at(const char *hex, int i)
{
	uint64_t at = 0;
	for (struct chunk c; i > 0; i--) {
		parse_at(hex, at, &c);
		at += chunk_stored_bytes(&c);
	}
	return at;
}

static inline struct blob *open_blob(const char *hex)
{
	struct blob *blob = NULL;
	ck_assert_int_eq(blob_open(&blobs, hex, &blob), 0);
	return blob;
}

static inline int try_open(const char *hex)
{
	struct blob *blob;
	int r = blob_open(&blobs, hex, &blob);
	if (r == 0)
		blob_close(blob);
	return r;
}

/* Reads to the end or an error, `step` bytes at a time. */
static inline int read_through(
	struct blob *blob, size_t step, const uint8_t *want, uint64_t *ret_end)
{
	uint8_t *got = malloc(step);
	uint64_t at = 0;
	size_t n = 0;
	int r;
	while ((r = blob_read(blob, at, got, step, &n)) == 0 && n) {
		ck_assert_int_eq(memcmp(got, want + at, n), 0);
		at += n;
	}
	free(got);
	*ret_end = at;
	return r;
}

static inline void check_blob(const char *hex, size_t step, const uint8_t *want, uint64_t size)
{
	uint64_t end = 0;
	struct blob *blob = open_blob(hex);
	ck_assert_uint_eq(blob_size(blob), size);
	ck_assert_int_eq(read_through(blob, step, want, &end), 0);
	ck_assert_uint_eq(end, size);
	ck_assert_int_eq(blob_verify(blob), 0);
	blob_close(blob);
}

/* Counts the names in and below the blob directory that end in `suffix`. */
static inline int count_names(const char *suffix)
{
	char path[PATH_MAX];
	int found = 0;
	DIR *root = opendir(dir.path);
	for (struct dirent *e; (e = readdir(root));) {
		size_t n = strlen(e->d_name), m = strlen(suffix);
		found += n >= m && !strcmp(e->d_name + n - m, suffix);
		snprintf(path, sizeof path, "%s/%s", dir.path, e->d_name);
		DIR *fan = e->d_name[0] == '.' ? NULL : opendir(path);
		for (struct dirent *f; fan && (f = readdir(fan));) {
			n = strlen(f->d_name);
			found += n >= m && !strcmp(f->d_name + n - m, suffix);
		}
		if (fan)
			closedir(fan);
	}
	closedir(root);
	return found;
}

static inline int make_old_one(const char *path, const struct stat *st, int flag, struct FTW *f)
{
	(void)st;
	(void)f;
	if (flag == FTW_F)
		make_old(path);
	return 0;
}

static inline void make_all_old(void)
{
	ck_assert_int_eq(nftw(dir.path, make_old_one, 16, FTW_PHYS), 0);
}

/* Callbacks that keep every blob, none, or the digest in `context`. */
static inline int keep_all(void *context, struct blob_batch *batch)
{
	(void)context;
	for (size_t i = 0; i < batch->digests.count; i++)
		blob_batch_keep(batch, batch->digests.items[i].bytes);
	return 0;
}

static inline int keep_none(void *context, struct blob_batch *batch)
{
	(void)context;
	(void)batch;
	return 0;
}

static inline int keep_one(void *context, struct blob_batch *batch)
{
	uint8_t digest[32];
	ck_assert_int_eq(digest_from_hex(context, digest), 0);
	blob_batch_keep(batch, digest);
	return 0;
}

static inline int sweep(struct blobs *on, uint64_t grace_ms,
	int (*keep_named)(void *context, struct blob_batch *batch), void *context,
	uint64_t *ret_removed)
{
	const struct blob_sweep spec = {
		.grace_ms = grace_ms,
		.temporary_grace_ms = grace_ms,
		.batch_max = 100,
		.keep_named = keep_named,
		.context = context,
	};
	return blob_sweep(on, &spec, ret_removed);
}

static inline TCase *add_case(Suite *suite, const char *name)
{
	TCase *tcase = tcase_create(name);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 300);
	suite_add_tcase(suite, tcase);
	return tcase;
}

static inline int run_suite(Suite *suite)
{
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
