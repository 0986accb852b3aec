/* SPDX-License-Identifier: MIT */
/*
 * What the tests of shards share: a store in a directory of its own with one stream "orders",
 * records to put in, and ways to look at its files and to harm them. One store at a time.
 */
#ifndef TESTS_STORETEST_H
#define TESTS_STORETEST_H

#include "cleanup.h"
#include "shard.h"
#include "store.h"
#include "stream.h"
#include "syncer.h"
#include "testdisk.h"
#include "tidier.h"

#include "streamfs/blob.h"
#include "streamfs/upload.h"
#include "streamfs/writer.h"

#include <dirent.h>
#include <inttypes.h>
#include <sys/wait.h>

#define SHARD_DIR "streams/orders/shard-0000"

static struct testdir dir;
static struct sfs_store_options options; /* for open_store() */
static struct sfs_store *store;
static struct sfs_stream *stream;
static struct sfs_shard *shard;

/* What the store reported since the last open. */
static struct {
	pthread_mutex_t lock;
	atomic_uint errors, infos; /* tests read them while the store works */
	char text[16384];
} reports = {.lock = PTHREAD_MUTEX_INITIALIZER};

static inline void note_report(void *context, enum sfs_severity severity, const char *line)
{
	(void)context;
	SCOPED_LOCK(&reports.lock);
	size_t used = strlen(reports.text);
	reports.errors += severity == SFS_ERROR;
	reports.infos += severity == SFS_INFO;
	snprintf(reports.text + used, sizeof reports.text - used, "%s\n", line);
}

static inline bool reported(const char *what)
{
	SCOPED_LOCK(&reports.lock);
	return strstr(reports.text, what) != NULL;
}

static inline int try_open_store(void)
{
	struct sfs_diag diag;
	options.report = note_report;
	reports.errors = reports.infos = 0;
	reports.text[0] = 0;
	int r = sfs_store_open(dir.path, &options, &diag, &store);
	if (r < 0)
		note_report(NULL, SFS_ERROR, diag.text);
	return r;
}

static inline void configure(const char *json)
{
	struct sfs_diag diag = {0};
	int r = sfs_stream_patch_config(stream, json, strlen(json), &diag);
	ck_assert_msg(r == 0, "%s: %s", json, diag.text);
}

/* Opens the store and the stream; not the shard. A new stream is only synced when asked to. */
static inline void open_store(void)
{
	static const struct sfs_owner owner = {0755, 0, 0};
	ck_assert_int_eq(try_open_store(), 0);
	int r = sfs_stream_lookup(store, "orders", &stream);
	if (r == -ENOENT) {
		ck_assert_int_eq(sfs_stream_create(store, "orders", &owner, &stream), 0);
		configure("{\"flush_interval_ms\":3600000}");
		r = 0;
	}
	ck_assert_int_eq(r, 0);
}

static inline void open_shard(void)
{
	ck_assert_int_eq(sfs_stream_shard(stream, 0, &shard), 0);
}

static inline void open_all(void)
{
	open_store();
	open_shard();
}

static inline int close_store(void)
{
	sfs_shard_unref(shard);
	sfs_stream_unref(stream);
	shard = NULL;
	stream = NULL;
	int r = sfs_store_close(store);
	store = NULL;
	return r;
}

static inline void close_all(void)
{
	ck_assert_int_eq(close_store(), 0);
}

static inline void reopen(void)
{
	close_all();
	open_all();
}

static inline void setup(void)
{
	options = (struct sfs_store_options){0};
	testdir_open(&dir);
}

static inline void teardown(void)
{
	if (store)
		(void)close_store();
	testdir_close(&dir);
}

/*
 * Runs `work` in a process that then dies at once: nothing is closed, nothing synced. The store
 * must not be open here.
 */
static inline void in_killed_process(void (*work)(void))
{
	ck_assert_ptr_null(store);
	pid_t child = fork();
	ck_assert_int_ge(child, 0);
	if (!child) {
		work();
		_exit(99);
	}
	int status;
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(WEXITSTATUS(status), 99);
}

