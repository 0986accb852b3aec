/* SPDX-License-Identifier: MIT */
/*
 * A day in the life of a store, for tests that let one of its calls of the disk fail, be cut short,
 * or be the last. What was acknowledged is there, in the same process and after opening the store
 * anew; what was refused is not.
 */
#ifndef TESTS_DAYTEST_H
#define TESTS_DAYTEST_H

#include "storetest.h"

#include <malloc.h>
#include <sha2.h>
#include <sys/mman.h>

enum {
	SHARED_BYTES = 2 << 20,
	LINES_MAX = 256, /* of the keyed stream */
	PAD = 60,
};

/*
 * What the scenario was told so far. Lies in memory that a killed child leaves to its parent. At
 * any moment there is at most one append that is neither acknowledged nor refused.
 */
struct model {
	uint64_t acked_bytes;  /* of orders' text */
	uint64_t trying_bytes; /* behind them, of an append that was begun */
	uint64_t synced_bytes;
	unsigned acked_lines; /* of "keyed": numbers below LINES_MAX; all of a call or some */
	bool acked_line[LINES_MAX], tried_line[LINES_MAX];
	bool created, renamed, removed, trying_create, trying_rename, trying_remove;
	bool failed_sync, failed, shard_failed;
	unsigned steps;
	uint8_t digest[32]; /* of the claimed payload, when it was acknowledged */
	bool claimed;
	uint8_t text[SHARED_BYTES - 4096];
};

static struct model *m;
static struct sfs_stream *keyed;
static const struct sfs_owner owner = {0755, 0, 0};

static inline const char *orders_name(void)
{
	return m->renamed ? "orders-old" : "orders";
}

/* --- steps; each notes what it is told --- */

static inline void step(int r)
{
	m->steps++;
	m->failed |= r < 0;
}

static inline void create(void)
{
	m->trying_create = true;
	int r = sfs_stream_create(store, "orders", &owner, &stream);
	m->created = r == 0;
	m->trying_create = r < 0; /* the disk failed: it may be there or not */
	if (r == 0)
		r = sfs_stream_shard(stream, 0, &shard);
	step(r);
}

/* What an acknowledged claim check looks like in the shard. */
static inline size_t claim_line(const void *data, size_t bytes, char line[256])
{
	char hex[65];
	SHA2_CTX sha;
	SHA256Init(&sha);
	SHA256Update(&sha, data, bytes);
	SHA256Final(m->digest, &sha);
	digest_to_hex(m->digest, hex);
	return (size_t)snprintf(line, 256,
		"{\"claim_check\":{\"sha256\":\"%s\",\"bytes\":%zu,\"path\":\"blobs/%s\"}}\n", hex,
		bytes, hex);
}

/* Appends `data` as one write, of which `shown` is what the shard shows. */
static inline int append_shown(
	const void *data, size_t bytes, const void *shown, size_t shown_bytes)
{
	struct sfs_writer *writer;
	size_t taken = 0;
	if (!shard)
		return -ENOENT;
	memcpy(m->text + m->acked_bytes, shown, shown_bytes);
	m->trying_bytes = shown_bytes;
	int r = sfs_writer_open_shard(shard, &writer);
	if (r < 0)
		return r;
	r = sfs_writer_write(writer, data, bytes, &taken);
	if (r == 0) {
		ck_assert_uint_eq(taken, bytes);
		m->acked_bytes += shown_bytes;
		m->trying_bytes = 0;
	}
	ck_assert_int_eq(sfs_writer_close(writer), 0);
	return r;
}

static inline void append_line(unsigned i)
{
	char line[128];
	size_t bytes = make_line(line, sizeof line, i, PAD);
	step(append_shown(line, bytes, line, bytes));
}

static inline void append_bulk(unsigned first, unsigned count)
{
	struct buf text = {0};
	add_lines(&text, first, count, PAD);
	step(append_shown(text.data, text.size, text.data, text.size));
	buf_fini(&text);
}

enum { LONG_BYTES = (1 << 20) + 4567, CLAIM_BYTES = 70001 };

