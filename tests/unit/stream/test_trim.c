/* SPDX-License-Identifier: MIT */
/*
 * Trimming: positions against a model of random streams, whatever the chunks and segments are;
 * every disk call of a trim failing or being the last; trims beside all else; retention; what
 * recovery makes of what a trim or the loss of a watermark left.
 */
#include "viewtest.h"

#include "streamfs/check.h"

#include "retention.h"

#include <pthread.h>
#include <sys/mman.h>

enum { SHARDS = 3 };

static int trim(const char *position)
{
	struct sfs_diag diag = {0};
	return sfs_stream_trim(stream, position, strlen(position), &diag);
}

static int trim_number(uint64_t number)
{
	char position[32];
	snprintf(position, sizeof position, "%" PRIu64, number);
	return trim(position);
}

static int trim_at(uint32_t number, uint64_t offset)
{
	char position[48];
	snprintf(position, sizeof position, "shard-%04u:%" PRIu64, number, offset);
	return trim(position);
}

static void note_finding(void *context, const char *line, bool repaired)
{
	(void)context;
	if (strncmp(line, "note: ", 6) != 0)
		ck_abort_msg("check: %s%s", line, repaired ? " (repaired)" : "");
}

static void check_is_clean(void)
{
	struct sfs_check_summary summary;
	struct sfs_diag diag = {0};
	const struct sfs_check_options plain = {.finding = note_finding};
	int r = sfs_store_check(dir.path, &plain, &diag, &summary);
	ck_assert_msg(r == 0, "check: %d %s", r, diag.text);
	ck_assert_uint_eq(summary.unrepaired, 0);
}

/* ---- random streams ---- */

static uint64_t horizons[SHARDS]; /* sequence numbers, in the model */

static const struct sfs_view_spec whole = {.filter = SFS_OF_ALL};

static uint64_t offset_in(const struct model_shard *s, uint64_t sequence)
{
	return sequence == record_count(s) ? s->size : record_of(s, sequence)->offset;
}

static uint64_t json_before(const struct model_shard *s, uint64_t sequence)
{
	struct buf json = {0};
	for (size_t i = 0; i < sequence; i++)
		render_record(&json, record_of(s, i), true);
	uint64_t bytes = json.size;
	buf_fini(&json);
	return bytes;
}

static void check_text_of(size_t i)
{
	const struct model_shard *s = &model.shards[i];
	uint64_t from = offset_in(s, horizons[i]);
	struct sfs_shard_info info;
	struct sfs_shard_extent extent;
	sfs_shard_info(s->shard, &info);
	sfs_shard_extent(s->shard, &extent);
	ck_assert_uint_eq(info.horizon_offset, from);
	ck_assert_uint_eq(extent.horizon_offset, from);
	ck_assert_uint_eq(extent.size_bytes, info.size_bytes);
	ck_assert_uint_eq(extent.stored_bytes, info.stored_bytes);
	ck_assert_uint_eq(extent.last_arrival_ms, info.last_arrival_ms);
	ck_assert_uint_eq(extent.quarantined_bytes, info.quarantined_bytes);
	ck_assert_uint_eq(info.first_sequence, horizons[i]);
	ck_assert_uint_eq(info.next_sequence, record_count(s));
	ck_assert_uint_eq(info.size_bytes, s->size);
	char got[8192];
	size_t n = 0;
	if (from)
		ck_assert_int_eq(sfs_shard_read(s->shard, from - 1, got, 1, &n), -ESTALE);
	for (size_t k = horizons[i]; k < record_count(s); k++) {
		const struct model_record *r = record_of(s, k);
		size_t ask = r->bytes < sizeof got ? r->bytes : sizeof got;
		ck_assert_int_eq(sfs_shard_read(s->shard, r->offset, got, ask, &n), 0);
		ck_assert_uint_eq(n, ask);
		ck_assert(!memcmp(got, r->text, n));
	}
}

