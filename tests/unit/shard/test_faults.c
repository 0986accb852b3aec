/* SPDX-License-Identifier: MIT */
/*
 * A day in the life of a store, again and again, each time with another of its calls of the disk
 * failing, cut short, or being the last. What was acknowledged is there, in the same process and
 * after opening the store anew; what was refused is not.
 */
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

static const char *orders_name(void)
{
	return m->renamed ? "orders-old" : "orders";
}

/* --- steps; each notes what it is told --- */

static void step(int r)
{
	m->steps++;
	m->failed |= r < 0;
}

static void create(void)
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
static size_t claim_line(const void *data, size_t bytes, char line[256])
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
static int append_shown(const void *data, size_t bytes, const void *shown, size_t shown_bytes)
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

static void append_line(unsigned i)
{
	char line[128];
	size_t bytes = make_line(line, sizeof line, i, PAD);
	step(append_shown(line, bytes, line, bytes));
}

static void append_bulk(unsigned first, unsigned count)
{
	struct buf text = {0};
	add_lines(&text, first, count, PAD);
	step(append_shown(text.data, text.size, text.data, text.size));
	buf_fini(&text);
}

enum { LONG_BYTES = (1 << 20) + 4567, CLAIM_BYTES = 70001 };

/* A line that takes many chunks. It comes in pieces, as it does from the kernel. */
static void append_long(void)
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

static void append_claim(void)
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

static void sync_orders(void)
{
	int r = shard ? sfs_shard_sync(shard) : -ENOENT;
	if (r == 0)
		m->synced_bytes = m->acked_bytes;
	m->failed_sync |= r == -EIO;
	step(r);
}

static bool patch(struct sfs_stream *of, const char *json)
{
	struct sfs_diag diag;
	int r = of ? sfs_stream_patch_config(of, json, strlen(json), &diag) : -ENOENT;
	step(r);
	return r == 0;
}

static void make_keyed(void)
{
	int r = sfs_stream_create(store, "keyed", &owner, &keyed);
	if (r < 0)
		keyed = NULL;
	step(r);
	patch(keyed, "{\"shards\":3,\"key\":{\"field\":2,\"separator\":\" \"},"
		     "\"flush_interval_ms\":3600000}");
}

/* Some of them may be there when it fails: those of shards that did not. */
static void put_keyed(unsigned first, unsigned count)
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

static void rename_orders(void)
{
	m->trying_rename = true;
	int r = m->created ? sfs_stream_rename(store, "orders", "orders-old") : -ENOENT;
	if (r == 0) {
		m->renamed = true;
		m->trying_rename = false;
	}
	step(r);
}

static void create_and_remove(void)
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

static void scenario(void)
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

static void check_prefix(const uint8_t *want, uint64_t bytes)
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
static void check_orders(bool attempt_may_show)
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

static void check_blob(void)
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

static void note_keyed_lines(struct sfs_shard *of, unsigned seen[LINES_MAX])
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

static void check_keyed(void)
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
static bool sync_itself_failed(void)
{
	return m->failed_sync && !fault.lasting &&
	       (fault.hit_op == DISK_SYNC || fault.hit_op == DISK_SYNC_DIR);
}

/* After a sync that failed: no write and no sync may succeed, reading does. */
static void check_failed_shard(void)
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

static void close_scenario(void)
{
	sfs_stream_unref(keyed);
	keyed = NULL;
	int r = close_store();
	/* What was not synced by a failed shard is told. */
	ck_assert(r == 0 || m->failed);
	ck_assert(r < 0 || !m->shard_failed);
}

/* Opens the store anew, on a disk that works, and compares. */
static void check_reopened(bool attempt_may_show)
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

static void fresh(void)
{
	memset(m, 0, offsetof(struct model, text));
	options = (struct sfs_store_options){.segment_chunks = 4, .disk_hook = &fault.hook};
}