/* A line that takes many chunks. It comes in pieces, as it does from the kernel. */
static inline void append_long(void)
{
	struct sfs_writer *writer;
	uint8_t *line = m->text + m->acked_bytes;
	size_t taken;
	if (!shard) {
		step(-ENOENT);
		return;
	}
	for (size_t i = 0; i < LONG_BYTES; i++)
		line[i] = (uint8_t)('A' + i * 7 % 26 + (i >> 16) % 3);
	line[LONG_BYTES - 1] = '\n';
	m->trying_bytes = LONG_BYTES;
	int r = sfs_writer_open_shard(shard, &writer);
	for (size_t at = 0; r == 0 && at < LONG_BYTES;) {
		size_t piece = LONG_BYTES - at < 1 << 20 ? LONG_BYTES - at : 1 << 20;
		r = sfs_writer_write(writer, line + at, piece, &taken);
		if (r < 0) {
			/* A program would end here with the line unfinished. */
			step(r);
			r = sfs_writer_end(writer);
			m->trying_bytes = r == 0 ? 0 : LONG_BYTES;
			if (r == 0 && at) {
				line[at] = '\n';
				m->acked_bytes += at + 1;
			}
			(void)sfs_writer_close(writer);
			return;
		}
		ck_assert_uint_eq(taken, piece);
		at += taken;
	}
	step(r);
	if (r < 0)
		return;
	m->acked_bytes += LONG_BYTES;
	m->trying_bytes = 0;
	ck_assert_int_eq(sfs_writer_close(writer), 0);
}

static inline void append_claim(void)
{
	char *data = malloc(CLAIM_BYTES + 1), line[256];
	for (size_t i = 0; i < CLAIM_BYTES; i++)
		data[i] = (char)('a' + i * i % 23);
	data[CLAIM_BYTES] = '\n';
	size_t line_bytes = claim_line(data, CLAIM_BYTES, line);
	int r = append_shown(data, CLAIM_BYTES + 1, line, line_bytes);
	m->claimed = r == 0;
	step(r);
	free(data);
}

static inline void sync_orders(void)
{
	int r = shard ? sfs_shard_sync(shard) : -ENOENT;
	if (r == 0)
		m->synced_bytes = m->acked_bytes;
	m->failed_sync |= r == -EIO;
	step(r);
}

static inline bool patch(struct sfs_stream *of, const char *json)
{
	struct sfs_diag diag;
	int r = of ? sfs_stream_patch_config(of, json, strlen(json), &diag) : -ENOENT;
	step(r);
	return r == 0;
}

static inline void make_keyed(void)
{
	int r = sfs_stream_create(store, "keyed", &owner, &keyed);
	if (r < 0)
		keyed = NULL;
	step(r);
	patch(keyed, "{\"shards\":3,\"key\":{\"field\":2,\"separator\":\" \"},"
		     "\"flush_interval_ms\":3600000}");
}

/* Some of them may be there when it fails: those of shards that did not. */
static inline void put_keyed(unsigned first, unsigned count)
{
	struct buf text = {0};
	struct sfs_writer *writer;
	size_t taken;
	add_lines(&text, first, count, PAD);
	for (unsigned i = first; i < first + count; i++)
		m->tried_line[i] = true;
	int r = keyed ? sfs_writer_open_put(keyed, &writer) : -ENOENT;
	if (r == 0) {
		r = sfs_writer_write(writer, text.data, text.size, &taken);
		for (unsigned i = first; r == 0 && i < first + count; i++)
			m->acked_line[i] = true;
		m->acked_lines += r == 0 ? count : 0;
		if (r == 0)
			r = sfs_writer_sync_wait(writer);
		(void)sfs_writer_close(writer);
	}
	buf_fini(&text);
	step(r);
}

static inline void rename_orders(void)
{
	m->trying_rename = true;
	int r = m->created ? sfs_stream_rename(store, "orders", "orders-old") : -ENOENT;
	if (r == 0) {
		m->renamed = true;
		m->trying_rename = false;
	}
	step(r);
}

static inline void create_and_remove(void)
{
	struct sfs_stream *brief;
	int r = sfs_stream_create(store, "brief", &owner, &brief);
	step(r);
	if (r < 0)
		return;
	sfs_stream_unref(brief);
	r = sfs_stream_remove(store, "brief");
	m->removed = r == 0;
	step(r);
}

