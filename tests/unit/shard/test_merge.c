/* SPDX-License-Identifier: MIT */
/* Merging changes the chunks and keeps the records. */
#include "append.h"
#include "merge.h"
#include "meta.h"
#include "storetest.h"

enum { LINES = 60, PAD = 40 };

/* Writes a segment's records as text, one per line: sequence, arrival time, key, claim. */
static void dump_segment(const char *path, struct buf *out, size_t *ret_chunks)
{
	static struct placed chunks[512];
	size_t bytes, count = list_chunks(path, chunks, 512);
	uint8_t *data = slurp(path, &bytes);
	out->size = 0;
	for (size_t i = 0; i < count; i++) {
		const struct chunk *c = &chunks[i].chunk;
		struct buf raw = {0};
		struct meta_view view;
		ck_assert_int_eq(chunk_decode_meta(c,
					 data + chunks[i].at + sizeof(struct chunk_header), &raw),
			0);
		ck_assert_int_eq(meta_view_init(&view, &raw, c->arrival_ms), 0);
		struct meta_record record = {.arrival_ms = c->arrival_ms};
		for (uint32_t k = 0; k < c->record_count; k++) {
			ck_assert_int_eq(meta_view_next(&view, &record), 0);
			buf_printf(out, "%" PRIu64 " %" PRIu64 " %.*s", c->first_sequence + k,
				record.arrival_ms, (int)record.key_bytes,
				record.key_bytes ? (const char *)record.key : "");
			if (record.has_claim)
				buf_printf(out, " %02x%02x %" PRIu64, record.claim.digest[0],
					record.claim.digest[31], record.claim.payload_bytes);
			buf_printf(out, "\n");
		}
		ck_assert_uint_eq(record.arrival_ms, c->last_arrival_ms);
		meta_view_fini(&view);
		buf_fini(&raw);
	}
	free(data);
	*ret_chunks = count;
}

static void write_key(const char *key, const void *data, size_t bytes)
{
	struct sfs_writer *writer;
	size_t taken;
	ck_assert_int_eq(sfs_writer_open_key(stream, key, strlen(key), &writer), 0);
	ck_assert_int_eq(sfs_writer_write(writer, data, bytes, &taken), 0);
	ck_assert_uint_eq(taken, bytes);
	ck_assert_int_eq(sfs_writer_close(writer), 0);
}

/* Fills one segment with records of all kinds. Some chunks are large, some records long. */
static void fill_segment(void)
{
	char key[32], line[4096];
	configure("{\"large_records\":{\"threshold_bytes\":2048}}");
	for (unsigned i = 0; i < LINES; i++) {
		size_t bytes = make_line(line, sizeof line, i, i % 9 == 8 ? 3000 : PAD);
		snprintf(key, sizeof key, "key %u", i % 7);
		if (i % 3)
			write_key(key, line, bytes);
		else
			append_bytes(line, bytes);
		if (i % 20 == 0)
			usleep(2000); /* so that arrival times differ */
	}
	configure("{\"large_records\":{\"policy\":\"split\"}}");
	struct buf text = {0};
	add_lines(&text, 1000, 3000, 80);
	append_bytes(text.data, text.size);
	text.size = 0;
	ck_assert_int_eq(buf_reserve(&text, 1500001), 0);
	memset(text.data, 'z', 1500000);
	text.data[1500000] = '\n';
	append_bytes(text.data, 1500001);
	append_lines_one_by_one(LINES, 10, PAD);
	buf_fini(&text);
}

/* Fills a segment that is not merged yet. */
static void make_unmerged(void)
{
	open_all();
	fill_segment();
	close_all();
}

/* Reads the whole text. The caller frees it. */
static uint8_t *read_all(uint64_t *ret_bytes)
{
	uint64_t size = sfs_shard_size(shard), at = 0;
	uint8_t *text = malloc(size);
	while (at < size) {
		size_t n;
		ck_assert_int_eq(sfs_shard_read(shard, at, text + at, size - at, &n), 0);
		at += n;
	}
	*ret_bytes = size;
	return text;
}

/* Seals the segment, which starts the merge. */
static void seal(void)
{
	options.segment_chunks = 2;
	open_all();
}

START_TEST(records_stay_what_they_were)
{
	struct buf before = {0}, after = {0};
	size_t chunks_before, chunks_after;
	uint64_t bytes;
	make_unmerged();
	dump_segment(segment_file(0), &before, &chunks_before);
	open_all();
	uint8_t *text = read_all(&bytes);
	close_all();
	seal();
	append_lines_one_by_one(0, 1, PAD);
	tidier_drain(store->tidier);
	ck_assert_uint_eq(metric_get(&store->env.metrics.segments_merged), 1);
	check_range(0, bytes, text, 65537);
	dump_segment(segment_file(0), &after, &chunks_after);
	ck_assert_uint_lt(chunks_after, chunks_before / 4);
	ck_assert_uint_eq(after.size, before.size);
	ck_assert_mem_eq(after.data, before.data, before.size);
	ck_assert(exists(index_file(0)));
	ck_assert_uint_eq(count_files(".tmp", NULL), 0);
	reopen();
	check_range(0, bytes, text, 1 << 20);
	ck_assert_uint_eq(reports.errors, 0);
	free(text);
	buf_fini(&before);
	buf_fini(&after);
}
END_TEST