static void check_json_of(size_t i)
{
	const struct model_shard *s = &model.shards[i];
	struct sfs_view *view = open_view(
		(struct sfs_view_spec){.filter = SFS_OF_SHARD, .json = true, .shard = s->shard});
	uint64_t from = json_before(s, horizons[i]), end = json_before(s, record_count(s));
	ck_assert_uint_eq(sfs_view_horizon(view), from);
	ck_assert_uint_eq(sfs_view_size(view), end);
	char *got = malloc(end - from + 1);
	size_t n = 0;
	if (from)
		ck_assert_int_eq(sfs_view_pread(view, from - 1, got, 1, &n), -ESTALE);
	struct buf want = {0};
	for (size_t k = horizons[i]; k < record_count(s); k++)
		render_record(&want, record_of(s, k), true);
	for (int k = 0; k < 8 && want.size; k++) {
		size_t at = below(want.size), ask = 1 + below(want.size - at);
		ask = ask < 5000 ? ask : 5000;
		ck_assert_int_eq(sfs_view_pread(view, from + at, got, ask, &n), 0);
		ck_assert(n && n <= ask && !memcmp(got, want.data + at, n));
	}
	buf_fini(&want);
	free(got);
	sfs_view_close(view);
}

static void check_view(struct sfs_view_spec spec)
{
	struct model_reader reader = model_open(&spec);
	for (size_t i = 0; i < SHARDS; i++)
		reader.next[i] = horizons[i];
	struct sfs_view *view = open_view(spec);
	struct buf got = {0};
	ck_assert_int_eq(drain(view, 10000, true, &got), 0);
	model_check(&reader, &got);
	buf_fini(&got);
	sfs_view_close(view);
}

static const char *const key_names[] = {"k0", "k1", "k2"};

static int mark_key(void *context, const char *key, size_t bytes)
{
	ck_assert(bytes == 2 && key[0] == 'k');
	((bool *)context)[key[1] - '0'] = true;
	return 0;
}

static void check_keys(void)
{
	bool want[3] = {false}, got[3] = {false};
	for (size_t i = 0; i < SHARDS; i++)
		for (size_t k = horizons[i]; k < record_count(&model.shards[i]); k++) {
			const struct model_record *r = record_of(&model.shards[i], k);
			if (r->key)
				want[r->key[1] - '0'] = true;
		}
	ck_assert_int_eq(sfs_stream_keys(stream, mark_key, got), 0);
	ck_assert(!memcmp(want, got, sizeof want));
}

static void check_against_model(void)
{
	for (size_t i = 0; i < SHARDS; i++) {
		check_text_of(i);
		check_json_of(i);
	}
	check_view(whole);
	check_view((struct sfs_view_spec){.filter = SFS_OF_ALL, .json = true});
	for (size_t k = 0; k < 3; k++)
		check_view((struct sfs_view_spec){
			.filter = SFS_OF_KEY, .key = key_names[k], .key_bytes = 2});
	check_view((struct sfs_view_spec){
		.filter = SFS_OF_ALL, .start = SFS_FROM_TIME, .since_ms = clock_ms - below(20000)});
	check_keys();
}

static void append_some(bool long_ones)
{
	struct buf text = {0};
	for (size_t n = below(20); n > 0; n--) {
		atomic_fetch_add(&clock_ms, below(3) ? below(900) : 0);
		text.size = 0;
		for (size_t lines = 1 + below(4); lines > 0; lines--)
			add_lines(&text, (unsigned)model.count + (unsigned)lines, 1,
				below(6) ? below(80) : 2000 + below(9000));
		if (long_ones && !below(12)) {
			text.size = 0;
			add_lines(&text, (unsigned)model.count, 1, (1 << 20) + below(1 << 20));
		}
		const char *key = below(2) ? key_names[below(3)] : NULL;
		model_append(model.shards[below(SHARDS)].shard, key, text.data, text.size);
	}
	buf_fini(&text);
}

static void raise_to(size_t i, uint64_t sequence)
{
	uint64_t end = record_count(&model.shards[i]);
	sequence = sequence < end ? sequence : end;
	if (sequence > horizons[i])
		horizons[i] = sequence;
}