static inline void scenario(void)
{
	step(try_open_store());
	if (!store)
		return;
	create();
	bool claims = patch(stream, "{\"flush_interval_ms\":3600000,"
				    "\"large_records\":{\"threshold_bytes\":65536}}");
	append_line(0);
	append_line(1);
	sync_orders();
	append_bulk(2, 100);
	append_line(102);
	if (claims)
		append_claim();
	if (patch(stream, "{\"large_records\":{\"policy\":\"split\"}}"))
		append_long();
	append_line(103);
	append_line(104);
	sync_orders();
	tidier_drain(store->tidier); /* merges */
	make_keyed();
	put_keyed(0, 40);
	rename_orders();
	create_and_remove();
	append_line(105);
	append_line(106);
	put_keyed(40, 20);
	append_line(107);
	sync_orders();
	append_line(108);
}

/* --- what must hold --- */

static inline void check_prefix(const uint8_t *want, uint64_t bytes)
{
	uint8_t *got = malloc(bytes + 1);
	uint64_t at = 0;
	while (at < bytes) {
		size_t n = 0;
		int r = sfs_shard_read(shard, at, got + at, bytes - at, &n);
		ck_assert_msg(r == 0 && n, "read at %" PRIu64 " of %" PRIu64 ": %d", at, bytes, r);
		at += n;
	}
	ck_assert(!memcmp(got, want, bytes));
	free(got);
}

/* Exactly what was acknowledged; or, where that cannot be known, with the last attempt too. */
static inline void check_orders(bool attempt_may_show)
{
	if (!shard)
		return;
	uint64_t size = sfs_shard_size(shard);
	bool with_attempt = size == m->acked_bytes + m->trying_bytes && attempt_may_show;
	ck_assert_msg(size == m->acked_bytes || with_attempt,
		"size %" PRIu64 ", acknowledged %" PRIu64 ", tried %" PRIu64, size, m->acked_bytes,
		m->trying_bytes);
	check_prefix(m->text, size);
}

static inline void check_blob(void)
{
	if (!m->claimed || !stream)
		return;
	char hex[65];
	struct sfs_blob *blob;
	uint8_t *data = malloc(CLAIM_BYTES);
	size_t n;
	digest_to_hex(m->digest, hex);
	ck_assert_int_eq(sfs_blob_open(stream, hex, &blob), 0);
	ck_assert_int_eq(sfs_blob_read(blob, 0, data, CLAIM_BYTES, &n), 0);
	ck_assert_uint_eq(n, CLAIM_BYTES);
	size_t right = 0; /* libcheck makes a system call of each assertion */
	while (right < CLAIM_BYTES && (size_t)data[right] == 'a' + right * right % 23)
		right++;
	ck_assert_uint_eq(right, CLAIM_BYTES);
	sfs_blob_close(blob);
	free(data);
}

static inline void note_keyed_lines(struct sfs_shard *of, unsigned seen[LINES_MAX])
{
	uint64_t size = sfs_shard_size(of);
	size_t n = 0;
	char *text = malloc(size + 1);
	if (size)
		ck_assert_int_eq(sfs_shard_read(of, 0, text, size, &n), 0);
	ck_assert_uint_eq(n, size);
	unsigned last = 0;
	for (char *p = text; p < text + size;) {
		char line[128];
		unsigned i = (unsigned)strtoul(p + 7, NULL, 10);
		size_t bytes = make_line(line, sizeof line, i % LINES_MAX, PAD);
		if (bytes > (size_t)(text + size - p) || memcmp(p, line, bytes))
			ck_abort_msg("a line is not what was written");
		if (p != text && i <= last)
			ck_abort_msg("line %u comes after %u", i, last);
		seen[last = i]++;
		p += bytes;
	}
	free(text);
}

static inline void check_keyed(void)
{
	unsigned seen[LINES_MAX] = {0};
	uint32_t *numbers;
	size_t count;
	if (!keyed)
		return;
	ck_assert_int_eq(sfs_stream_shards(keyed, &numbers, &count), 0);
	for (size_t i = 0; i < count; i++) {
		struct sfs_shard *of;
		ck_assert_int_eq(sfs_stream_shard(keyed, numbers[i], &of), 0);
		note_keyed_lines(of, seen);
		sfs_shard_unref(of);
	}
	free(numbers);
	for (unsigned i = 0; i < LINES_MAX; i++) {
		if (seen[i] > m->tried_line[i] || seen[i] < m->acked_line[i])
			ck_abort_msg("line %u is there %u times", i, seen[i]);
	}
}

static struct fault fault;