START_TEST(a_reader_that_holds_the_old_file_goes_on)
{
	uint64_t bytes;
	make_unmerged();
	options.segment_chunks = 2;
	open_all();
	uint8_t *text = read_all(&bytes);
	struct segment *old = segment_ref(shard->active);
	append_lines_one_by_one(0, 1, PAD);
	tidier_drain(store->tidier);
	ck_assert_uint_eq(metric_get(&store->env.metrics.segments_merged), 1);
	for (size_t i = 0; i < old->index.count; i++) {
		const struct index_item *item = &old->index.items[i];
		uint64_t text_bytes = index_item_end(&old->index, i) - item->start.offset;
		uint8_t *stored = malloc(item->stored_bytes), *got = malloc(text_bytes);
		struct chunk c;
		ck_assert_int_eq(
			pread(old->fd, stored, item->stored_bytes, (off_t)item->file_offset),
			item->stored_bytes);
		ck_assert_int_eq(segment_check_chunk(item, shard->tag, text_bytes, stored, &c), 0);
		ck_assert_int_eq(chunk_decode(&c, chunk_frame_of(&c, stored), got), 0);
		ck_assert(!memcmp(got, text + item->start.offset, text_bytes));
		free(stored);
		free(got);
	}
	segment_unref(old);
	free(text);
	close_all();
}
END_TEST

static struct fault fault;
static atomic_uint kill_calls;
static unsigned kill_at;

static int kill_before(struct disk_hook *hook, const struct disk_call *call, size_t *limit)
{
	(void)hook;
	(void)call;
	(void)limit;
	if (atomic_fetch_add(&kill_calls, 1) + 1 == kill_at)
		_exit(99);
	return 0;
}

static struct disk_hook kill_hook = {.before = kill_before};

static void merge_and_die(void)
{
	options.disk_hook = &kill_hook;
	kill_calls = 0;
	open_all();
	append_lines_one_by_one(0, 1, PAD);
	tidier_drain(store->tidier);
	(void)close_store();
}

static void make_plain(void)
{
	open_all();
	append_lines_one_by_one(0, LINES, PAD);
	close_all();
}

START_TEST(a_crash_at_any_step_leaves_old_or_new)
{
	struct buf want = {0};
	add_lines(&want, 0, LINES, PAD);
	unsigned merged = 0;
	for (kill_at = 1; !merged || kill_at < merged + 10; kill_at++) {
		static struct placed chunks[LINES];
		make_plain();
		options.segment_chunks = 2;
		in_killed_process(merge_and_die);
		size_t count = list_chunks(segment_file(0), chunks, LINES);
		ck_assert(count == 1 || count == LINES);
		if (count == 1 && !merged)
			merged = kill_at;
		options.disk_hook = NULL;
		options.read_only = true;
		open_all();
		check_range(0, want.size, want.data, 4096);
		ck_assert_uint_eq(reports.errors, 0);
		close_all();
		testdir_close(&dir);
		setup();
		ck_assert_uint_lt(kill_at, 1000);
	}
	buf_fini(&want);
}
END_TEST

START_TEST(a_fault_at_any_step_leaves_old_or_new)
{
	struct buf want = {0};
	add_lines(&want, 0, LINES, PAD);
	make_plain();
	options.segment_chunks = 2;
	for (unsigned n = 1;; n += stride()) {
		options.disk_hook = &fault.hook;
		fault_init(&fault, 0, n % 2 ? -EIO : -ENOSPC);
		open_all();
		pthread_rwlock_rdlock(&stream->home.lock);
		ck_assert_int_eq(shard_append_begin(shard), 0); /* seals it */
		shard_append_abort(shard);
		pthread_rwlock_unlock(&stream->home.lock);
		tidier_drain(store->tidier);
		fault.calls = 0;
		fault.fail_at = n;
		int r = merge_segment(shard, 0);
		bool hit = fault_hit(&fault);
		fault.fail_at = 0;
		ck_assert(r == 0 || hit);
		check_range(0, want.size, want.data, 4096);
		ck_assert_uint_eq(count_files(".tmp", NULL), 0);
		close_all();
		if (!hit)
			break;
	}
	buf_fini(&want);
}
END_TEST

START_TEST(a_damaged_segment_is_left_alone)
{
	struct placed chunks[LINES];
	size_t bytes, bytes_after;
	make_plain();
	list_chunks(segment_file(0), chunks, LINES);
	flip_byte(segment_file(0), chunks[7].at + (_i ? 130 : 20));
	uint8_t *before = slurp(segment_file(0), &bytes);
	seal();
	append_lines_one_by_one(LINES, 1, PAD);
	tidier_drain(store->tidier);
	uint8_t *after = slurp(segment_file(0), &bytes_after);
	ck_assert_uint_eq(bytes_after, bytes);
	ck_assert_mem_eq(after, before, bytes);
	ck_assert_uint_eq(metric_get(&store->env.metrics.segments_merged), 0);
	ck_assert_int_eq(read_one(chunks[7].chunk.text_offset), -EBADMSG);
	ck_assert_int_eq(read_one(chunks[8].chunk.text_offset), 1);
	free(before);
	free(after);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("merge");
	TCase *tcase = add_case(suite, "merge");
	tcase_add_test(tcase, records_stay_what_they_were);
	tcase_add_test(tcase, a_reader_that_holds_the_old_file_goes_on);
	tcase_add_test(tcase, a_crash_at_any_step_leaves_old_or_new);
	tcase_add_test(tcase, a_fault_at_any_step_leaves_old_or_new);
	tcase_add_loop_test(tcase, a_damaged_segment_is_left_alone, 0, 2);
	return run_suite(suite);
}
