/* SPDX-License-Identifier: MIT */
/*
 * Trimming: positions against a model of random streams with any chunks and segments, and trims
 * beside all other work.
 */
#include "trimtest.h"

#include <pthread.h>

enum { SHARDS = 3 };

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

/* Stops a merge before it renames its file into place. */
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

int main(void)
{
	Suite *suite = suite_create("trim");
	TCase *tcase = add_case(suite, "positions");
	tcase_add_loop_test(tcase, random_trims_leave_what_the_model_says, 0, sampled(12));
	tcase_add_test(tcase, what_is_no_position_is_refused);
	tcase = add_case(suite, "threads");
	tcase_add_test(tcase, trims_beside_appends_reads_merges_and_sweeps);
	tcase_add_test(tcase, a_merge_does_not_bring_back_what_a_trim_removed);
	return run_suite(suite);
}
