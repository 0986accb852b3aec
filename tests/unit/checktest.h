/* SPDX-License-Identifier: MIT */
/* What tests of the checker share: a small store, ways to break it, and what the check then says.
 */
#ifndef TESTS_CHECKTEST_H
#define TESTS_CHECKTEST_H

#include "testdisk.h"

#include "buf.h"
#include "tidier.h"

#include "streamfs/check.h"
#include "streamfs/writer.h"

#include <dirent.h>
#include <fts.h>
#include <sys/wait.h>
#include <xxhash.h>

enum { PATH_BYTES = 512 };

struct fixture {
	struct testdir dir;
	char store[80], copy[80];
	struct buf said; /* the lines of the last check */
	unsigned lines, notes;
	uint64_t progress_done, progress_total;
	struct sfs_check_summary summary;
	struct sfs_diag diag;
};

static inline void fixture_open(struct fixture *f)
{
	*f = (struct fixture){.lines = 0};
	testdir_open(&f->dir);
	snprintf(f->store, sizeof f->store, "%s/store", f->dir.path);
	snprintf(f->copy, sizeof f->copy, "%s/copy", f->dir.path);
}

static inline void fixture_close(struct fixture *f)
{
	buf_fini(&f->said);
	testdir_close(&f->dir);
}

/* Runs a line of shell with $1 and $2. */
static inline void shell(const char *script, const char *a, const char *b)
{
	int status = -1;
	pid_t child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		execl("/bin/sh", "sh", "-ec", script, "sh", a, b, (char *)NULL);
		_exit(127);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_msg(status == 0, "%s", script);
}

/* The store as it was built, again. */
static inline void keep(const struct fixture *f)
{
	shell("rm -rf \"$2\"; cp -a \"$1\" \"$2\"", f->store, f->copy);
}

static inline void restore(const struct fixture *f)
{
	shell("rm -rf \"$1\"; cp -a \"$2\" \"$1\"", f->store, f->copy);
}

/* ---- building ---- */

static inline struct sfs_store *open_store(const struct fixture *f, uint64_t segment_bytes)
{
	struct sfs_store_options options = {.segment_bytes = segment_bytes};
	struct sfs_store *store;
	ck_assert_int_eq(sfs_store_open(f->store, &options, NULL, &store), 0);
	return store;
}

static inline void make_stream(struct sfs_store *store, const char *name, const char *config)
{
	const struct sfs_owner owner = {.mode = 0755};
	struct sfs_stream *stream;
	ck_assert_int_eq(sfs_stream_create(store, name, &owner, &stream), 0);
	ck_assert_int_eq(sfs_stream_patch_config(stream, config, strlen(config), NULL), 0);
	sfs_stream_unref(stream);
}

/* Appends one write to a shard. */
static inline void append(
	struct sfs_store *store, const char *name, uint32_t number, const char *text, size_t bytes)
{
	struct sfs_stream *stream;
	struct sfs_shard *shard;
	struct sfs_writer *writer;
	size_t taken;
	ck_assert_int_eq(sfs_stream_lookup(store, name, &stream), 0);
	ck_assert_int_eq(sfs_stream_shard(stream, number, &shard), 0);
	ck_assert_int_eq(sfs_writer_open_shard(shard, &writer), 0);
	ck_assert_int_eq(sfs_writer_write(writer, text, bytes, &taken), 0);
	ck_assert_uint_eq(taken, bytes);
	ck_assert_int_eq(sfs_writer_close(writer), 0);
	sfs_shard_unref(shard);
	sfs_stream_unref(stream);
}

static inline void append_line(
	struct sfs_store *store, const char *name, uint32_t number, char byte, size_t bytes)
{
	char *line = malloc(bytes);
	ck_assert_ptr_nonnull(line);
	memset(line, byte, bytes);
	line[bytes - 1] = '\n';
	append(store, name, number, line, bytes);
	free(line);
}

/*
 * Stream a: two shards, the first of three sealed segments (merged, with indexes) and one that
 * grows, the second with two claim checks. Stream b: one small segment with keys. Stream c: empty.
 */
static inline void build(const struct fixture *f)
{
	enum { SEGMENT_BYTES = 400, LINES = 35, LINE_BYTES = 40 };
	struct sfs_store *store = open_store(f, SEGMENT_BYTES);
	make_stream(store, "a", "{\"shards\":2,\"large_records\":{\"threshold_bytes\":1024}}");
	make_stream(store, "b", "{}");
	make_stream(store, "c", "{}");
	for (int i = 0; i < LINES; i++)
		append_line(store, "a", 0, (char)('a' + i % 26), LINE_BYTES);
	append_line(store, "a", 1, 'X', 5000);
	append_line(store, "a", 1, 'Y', 6000);
	append(store, "b", 0, "one\ntwo\nthree\n", 14);
	append(store, "b", 0, "four\n", 5);
	tidier_drain(store->tidier);
	ck_assert_int_eq(sfs_store_close(store), 0);
}

/* ---- checking ---- */

static inline void on_finding(void *context, const char *line, bool repaired)
{
	struct fixture *f = context;
	f->lines++;
	f->notes += !strncmp(line, "note: ", 6);
	ck_assert_int_eq(buf_printf(&f->said, "%s%s\n", line, repaired ? " (repaired)" : ""), 0);
}

static inline void on_progress(void *context, uint64_t done_bytes, uint64_t total_bytes)
{
	struct fixture *f = context;
	ck_assert_uint_ge(done_bytes, f->progress_done);
	ck_assert_uint_le(done_bytes, total_bytes);
	f->progress_done = done_bytes;
	f->progress_total = total_bytes;
}