/* --- records --- */

/* Line i of a run of lines, newline included; every i has one of its own. */
static inline size_t make_line(char *line, size_t room, unsigned i, size_t pad)
{
	int n = snprintf(line, room, "record %08u ", i);
	size_t bytes = (size_t)n;
	for (uint64_t x = i * 0x9E3779B97F4A7C15u + 1; bytes < (size_t)n + pad; bytes++) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		line[bytes] = (char)('a' + x % 26);
	}
	line[bytes++] = '\n';
	return bytes;
}

static inline void add_lines(struct buf *text, unsigned first, unsigned count, size_t pad)
{
	for (unsigned i = first; i < first + count; i++) {
		ck_assert_int_eq(buf_reserve(text, pad + 32), 0);
		text->size += make_line((char *)text->data + text->size, pad + 32, i, pad);
	}
}

/* One write of `bytes` that must be taken whole. */
static inline void append_bytes(const void *data, size_t bytes)
{
	struct sfs_writer *writer;
	size_t taken;
	ck_assert_int_eq(sfs_writer_open_shard(shard, &writer), 0);
	ck_assert_int_eq(sfs_writer_write(writer, data, bytes, &taken), 0);
	ck_assert_uint_eq(taken, bytes);
	ck_assert_int_eq(sfs_writer_close(writer), 0);
}

static inline int try_append(const char *line)
{
	struct sfs_writer *writer;
	size_t taken;
	int r = sfs_writer_open_shard(shard, &writer);
	if (r < 0)
		return r;
	r = sfs_writer_write(writer, line, strlen(line), &taken);
	int end = sfs_writer_close(writer);
	return r < 0 ? r : end;
}

/* `count` appends of one line each, so that each is a chunk. */
static inline void append_lines_one_by_one(unsigned first, unsigned count, size_t pad)
{
	char *line = malloc(pad + 32);
	for (unsigned i = first; i < first + count; i++)
		append_bytes(line, make_line(line, pad + 32, i, pad));
	free(line);
}

static inline void sync_shard_now(void)
{
	ck_assert_int_eq(sfs_shard_sync(shard), 0);
}

/* --- what a reader sees --- */

/* Reads [from, to), which must all be there. */
static inline void check_range(uint64_t from, uint64_t to, const void *want, size_t step)
{
	uint8_t *got = malloc(step);
	for (uint64_t at = from; at < to;) {
		size_t ask = to - at < step ? (size_t)(to - at) : step, n = 0;
		int r = sfs_shard_read(shard, at, got, ask, &n);
		ck_assert_msg(
			r == 0 && n == ask, "offset %" PRIu64 ": %d, %zu of %zu", at, r, n, ask);
		ck_assert_msg(!memcmp(got, (const uint8_t *)want + (at - from), n),
			"text at %" PRIu64 " differs", at);
		at += n;
	}
	free(got);
}

/* The shard's text is exactly this, however it is read. */
static inline void check_text(const void *want, size_t bytes)
{
	ck_assert_uint_eq(sfs_shard_size(shard), bytes);
	check_range(0, bytes, want, 1 << 20);
	check_range(0, bytes, want, 4093);
	size_t n = 99;
	char byte;
	ck_assert_int_eq(sfs_shard_read(shard, bytes, &byte, 1, &n), 0);
	ck_assert_uint_eq(n, 0);
}

static inline void check_lines(unsigned count, size_t pad)
{
	struct buf want = {0};
	add_lines(&want, 0, count, pad);
	check_text(want.data, want.size);
	struct sfs_shard_info info;
	sfs_shard_info(shard, &info);
	ck_assert_uint_eq(info.next_sequence, count);
	ck_assert_uint_eq(info.size_bytes, want.size);
	buf_fini(&want);
}

static inline int read_one(uint64_t offset)
{
	char byte;
	size_t n = 0;
	int r = sfs_shard_read(shard, offset, &byte, 1, &n);
	return r < 0 ? r : (int)n;
}