static void trim_by_time(void)
{
	uint64_t ms = clock_ms - below(15) * 1000;
	ms -= ms % 1000;
	char position[32];
	time_t seconds = (time_t)(ms / 1000);
	struct tm tm;
	strftime(position, sizeof position, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&seconds, &tm));
	ck_assert_int_eq(trim(position), 0);
	for (size_t i = 0; i < SHARDS; i++) {
		uint64_t k = 0;
		while (k < record_count(&model.shards[i]) &&
			record_of(&model.shards[i], k)->arrival_ms < ms)
			k++;
		raise_to(i, k);
	}
}

static void trim_by_age(void)
{
	uint64_t age_s = below(12);
	char position[32];
	snprintf(position, sizeof position, " \t%us\n", (unsigned)age_s + 1);
	ck_assert_int_eq(trim(position), 0);
	uint64_t ms = clock_ms - (age_s + 1) * 1000;
	for (size_t i = 0; i < SHARDS; i++) {
		uint64_t k = 0;
		while (k < record_count(&model.shards[i]) &&
			record_of(&model.shards[i], k)->arrival_ms < ms)
			k++;
		raise_to(i, k);
	}
}

static void trim_by_offset(void)
{
	size_t i = below(SHARDS);
	const struct model_shard *s = &model.shards[i];
	uint64_t k = horizons[i] + below(record_count(s) - horizons[i] + 1);
	if (k < record_count(s))
		ck_assert_int_eq(trim_at((uint32_t)i,
					 offset_in(s, k) + 1 + below(record_of(s, k)->bytes - 1)),
			-EINVAL);
	ck_assert_int_eq(trim_at((uint32_t)i, s->size + 1), -EINVAL);
	ck_assert_int_eq(trim_at((uint32_t)i, offset_in(s, k)), 0);
	raise_to(i, k);
}

static void trim_by_sequence(void)
{
	uint64_t most = 0;
	for (size_t i = 0; i < SHARDS; i++)
		if (record_count(&model.shards[i]) > most)
			most = record_count(&model.shards[i]);
	ck_assert_int_eq(trim_number(most + 1), -EINVAL);
	uint64_t k = below(4) ? most / 2 + below(most / 2 + 1) : below(most + 1);
	ck_assert_int_eq(trim_number(k), 0);
	for (size_t i = 0; i < SHARDS; i++)
		raise_to(i, k);
}

static void trim_somewhere(void)
{
	switch (below(9)) {
	case 0:
		ck_assert_int_eq(trim(" all \n"), 0);
		for (size_t i = 0; i < SHARDS; i++)
			raise_to(i, UINT64_MAX);
		break;
	case 1:
	case 2:
		trim_by_sequence();
		break;
	case 3:
	case 4:
		trim_by_time();
		break;
	case 5:
		trim_by_age();
		break;
	default:
		trim_by_offset();
	}
}

static void reopen_model(void)
{
	model_leave_shards();
	close_all();
	check_is_clean();
	open_all();
	model_return_to_shards();
	ck_assert_uint_eq(reports.errors, 0);
}

START_TEST(random_trims_leave_what_the_model_says)
{
	random_state = (uint64_t)_i * 7919 + 1;
	memset(horizons, 0, sizeof horizons);
	bool long_ones = _i % 4 == 3;
	atomic_store(&clock_ms, 1800000000000);
	options.segment_bytes = _i % 3 ? 1 + below(60000) : 0;
	open_all();
	configure("{\"shards\":3}");
	configure(_i % 2 ? "{\"large_records\":{\"policy\":\"split\"}}"
			 : "{\"large_records\":{\"threshold_bytes\":5000}}");
	model.claim_above_bytes = _i % 2 ? 0 : 5000;
	model_find_shards();
	for (int round = 0; round < 10; round++) {
		append_some(long_ones);
		if (below(2))
			tidier_drain(store->tidier);
		trim_somewhere();
		check_against_model();
		if (!below(3))
			reopen_model();
	}
	reopen_model();
	check_against_model();
	model_free();
	close_all();
	atomic_store(&clock_ms, 0);
}
END_TEST