static inline int run_check(struct fixture *f, bool repair, const char *blob_dir)
{
	const struct sfs_check_options options = {
		.repair = repair,
		.blob_dir = blob_dir,
		.finding = on_finding,
		.progress = on_progress,
		.context = f,
	};
	f->said.size = f->lines = f->notes = 0;
	f->progress_done = f->progress_total = 0;
	f->summary = (struct sfs_check_summary){.streams = 0};
	int r = sfs_store_check(f->store, &options, &f->diag, &f->summary);
	ck_assert_int_eq(buf_append(&f->said, "", 1), 0);
	if (r == 0) /* each line is counted, or a note */
		ck_assert_uint_eq(f->lines, f->notes + f->summary.repaired + f->summary.unrepaired);
	return r;
}

static inline const char *said(const struct fixture *f)
{
	return (const char *)f->said.data;
}

#define ck_assert_clean(f)                                                                         \
	do {                                                                                       \
		ck_assert_int_eq(run_check(f, false, NULL), 0);                                    \
		ck_assert_msg(!(f)->lines, "%s", said(f));                                         \
	} while (0)

#define ck_assert_said(f, words) ck_assert_msg(strstr(said(f), words), "%s: %s", words, said(f))

/* A hash of every name, kind, size, time and byte below a directory. */
static inline uint64_t tree_hash(const char *path)
{
	char *const roots[] = {(char *)(uintptr_t)path, NULL};
	FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	ck_assert_ptr_nonnull(fts);
	uint64_t sum = 0;
	FTSENT *e;
	while ((e = fts_read(fts))) {
		const struct stat *st = e->fts_statp;
		if (e->fts_info == FTS_DP)
			continue;
		uint64_t hash = XXH3_64bits(e->fts_path, e->fts_pathlen);
		uint64_t facts[] = {st->st_mode, (uint64_t)st->st_size,
			(uint64_t)st->st_mtim.tv_sec, (uint64_t)st->st_mtim.tv_nsec, st->st_ino};
		hash = XXH3_64bits_withSeed(facts, sizeof facts, hash);
		if (S_ISREG(st->st_mode)) {
			char *data = malloc((size_t)st->st_size + 1);
			int fd = open(e->fts_path, O_RDONLY);
			ck_assert_int_eq(read(fd, data, (size_t)st->st_size), st->st_size);
			hash = XXH3_64bits_withSeed(data, (size_t)st->st_size, hash);
			close(fd);
			free(data);
		}
		sum += hash;
	}
	fts_close(fts);
	return sum;
}

/* ---- breaking ---- */

static inline char *path_of(const struct fixture *f, const char *name, char path[PATH_BYTES])
{
	int n = snprintf(path, PATH_BYTES, "%s/%s", f->store, name);
	ck_assert_int_lt(n, PATH_BYTES);
	return path;
}

static inline off_t size_of(const struct fixture *f, const char *name)
{
	char path[PATH_BYTES];
	struct stat st;
	ck_assert_int_eq(lstat(path_of(f, name, path), &st), 0);
	return st.st_size;
}

static inline bool exists(const struct fixture *f, const char *name)
{
	char path[PATH_BYTES];
	struct stat st;
	return lstat(path_of(f, name, path), &st) == 0;
}

static inline void flip(const struct fixture *f, const char *name, off_t offset)
{
	char path[PATH_BYTES];
	uint8_t byte;
	int fd = open(path_of(f, name, path), O_RDWR);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pread(fd, &byte, 1, offset), 1);
	byte ^= 0x10;
	ck_assert_int_eq(pwrite(fd, &byte, 1, offset), 1);
	close(fd);
}

static inline void write_at_end(
	const struct fixture *f, const char *name, const void *data, size_t bytes)
{
	char path[PATH_BYTES];
	int fd = open(path_of(f, name, path), O_WRONLY | O_APPEND | O_CREAT, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, data, bytes), (ssize_t)bytes);
	close(fd);
}

static inline void drop(const struct fixture *f, const char *name)
{
	char path[PATH_BYTES];
	ck_assert_int_eq(remove(path_of(f, name, path)), 0);
}

/* The n-th name with this suffix in a directory, as a path below the store. */
static inline void nth_file(const struct fixture *f, const char *directory, const char *suffix,
	int n, char found[PATH_BYTES])
{
	char path[PATH_BYTES];
	struct dirent **list;
	int count = scandir(path_of(f, directory, path), &list, NULL, alphasort), seen = 0;
	found[0] = 0;
	for (int i = 0; i < count; i++) {
		const char *name = list[i]->d_name;
		size_t a = strlen(name), b = strlen(suffix);
		if (a > b && !strcmp(name + a - b, suffix) && seen++ == n)
			snprintf(found, PATH_BYTES, "%.200s/%.250s", directory, name);
		free(list[i]);
	}
	ck_assert_int_ge(count, 0);
	free(list);
	ck_assert_msg(found[0], "no %s number %d in %s", suffix, n, directory);
}

/* A blob of stream a. */
static inline void any_blob(const struct fixture *f, char found[PATH_BYTES])
{
	char path[PATH_BYTES];
	struct dirent **list;
	int count = scandir(path_of(f, "streams/a/blobs", path), &list, NULL, alphasort);
	ck_assert_int_gt(count, 2);
	snprintf(path, sizeof path, "streams/a/blobs/%.2s", list[2]->d_name);
	while (count--)
		free(list[count]);
	free(list);
	nth_file(f, path, ".lz4", 0, found);
}

#endif