static inline uint64_t synced_offset(void)
{
	struct sfs_shard_info info;
	sfs_shard_info(shard, &info);
	return info.synced_offset;
}

/* --- the files below --- */

static inline const char *file_path(const char *name)
{
	static char path[4][400];
	static unsigned turn;
	char *p = path[turn++ % 4];
	snprintf(p, sizeof path[0], "%s/" SHARD_DIR "/%s", dir.path, name);
	return p;
}

static inline const char *segment_file(uint64_t base)
{
	char name[64];
	snprintf(name, sizeof name, "%020" PRIu64 ".lz4", base);
	return file_path(name);
}

static inline const char *index_file(uint64_t base)
{
	char name[64];
	snprintf(name, sizeof name, "%020" PRIu64 ".idx", base);
	return file_path(name);
}

static inline bool exists(const char *path)
{
	struct stat st;
	return lstat(path, &st) == 0;
}

static inline uint64_t file_size(const char *path)
{
	struct stat st;
	ck_assert_msg(stat(path, &st) == 0, "%s: %s", path, strerror(errno));
	return (uint64_t)st.st_size;
}

static inline void put_at(const char *path, uint64_t offset, const void *data, size_t bytes)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(pwrite(fd, data, bytes, (off_t)offset), (ssize_t)bytes);
	close(fd);
}

static inline uint8_t *slurp(const char *path, size_t *ret_bytes)
{
	size_t bytes = file_size(path);
	uint8_t *data = malloc(bytes + 1);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(read(fd, data, bytes), (ssize_t)bytes);
	close(fd);
	*ret_bytes = bytes;
	return data;
}

static inline void flip_byte(const char *path, uint64_t offset)
{
	size_t bytes;
	uint8_t *data = slurp(path, &bytes);
	ck_assert_uint_lt(offset, bytes);
	data[offset] ^= 0x40;
	put_at(path, offset, data + offset, 1);
	free(data);
}

static inline void cut_file(const char *path, uint64_t bytes)
{
	ck_assert_int_eq(truncate(path, (off_t)bytes), 0);
}

/* Base offsets of the segments in the shard's directory, rising. */
static inline size_t list_bases(uint64_t *bases, size_t room)
{
	DIR *listing = opendir(file_path(""));
	size_t count = 0;
	for (struct dirent *e; listing && (e = readdir(listing));) {
		uint64_t base;
		if (segment_parse_name(e->d_name, &base) < 0)
			continue;
		ck_assert_uint_lt(count, room);
		size_t i = count++;
		for (; i && bases[i - 1] > base; i--)
			bases[i] = bases[i - 1];
		bases[i] = base;
	}
	closedir(listing);
	return count;
}

/* Names in the shard's directory that contain `part`; the last of them in `name`. */
static inline unsigned count_files(const char *part, char name[256])
{
	DIR *listing = opendir(file_path(""));
	unsigned count = 0;
	for (struct dirent *e; listing && (e = readdir(listing));)
		if (strstr(e->d_name, part)) {
			count++;
			if (name)
				snprintf(name, 256, "%s", e->d_name);
		}
	closedir(listing);
	return count;
}

/* A chunk of a segment file and where it stands. */
struct placed {
	struct chunk chunk;
	uint64_t at;
};

static inline size_t list_chunks(const char *path, struct placed *chunks, size_t room)
{
	size_t bytes, count = 0;
	uint8_t *data = slurp(path, &bytes);
	for (uint64_t at = 0; at < bytes;) {
		ck_assert_uint_lt(count, room);
		ck_assert_uint_ge(bytes - at, sizeof(struct chunk_header));
		ck_assert_int_eq(chunk_parse(data + at, &chunks[count].chunk), 0);
		chunks[count].at = at;
		at += chunk_stored_bytes(&chunks[count++].chunk);
	}
	free(data);
	return count;
}

/* --- running --- */

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