START_TEST(what_is_no_position_is_refused)
{
	static const char *const wrong[] = {"", " ", "al", "all all", "-1", "+1", "1.5", "0x1", "3",
		"99999999999999999999", "18446744073709551615", "shard-0000",
		"shard-0000:", "shard-0000:1", "shard-0000:9", "shard-0001:0", "shard-00:0",
		"shard-00000:0", "shard-0000:-1", "shard-+000:0", "shard-0000: 1", "5w",
		"2026-01-01", "s", "shard-0000:18446744073709551616"};
	open_all();
	append_bytes("one\ntwo\n", 8);
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct sfs_diag diag = {0};
		ck_assert_msg(sfs_stream_trim(stream, wrong[i], strlen(wrong[i]), &diag) == -EINVAL,
			"\"%s\"", wrong[i]);
		ck_assert_msg(diag.text[0], "\"%s\"", wrong[i]);
		ck_assert_int_eq(
			sfs_stream_trim(stream, wrong[i], strlen(wrong[i]), NULL), -EINVAL);
	}
	ck_assert_int_eq(sfs_stream_trim(stream, "a\0ll", 4, NULL), -EINVAL);
	check_text("one\ntwo\n", 8);
	close_all();
}
END_TEST

/* ---- failing disks ---- */

static struct sfs_shard_info info_now(void)
{
	struct sfs_shard_info info;
	sfs_shard_info(shard, &info);
	return info;
}

enum { LINES = 60, PAD = 40, OLD = 7, NEW = 41 };

static uint64_t line_offset(unsigned line)
{
	struct buf text = {0};
	add_lines(&text, 0, line, PAD);
	uint64_t bytes = text.size;
	buf_fini(&text);
	return bytes;
}

/* Many small segments, of which a first trim took some. Merged, and all durable but the end. */
static void make_trimmed(bool synced)
{
	options.segment_bytes = 300;
	open_all();
	append_lines_one_by_one(0, LINES, PAD);
	ck_assert_int_eq(trim_number(OLD), 0);
	tidier_drain(store->tidier);
	if (!synced)
		append_lines_one_by_one(LINES, 1, PAD);
	if (synced)
		sync_shard_now();
}

/* The horizon is one of these two, and from it on all is there. */
static void check_from_horizon(unsigned least, unsigned lines)
{
	struct sfs_shard_info info = info_now();
	ck_assert_uint_eq(info.next_sequence, lines);
	ck_assert_msg(info.first_sequence == NEW || (info.first_sequence == OLD && least == OLD),
		"horizon %" PRIu64, info.first_sequence);
	ck_assert_uint_eq(info.horizon_offset, line_offset((unsigned)info.first_sequence));
	struct buf want = {0};
	add_lines(&want, (unsigned)info.first_sequence, lines - (unsigned)info.first_sequence, PAD);
	check_range(info.horizon_offset, info.size_bytes, want.data, 777);
	ck_assert_int_eq(read_one(info.horizon_offset - 1), -ESTALE);
	ck_assert_int_eq(read_one(0), -ESTALE);
	buf_fini(&want);
}

START_TEST(each_disk_call_of_a_trim_may_fail)
{
	bool done = false;
	for (unsigned n = 1; !done; n++) {
		struct fault fault;
		fault_init(&fault, 0, _i % 2 ? -ENOSPC : -EIO);
		fault.lasting = _i >= 2;
		options.disk_hook = &fault.hook;
		make_trimmed(true);
		atomic_store(&fault.calls, 0);
		atomic_store(&fault.fail_at, n);
		int r = trim_number(NEW);
		tidier_drain(store->tidier);
		done = !fault_hit(&fault);
		atomic_store(&fault.fail_at, 0);
		check_from_horizon(r == 0 ? NEW : OLD, LINES);
		ck_assert(r == 0 || !done);
		ck_assert_int_eq(sfs_shard_sync(shard), 0); /* the shard did not fail for it */
		uint64_t horizon = info_now().first_sequence;
		(void)close_store();
		check_is_clean();
		open_all();
		ck_assert_uint_eq(reports.errors, 0);
		check_from_horizon(horizon == NEW ? NEW : OLD, LINES);
		append_lines_one_by_one(LINES, 3, PAD);
		check_from_horizon(OLD, LINES + 3);
		ck_assert_int_eq(trim_number(NEW), 0);
		check_from_horizon(NEW, LINES + 3);
		close_all();
		testdir_close(&dir);
		testdir_open(&dir);
	}
}
END_TEST