/* Not only what comes before it, the opening of a directory. */
static inline bool sync_itself_failed(void)
{
	return m->failed_sync && !fault.lasting &&
	       (fault.hit_op == DISK_SYNC || fault.hit_op == DISK_SYNC_DIR);
}

/* After a sync that failed: no write and no sync may succeed, reading does. */
static inline void check_failed_shard(void)
{
	struct sfs_shard_info info;
	if (!shard)
		return;
	sfs_shard_info(shard, &info);
	m->shard_failed = info.state == SFS_SHARD_FAILED;
	if (sync_itself_failed())
		ck_assert(m->shard_failed);
	if (!m->shard_failed)
		return;
	ck_assert_int_eq(try_append("refused\n"), -EROFS);
	ck_assert_int_eq(sfs_shard_sync(shard), -EIO);
}

static inline void close_scenario(void)
{
	sfs_stream_unref(keyed);
	keyed = NULL;
	int r = close_store();
	/* What was not synced by a failed shard is told. */
	ck_assert(r == 0 || m->failed);
	ck_assert(r < 0 || !m->shard_failed);
}

/* Opens the store anew, on a disk that works, and compares. */
static inline void check_reopened(bool attempt_may_show)
{
	options.disk_hook = NULL;
	ck_assert_int_eq(try_open_store(), 0);
	int r = sfs_stream_lookup(store, orders_name(), &stream);
	if (r == -ENOENT && m->trying_rename)
		r = sfs_stream_lookup(store, "orders-old", &stream);
	ck_assert(r == 0 || (r == -ENOENT && !m->created));
	if (r == 0) {
		open_shard();
		check_orders(attempt_may_show);
		check_blob();
		struct sfs_shard_info info;
		sfs_shard_info(shard, &info);
		ck_assert_int_eq(info.state, SFS_SHARD_OPEN);
		ck_assert_uint_eq(info.quarantined_bytes, 0);
		ck_assert_int_eq(try_append("and it goes on\n"), 0);
		ck_assert_int_eq(sfs_shard_sync(shard), 0);
	}
	r = sfs_stream_lookup(store, "keyed", &keyed);
	ck_assert(r == 0 || (r == -ENOENT && !m->acked_lines));
	if (r < 0)
		keyed = NULL;
	check_keyed();
	struct sfs_stream *brief;
	if (m->removed)
		ck_assert_int_eq(sfs_stream_lookup(store, "brief", &brief), -ENOENT);
	ck_assert_msg(reports.errors == 0, "%s", reports.text);
	sfs_stream_unref(keyed);
	keyed = NULL;
	close_all();
}

static inline void fresh(void)
{
	memset(m, 0, offsetof(struct model, text));
	options = (struct sfs_store_options){.segment_chunks = 4, .disk_hook = &fault.hook};
}

static inline void clear_store(void)
{
	close(dir.fd);
	ck_assert_int_eq(nftw(dir.path, testdir_remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
	ck_assert_int_eq(mkdir(dir.path, 0700), 0);
	dir.fd = open(dir.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static inline void share_model(void)
{
	static_assert(sizeof *m <= SHARED_BYTES, "model");
	m = mmap(NULL, SHARED_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert(m != MAP_FAILED);
}

/* One run with the n-th call failing. True if there was such a call. */
static inline bool run_with_fault(unsigned n, int error, size_t cut, bool lasting)
{
	fault_init(&fault, n, error);
	fault.cut = cut;
	fault.lasting = lasting;
	fresh();
	scenario();
	bool hit = fault_hit(&fault);
	fault.fail_at = 0; /* the disk has recovered; the store must not think so by itself */
	if (store) {
		check_orders(false);
		check_blob();
		check_keyed();
		check_failed_shard();
		if (error == -ENOSPC && !lasting && shard && !sync_itself_failed()) {
			struct sfs_shard_info info;
			sfs_shard_info(shard, &info);
			ck_assert_int_eq(info.state, SFS_SHARD_OPEN);
		}
		close_scenario();
	}
	/* With the disk gone for good a refused append cannot be taken back. */
	check_reopened(lasting);
	clear_store();
	return hit;
}

/* Thousands of runs: memory that comes and goes with each is slow. */
static inline void keep_memory(void)
{
	mallopt(M_MMAP_THRESHOLD, 64 << 20);
	mallopt(M_TRIM_THRESHOLD, 256 << 20);
}

#endif