static void clear_store(void)
{
	close(dir.fd);
	ck_assert_int_eq(nftw(dir.path, testdir_remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
	ck_assert_int_eq(mkdir(dir.path, 0700), 0);
	dir.fd = open(dir.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void share_model(void)
{
	static_assert(sizeof *m <= SHARED_BYTES, "model");
	m = mmap(NULL, SHARED_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert(m != MAP_FAILED);
}

/* One run with the n-th call failing. True if there was such a call. */
static bool run_with_fault(unsigned n, int error, size_t cut, bool lasting)
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

static const struct {
	int error;
	size_t cut;
	bool lasting;
} faults[] = {
	{-EIO, 0, false},
	{-ENOSPC, 0, false},
	{-EMFILE, 0, false},
	{-ENOMEM, 0, false},
	{-EIO, 1, false},
	{-ENOSPC, 60, false},
	{-ENOSPC, 2000, false},
	{-EIO, SIZE_MAX, false},
	{-EIO, 0, true},
	{-ENOSPC, 100, true},
};

START_TEST(every_call_can_fail)
{
	share_model();
	unsigned n = 0;
	do
		n++;
	while (run_with_fault(n, faults[_i].error, faults[_i].cut, faults[_i].lasting));
	ck_assert_uint_gt(n, 100); /* or the scenario has shrunk */
}
END_TEST

START_TEST(without_a_fault_everything_succeeds)
{
	share_model();
	fault_init(&fault, 0, -EIO);
	fresh();
	scenario();
	ck_assert(!m->failed);
	ck_assert(m->claimed && m->renamed && m->removed);
	ck_assert_uint_eq(m->acked_lines, 60);
	ck_assert_uint_gt(metric_get(&store->env.metrics.segments_merged), 0);
	check_orders(false);
	close_scenario();
	check_reopened(false);
}
END_TEST

/* --- a process killed at the n-th call --- */

static atomic_uint kill_calls;
static unsigned kill_at;

static int kill_before(struct disk_hook *hook, const struct disk_call *call, size_t *limit)
{
	(void)hook;
	(void)limit;
	(void)call;
	if (atomic_fetch_add(&kill_calls, 1) + 1 == kill_at)
		_exit(42);
	return 0;
}

static struct disk_hook kill_hook = {.before = kill_before};

START_TEST(every_call_can_be_the_last)
{
	share_model();
	int status = 0;
	for (unsigned n = 1;; n++) {
		fresh();
		options.disk_hook = &kill_hook;
		kill_calls = 0;
		kill_at = n;
		pid_t child = fork();
		if (!child) {
			scenario();
			close_scenario();
			_exit(0);
		}
		ck_assert_int_eq(waitpid(child, &status, 0), child);
		ck_assert(WIFEXITED(status));
		check_reopened(true);
		clear_store();
		if (WEXITSTATUS(status) != 42)
			break;
		ck_assert_uint_lt(n, 10000);
	}
	ck_assert_int_eq(WEXITSTATUS(status), 0);
}
END_TEST

/* --- one by one --- */

static struct fault named;

static void open_with_fault(int only, int error)
{
	fault_init(&named, 0, error);
	named.only = only;
	options.disk_hook = &named.hook;
	open_all();
	append_lines_one_by_one(0, 3, PAD);
}

static void arm(void)
{
	named.calls = 0;
	named.fail_at = 1;
}

START_TEST(failed_sync_is_never_forgotten)
{
	open_with_fault(DISK_SYNC, -EIO);
	arm();
	struct sfs_writer *writer;
	size_t taken;
	ck_assert_int_eq(sfs_writer_open_shard(shard, &writer), 0);
	ck_assert_int_eq(sfs_writer_write(writer, "x\n", 2, &taken), 0);
	ck_assert_int_eq(sfs_writer_sync_wait(writer), -EIO);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(sfs_writer_sync_wait(writer), -EIO);
		ck_assert_int_eq(sfs_shard_sync(shard), -EIO);
		ck_assert_int_eq(sfs_writer_write(writer, "y\n", 2, &taken), -EROFS);
	}
	ck_assert_int_eq(sfs_writer_close(writer), 0);
	ck_assert_int_eq(read_one(0), 1);
	ck_assert(reported("sync failed"));
	ck_assert_uint_eq(synced_offset(), 0);
	ck_assert_int_eq(close_store(), -EIO);
	open_all();
	ck_assert_int_eq(try_append("again\n"), 0);
	sync_shard_now();
	close_all();
}
END_TEST

START_TEST(failed_background_flush_fails_the_shard)
{
	open_with_fault(DISK_SYNC, -EIO);
	sync_shard_now();
	configure("{\"flush_interval_ms\":1}");
	sync_shard_now();
	arm();
	named.lasting = true;
	int r = 0;
	for (int i = 0; r == 0 && i < 20000; i++) {
		r = try_append("more\n");
		usleep(500);
	}
	named.fail_at = 0;
	ck_assert_int_eq(r, -EROFS);
	ck_assert_int_eq(sfs_shard_sync(shard), -EIO);
	ck_assert_int_eq(close_store(), -EIO);
}
END_TEST

START_TEST(full_disk_heals_by_itself)
{
	open_with_fault(DISK_WRITE, -ENOSPC);
	arm();
	named.lasting = true;
	named.cut = 70;
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(try_append("no room\n"), -ENOSPC);
	check_lines(3, PAD);
	named.fail_at = 0;
	append_lines_one_by_one(3, 3, PAD);
	check_lines(6, PAD);
	sync_shard_now();
	reopen();
	check_lines(6, PAD);
	close_all();
}
END_TEST

START_TEST(failed_write_fails_the_shard_only)
{
	open_with_fault(DISK_WRITE, -EIO);
	struct sfs_stream *other;
	struct sfs_shard *other_shard, *own = shard;
	ck_assert_int_eq(sfs_stream_create(store, "other", &owner, &other), 0);
	ck_assert_int_eq(sfs_stream_shard(other, 0, &other_shard), 0);
	arm();
	ck_assert_int_eq(try_append("x\n"), -EIO);
	ck_assert_int_eq(try_append("x\n"), -EROFS);
	check_lines(3, PAD);
	shard = other_shard;
	ck_assert_int_eq(try_append("x\n"), 0);
	sync_shard_now();
	shard = own;
	sfs_shard_unref(other_shard);
	sfs_stream_unref(other);
	ck_assert_int_eq(close_store(), -EIO);
	open_all();
	check_lines(3, PAD);
	close_all();
}
END_TEST

START_TEST(missing_descriptor_harms_nothing)
{
	open_with_fault(DISK_OPEN, -EMFILE);
	arm();
	named.lasting = true;
	ck_assert_int_lt(sfs_shard_sync(shard), 0);
	named.fail_at = 0;
	sync_shard_now();
	append_lines_one_by_one(3, 1, PAD);
	check_lines(4, PAD);
	close_all();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("faults");
	mallopt(M_MMAP_THRESHOLD,
		64 << 20); /* thousands of runs: pages that come and go are slow */
	mallopt(M_TRIM_THRESHOLD, 256 << 20);
	TCase *every = add_case(suite, "every");
	tcase_set_timeout(every, 600);
	tcase_add_test(every, without_a_fault_everything_succeeds);
	tcase_add_loop_test(every, every_call_can_fail, 0, sizeof faults / sizeof *faults);
	tcase_add_test(every, every_call_can_be_the_last);
	TCase *one = add_case(suite, "one");
	tcase_add_test(one, failed_sync_is_never_forgotten);
	tcase_add_test(one, failed_background_flush_fails_the_shard);
	tcase_add_test(one, full_disk_heals_by_itself);
	tcase_add_test(one, failed_write_fails_the_shard_only);
	tcase_add_test(one, missing_descriptor_harms_nothing);
	return run_suite(suite);
}