static unsigned *published; /* shared: what the killed process saw */

struct killer {
	struct disk_hook hook;
	atomic_uint left;
};

static int kill_before(struct disk_hook *hook, const struct disk_call *call, size_t *limit)
{
	struct killer *killer = (struct killer *)hook;
	(void)call;
	(void)limit;
	if (atomic_load(&killer->left) && atomic_fetch_sub(&killer->left, 1) == 1)
		_exit(99);
	return 0;
}

static unsigned kill_at;

static void trim_and_die(void)
{
	struct killer killer = {.hook.before = kill_before};
	options.disk_hook = &killer.hook;
	make_trimmed(false);
	atomic_store(&killer.left, kill_at);
	*published = 1;
	if (trim_number(NEW) == 0)
		*published = 2;
	tidier_drain(store->tidier);
	*published = 3;
}

START_TEST(a_trim_may_end_at_each_disk_call)
{
	published = mmap(
		NULL, sizeof *published, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	*published = 0;
	for (kill_at = 1; *published != 3; kill_at++) {
		in_killed_process(trim_and_die);
		options.disk_hook = NULL;
		options.read_only = true;
		open_all();
		check_from_horizon(*published >= 2 ? NEW : OLD, LINES + 1);
		ck_assert_int_eq(trim("all"), -EROFS);
		close_all();
		options.read_only = false;
		open_all();
		ck_assert_uint_eq(reports.errors, 0);
		check_from_horizon(*published >= 2 ? NEW : OLD, LINES + 1);
		append_lines_one_by_one(LINES + 1, 2, PAD);
		check_from_horizon(*published >= 2 ? NEW : OLD, LINES + 3);
		close_all();
		check_is_clean();
		testdir_close(&dir);
		testdir_open(&dir);
	}
	munmap(published, sizeof *published);
}
END_TEST

/* ---- what recovery finds ---- */

START_TEST(removals_may_become_durable_in_any_order)
{
	options.segment_bytes = 300;
	open_all();
	append_lines_one_by_one(0, LINES, PAD);
	tidier_drain(store->tidier);
	sync_shard_now();
	uint64_t bases[64];
	size_t count = list_bases(bases, 64), bytes;
	ck_assert_uint_gt(count, 6);
	uint8_t *first = slurp(segment_file(bases[0]), &bytes);
	ck_assert_int_eq(trim("all"), 0);
	close_all();
	put_at(segment_file(bases[0]), 0, first, bytes); /* the removal of the others came first */
	free(first);
	check_is_clean();
	open_all();
	ck_assert_uint_eq(reports.errors, 0);
	ck_assert_uint_eq(info_now().size_bytes, line_offset(LINES));
	ck_assert_uint_eq(info_now().quarantined_bytes, 0);
	ck_assert_uint_eq(info_now().stored_bytes, 0);
	ck_assert_int_eq(read_one(0), -ESTALE);
	append_lines_one_by_one(LINES, 1, PAD);
	ck_assert_uint_eq(info_now().next_sequence, LINES + 1);
	ck_assert_uint_eq(list_bases(bases, 64), 1);
	close_all();
	check_is_clean();
}
END_TEST

START_TEST(without_a_watermark_a_shard_begins_with_its_first_segment)
{
	make_trimmed(true);
	ck_assert_int_eq(trim_number(NEW), 0);
	uint64_t json = info_now().horizon_offset;
	close_all();
	if (_i)
		flip_byte(file_path("synced"), 8), flip_byte(file_path("synced"), 512 + 8);
	else
		unlink(file_path("synced"));
	uint64_t bases[64];
	ck_assert_uint_gt(list_bases(bases, 64), 1);
	for (int round = 0; round < 2; round++) {
		open_all();
		struct sfs_shard_info info = info_now();
		ck_assert_uint_eq(info.horizon_offset, bases[0]);
		ck_assert_uint_le(info.horizon_offset, json);
		ck_assert_uint_eq(line_offset((unsigned)info.first_sequence), bases[0]);
		ck_assert_uint_eq(info.next_sequence, LINES + (unsigned)round);
		ck_assert_uint_eq(info.quarantined_bytes, 0);
		ck_assert_int_eq(read_one(bases[0] - 1), -ESTALE);
		ck_assert_int_eq(read_one(bases[0]), 1);
		append_lines_one_by_one(LINES + (unsigned)round, 1, PAD);
		sync_shard_now();
		close_all();
	}
	check_is_clean();
}
END_TEST

START_TEST(a_first_segment_that_is_lost_does_not_hide_the_next)
{
	options.segment_bytes = 300;
	open_all();
	append_lines_one_by_one(0, LINES, PAD);
	tidier_drain(store->tidier);
	close_all();
	uint64_t bases[64];
	ck_assert_uint_gt(list_bases(bases, 64), 2);
	unlink(segment_file(bases[0]));
	open_all();
	ck_assert_int_eq(read_one(0), -EBADMSG);
	struct sfs_view *view = open_view((struct sfs_view_spec){.filter = SFS_OF_SHARD});
	struct buf got = {0}, want = {0};
	ck_assert_int_eq(drain(view, 4096, false, &got), -EBADMSG);
	ck_assert_int_eq(sfs_view_skip(view), 0);
	ck_assert_int_eq(drain(view, 4096, false, &got), 0);
	add_lines(&want, 0, LINES, PAD);
	ck_assert_uint_eq(got.size, want.size - bases[1]);
	ck_assert(!memcmp(got.data, want.data + bases[1], got.size));
	sfs_view_close(view);
	buf_fini(&got);
	buf_fini(&want);
	ck_assert_int_eq(trim_number(2), 0); /* passes over the damage */
	ck_assert_uint_eq(info_now().horizon_offset, bases[1]);
	close_all();
}
END_TEST

/* ---- beside all else ---- */

static atomic_bool stop;

static void *append_on(void *context)
{
	unsigned base = *(unsigned *)context;
	for (unsigned i = 0; i < 400; i++) {
		char line[64];
		size_t bytes = make_line(line, sizeof line, base + i, 20);
		append_bytes(line, bytes);
	}
	return NULL;
}

static void *read_on(void *context)
{
	char text[3000];
	while (!atomic_load(&stop)) {
		size_t n = 0;
		uint64_t from = info_now().horizon_offset;
		int r = sfs_shard_read(shard, from, text, sizeof text, &n);
		ck_assert(r == 0 || r == -ESTALE);
		ck_assert(r < 0 || !n || !memcmp(text, "record ", n < 7 ? n : 7));
		struct sfs_view *view = open_view(whole);
		struct buf got = {0};
		do
			r = drain(view, 4096, false, &got);
		while (r == -ESTALE && sfs_view_skip(view) == 0);
		ck_assert_int_eq(r, 0);
		buf_fini(&got);
		sfs_view_close(view);
	}
	return context;
}

static void *trim_on(void *context)
{
	while (!atomic_load(&stop)) {
		struct sfs_shard_info info = info_now();
		uint64_t kept = info.next_sequence - info.first_sequence;
		ck_assert_int_eq(trim_number(info.first_sequence + kept / 2), 0);
		ck_assert_uint_ge(info_now().first_sequence, info.first_sequence + kept / 2);
		tidier_retain(stream);
		tidier_sweep_trimmed(stream);
		(void)sfs_shard_sync(shard);
	}
	return context;
}

static uint64_t bytes_on_disk(void)
{
	uint64_t bases[256], bytes = 0;
	size_t count = list_bases(bases, 256);
	for (size_t i = 0; i < count; i++)
		bytes += file_size(segment_file(bases[i]));
	return bytes;
}

START_TEST(trims_beside_appends_reads_merges_and_sweeps)
{
	unsigned first[3] = {0, 1000, 2000};
	pthread_t appenders[3], others[4];
	options.segment_bytes = 500;
	open_all();
	configure("{\"flush_interval_ms\":1,\"retention_bytes\":4000}");
	atomic_store(&stop, false);
	for (int i = 0; i < 3; i++)
		pthread_create(&appenders[i], NULL, append_on, &first[i]);
	for (int i = 0; i < 4; i++)
		pthread_create(&others[i], NULL, i % 2 ? read_on : trim_on, NULL);
	for (int i = 0; i < 3; i++)
		pthread_join(appenders[i], NULL);
	atomic_store(&stop, true);
	for (int i = 0; i < 4; i++)
		pthread_join(others[i], NULL);
	ck_assert_uint_eq(info_now().next_sequence, 1200);
	tidier_drain(store->tidier);
	ck_assert_uint_eq(info_now().stored_bytes, bytes_on_disk());
	struct sfs_shard_info before = info_now();
	close_all();
	check_is_clean();
	open_all();
	ck_assert_uint_eq(reports.errors, 0);
	ck_assert_uint_eq(info_now().horizon_offset, before.horizon_offset);
	ck_assert_uint_eq(info_now().first_sequence, before.first_sequence);
	ck_assert_uint_eq(info_now().next_sequence, 1200);
	ck_assert_int_eq(trim("all"), 0);
	ck_assert_uint_eq(info_now().stored_bytes, 0);
	ck_assert_uint_eq(bytes_on_disk(), 0);
	close_all();
}
END_TEST

/* Stops a merge before it puts its file in place. */
struct gate {
	struct disk_hook hook;
	atomic_bool waits, open;
};

static int hold_rename(struct disk_hook *hook, const struct disk_call *call, size_t *limit)
{
	struct gate *gate = (struct gate *)hook;
	(void)limit;
	bool merging = call->op == DISK_SYNC_DIR || call->op == DISK_OPEN;
	if (merging && call->op == DISK_OPEN && strstr(call->name, ".lz4.tmp")) {
		atomic_store(&gate->waits, true);
		while (!atomic_load(&gate->open))
			usleep(1000);
	}
	return 0;
}

START_TEST(a_merge_does_not_bring_back_what_a_trim_removed)
{
	struct gate gate = {.hook.before = hold_rename};
	options.segment_bytes = 300;
	options.disk_hook = &gate.hook;
	open_all();
	append_lines_one_by_one(0, 12, PAD);
	while (!atomic_load(&gate.waits))
		usleep(1000);
	ck_assert_int_eq(trim("all"), 0);
	atomic_store(&gate.open, true);
	tidier_drain(store->tidier);
	ck_assert_uint_eq(count_files(".lz4", NULL), 0);
	ck_assert_uint_eq(count_files(".idx", NULL), 0);
	ck_assert_uint_eq(info_now().stored_bytes, 0);
	close_all();
	check_is_clean();
}
END_TEST

/* ---- retention ---- */

START_TEST(retention_keeps_the_bytes_and_not_many_more)
{
	atomic_store(&clock_ms, 1800000000000);
	open_all();
	for (unsigned i = 0; i < 300; i++) {
		atomic_fetch_add(&clock_ms, 10);
		append_lines_one_by_one(i, 1, 80);
	}
	configure("{\"retention_bytes\":10000}");
	ck_assert_int_eq(retention_apply(stream), 0);
	struct sfs_shard_info info = info_now();
	uint64_t kept = info.size_bytes - info.horizon_offset;
	ck_assert_uint_ge(kept, 10000);
	ck_assert_uint_le(kept, 10000 + 200);
	ck_assert_int_eq(retention_apply(stream), 0);
	ck_assert_uint_eq(info_now().horizon_offset, info.horizon_offset);
	configure("{\"retention_bytes\":5000}"); /* another limit, though nothing came */
	ck_assert_int_eq(retention_apply(stream), 0);
	ck_assert_uint_le(info_now().size_bytes - info_now().horizon_offset, 5000 + 200);
	close_all();
	atomic_store(&clock_ms, 0);
}
END_TEST

/* A fault that fails nothing counts the calls. */
START_TEST(retention_costs_an_idle_stream_nothing)
{
	struct fault fault;
	fault_init(&fault, 0, 0);
	options.disk_hook = &fault.hook;
	atomic_store(&clock_ms, 1800000000000);
	open_all();
	for (unsigned i = 0; i < 100; i++) {
		atomic_fetch_add(&clock_ms, 10);
		append_lines_one_by_one(i, 1, 80);
	}
	configure("{\"retention_bytes\":3000}");
	ck_assert_int_eq(retention_apply(stream), 0);
	tidier_drain(store->tidier);
	ck_assert_int_eq(retention_apply(stream), 0);
	atomic_store(&fault.calls, 0);
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(retention_apply(stream), 0);
	ck_assert_uint_eq(fault.calls, 0);
	close_all();
	atomic_store(&clock_ms, 0);
}
END_TEST

START_TEST(retention_by_hours_takes_what_is_older)
{
	enum { HOUR_MS = 3600 * 1000 };
	atomic_store(&clock_ms, 1800000000000);
	open_all();
	for (unsigned i = 0; i < 10; i++) {
		append_lines_one_by_one(i, 1, PAD);
		atomic_fetch_add(&clock_ms, HOUR_MS);
	}
	configure("{\"retention_hours\":4}");
	ck_assert_int_eq(retention_apply(stream), 0);
	ck_assert_uint_eq(info_now().first_sequence, 6);
	atomic_fetch_add(&clock_ms, 100 * (uint64_t)HOUR_MS);
	ck_assert_int_eq(retention_apply(stream), 0);
	ck_assert_uint_eq(info_now().first_sequence, 10);
	close_all();
	atomic_store(&clock_ms, 0);
}
END_TEST

/* ---- closed shards ---- */

static void make_closed(void)
{
	open_all();
	append_bytes("closed\n", 7);
	sync_shard_now();
	configure("{\"shards\":2}");
}

START_TEST(closed_shards_leave_whatever_the_disk_does)
{
	bool done = false;
	for (unsigned n = 1; !done; n++) {
		struct fault fault;
		fault_init(&fault, 0, -EIO);
		fault.lasting = _i;
		options.disk_hook = &fault.hook;
		make_closed();
		atomic_store(&fault.calls, 0);
		atomic_store(&fault.fail_at, n);
		int r = trim("all");
		tidier_drain(store->tidier);
		done = !fault_hit(&fault);
		atomic_store(&fault.fail_at, 0);
		if (r == 0)
			ck_assert(!sfs_stream_has_shard(stream, 0));
		ck_assert_int_eq(trim("all"), 0);
		ck_assert(!sfs_stream_has_shard(stream, 0));
		ck_assert(sfs_stream_has_shard(stream, 1) && sfs_stream_has_shard(stream, 2));
		(void)close_store();
		open_store();
		ck_assert(!sfs_stream_has_shard(stream, 0));
		ck_assert_int_eq(sfs_stream_shard(stream, 1, &shard), 0);
		append_bytes("next\n", 5);
		close_all();
		check_is_clean();
		testdir_close(&dir);
		testdir_open(&dir);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("trim");
	TCase *tcase = add_case(suite, "positions");
	tcase_add_loop_test(tcase, random_trims_leave_what_the_model_says, 0, 12);
	tcase_add_test(tcase, what_is_no_position_is_refused);
	tcase = add_case(suite, "faults");
	tcase_add_loop_test(tcase, each_disk_call_of_a_trim_may_fail, 0, 4);
	tcase_add_test(tcase, a_trim_may_end_at_each_disk_call);
	tcase = add_case(suite, "recovery");
	tcase_add_test(tcase, removals_may_become_durable_in_any_order);
	tcase_add_loop_test(tcase, without_a_watermark_a_shard_begins_with_its_first_segment, 0, 2);
	tcase_add_test(tcase, a_first_segment_that_is_lost_does_not_hide_the_next);
	tcase = add_case(suite, "threads");
	tcase_add_test(tcase, trims_beside_appends_reads_merges_and_sweeps);
	tcase_add_test(tcase, a_merge_does_not_bring_back_what_a_trim_removed);
	tcase = add_case(suite, "retention");
	tcase_add_test(tcase, retention_keeps_the_bytes_and_not_many_more);
	tcase_add_test(tcase, retention_costs_an_idle_stream_nothing);
	tcase_add_test(tcase, retention_by_hours_takes_what_is_older);
	tcase = add_case(suite, "closed shards");
	tcase_add_loop_test(tcase, closed_shards_leave_whatever_the_disk_does, 0, 2);
	return run_suite(suite);
}
