/* SPDX-License-Identifier: MIT */
/* What outlives a process: unsynced text and names, and what recovery keeps aside. */
#include "stream_blobs.h"
#include "stream_document.h"
#include "storetest.h"

enum { PAD = 100, LINE = 16 + PAD + 1, FEW = 10 };

/* Makes FEW chunks of one line each, synced, and closes the store. */
static void make_synced(void)
{
	open_all();
	append_lines_one_by_one(0, FEW, PAD);
	close_all();
}

static void append_unsynced(void)
{
	open_all();
	append_lines_one_by_one(0, FEW, PAD);
}

static void append_more_unsynced(void)
{
	open_all();
	append_lines_one_by_one(FEW, FEW, PAD);
}

/* Makes a store whose first half is synced and whose second half is not. */
static void make_half_synced(void)
{
	make_synced();
	in_killed_process(append_more_unsynced);
}

static void roll_unsynced(void)
{
	options.segment_chunks = 4;
	open_all();
	append_lines_one_by_one(0, FEW, PAD);
}

static void check_goes_on(unsigned lines)
{
	append_lines_one_by_one(lines, 3, PAD);
	check_lines(lines + 3, PAD);
	reopen();
	check_lines(lines + 3, PAD);
}

/* --- what was written and not synced --- */

/* Calls of the disk in their order. */
struct call_log {
	struct disk_hook hook; /* first */
	pthread_mutex_t lock;
	unsigned count;
	struct {
		enum disk_op op;
		uint64_t offset, bytes;
		ino_t inode;
		bool watermark;
	} calls[512];
};

static void log_call(struct disk_hook *hook, const struct disk_call *call, int result)
{
	struct call_log *log = (struct call_log *)hook;
	struct stat st;
	(void)result;
	SCOPED_LOCK(&log->lock);
	if (call->op == DISK_READ || log->count == sizeof log->calls / sizeof *log->calls)
		return;
	unsigned i = log->count++;
	log->calls[i].op = call->op;
	log->calls[i].offset = call->offset;
	log->calls[i].bytes = call->bytes;
	log->calls[i].inode = fstat(call->fd, &st) == 0 ? st.st_ino : 0;
	log->calls[i].watermark =
		call->op == DISK_OPEN && strstr(call->name, "/synced") && call->flags & O_CREAT;
}

static struct call_log calls = {.hook = {.after = log_call}, .lock = PTHREAD_MUTEX_INITIALIZER};

static unsigned logged(enum disk_op op, unsigned from)
{
	unsigned count = 0;
	for (unsigned i = from; i < calls.count; i++)
		count += calls.calls[i].op == op;
	return count;
}

START_TEST(unsynced_text_is_written_again_when_it_is_opened)
{
	struct placed chunks[2 * FEW];
	make_half_synced();
	ck_assert_uint_eq(list_chunks(segment_file(0), chunks, 2 * FEW), 2 * FEW);
	size_t bytes, after;
	uint8_t *before = slurp(segment_file(0), &bytes);
	calls.count = 0;
	options.disk_hook = &calls.hook;
	open_all();
	ck_assert_uint_eq(logged(DISK_WRITE, 0), 1);
	for (unsigned i = 0; i < calls.count; i++)
		if (calls.calls[i].op == DISK_WRITE) {
			ck_assert_uint_eq(calls.calls[i].offset, chunks[FEW].at);
			ck_assert_uint_eq(calls.calls[i].bytes, bytes - chunks[FEW].at);
		}
	uint8_t *now = slurp(segment_file(0), &after);
	ck_assert(after == bytes && !memcmp(now, before, bytes));
	free(before);
	free(now);
	sync_shard_now();
	check_goes_on(2 * FEW);
	calls.count = 0;
	reopen(); /* all is synced now */
	ck_assert_uint_eq(logged(DISK_WRITE, 0), 0);
	close_all();
}
END_TEST

START_TEST(unsynced_sealed_segments_are_written_again_too)
{
	uint64_t bases[8], bytes = 0, written = 0;
	in_killed_process(roll_unsynced);
	size_t count = list_bases(bases, 8);
	ck_assert_uint_eq(count, 3);
	for (size_t i = 0; i < count; i++)
		bytes += file_size(segment_file(bases[i]));
	calls.count = 0;
	options.disk_hook = &calls.hook;
	options.segment_chunks = 4;
	open_all();
	for (unsigned i = 0; i < calls.count; i++)
		if (calls.calls[i].op == DISK_WRITE)
			written += calls.calls[i].bytes;
	ck_assert_uint_eq(written, bytes);
	check_lines(FEW, PAD);
	close_all();
}
END_TEST

START_TEST(what_cannot_be_written_again_is_read_but_never_called_durable)
{
	struct fault fault;
	fault_init(&fault, 1, -EIO);
	fault.only = DISK_WRITE;
	make_half_synced();
	options.disk_hook = &fault.hook;
	open_all();
	ck_assert(fault_hit(&fault));
	check_lines(2 * FEW, PAD);
	ck_assert(reported("writing again"));
	ck_assert_int_eq(sfs_shard_sync(shard), -EIO);
	ck_assert_int_eq(try_append("no\n"), -EROFS);
	ck_assert_uint_eq(synced_offset(), FEW * LINE);
	ck_assert_int_eq(close_store(), -EIO);
	open_all(); /* the disk works again */
	sync_shard_now();
	check_goes_on(2 * FEW);
}
END_TEST

/* A disk on which syncs by the syncer's threads never end. */
static pthread_t appender;

static int stall_syncer(struct disk_hook *hook, const struct disk_call *call, size_t *limit)
{
	(void)hook;
	(void)limit;
	while (call->op == DISK_SYNC && !pthread_equal(pthread_self(), appender))
		pause();
	return 0;
}

static struct disk_hook stalled = {.before = stall_syncer};

enum { MANY = 40 }; /* segments */

static size_t unsynced_count(void)
{
	pthread_mutex_lock(&shard->lock);
	size_t count = shard->sync.unsynced_count;
	pthread_mutex_unlock(&shard->lock);
	return count;
}

static void roll_many(void)
{
	appender = pthread_self();
	options.disk_hook = &stalled;
	options.segment_chunks = 1;
	open_all();
	append_lines_one_by_one(0, MANY, PAD);
	if (unsynced_count() > UNSYNCED_SEGMENTS)
		_exit(1);
}

START_TEST(unsynced_segments_are_bounded)
{
	uint64_t bases[MANY + 1];
	in_killed_process(roll_many);
	ck_assert_uint_eq(list_bases(bases, MANY + 1), MANY);
	calls.count = 0;
	options.disk_hook = &calls.hook;
	open_all();
	ck_assert_uint_le(unsynced_count(), UNSYNCED_SEGMENTS); /* the syncer may have taken some */
	ck_assert_uint_ge(logged(DISK_SYNC, 0), MANY - 1 - UNSYNCED_SEGMENTS);
	check_lines(MANY, PAD);
	sync_shard_now();
	ck_assert_uint_eq(synced_offset(), MANY * LINE);
	close_all();
}
END_TEST

START_TEST(many_sealed_segments_are_synced_without_waiting_for_the_flush)
{
	options.segment_chunks = 1;
	open_all(); /* flushes once an hour */
	append_lines_one_by_one(0, UNSYNCED_SEGMENTS, PAD);
	for (int i = 0; !synced_offset() && i < 60000; i++)
		usleep(1000);
	ck_assert_uint_gt(synced_offset(), 0);
	close_all();
}
END_TEST

START_TEST(entry_of_the_watermark_is_synced_after_it_was_made)
{
	options.disk_hook = &calls.hook;
	open_all();
	calls.count = 0;
	append_lines_one_by_one(0, 1, PAD);
	sync_shard_now();
	close_all();
	unsigned made = 0;
	while (made < calls.count && !calls.calls[made].watermark)
		made++;
	ck_assert_uint_lt(made, calls.count);
	ck_assert_uint_eq(logged(DISK_SYNC_DIR, made), 1);
}
END_TEST

static bool synced_since(const char *path, unsigned from)
{
	struct stat st;
	ck_assert_int_eq(stat(path, &st), 0);
	for (unsigned i = from; i < calls.count; i++)
		if (calls.calls[i].op == DISK_SYNC_DIR && calls.calls[i].inode == st.st_ino)
			return true;
	return false;
}

/* Their creator may have been killed before it synced them. */
START_TEST(directories_are_synced_once_before_anything_in_them_counts)
{
	char path[400];
	make_synced();
	calls.count = 0;
	options.disk_hook = &calls.hook;
	open_store();
	ck_assert(synced_since(dir.path, 0));
	snprintf(path, sizeof path, "%s/..", dir.path);
	ck_assert(synced_since(path, 0));
	snprintf(path, sizeof path, "%s/streams", dir.path);
	ck_assert(synced_since(path, 0));
	close_all();
}
END_TEST

/* --- what was kept aside --- */

START_TEST(torn_ends_of_one_place_are_all_kept)
{
	char name[256];
	make_synced();
	uint64_t end = file_size(segment_file(0));
	for (unsigned i = 1; i <= 3; i++) {
		put_at(segment_file(0), end, "torn %", 6);
		open_all();
		close_all();
		ck_assert_uint_eq(count_files(".torn", name), i);
		ck_assert_uint_eq(file_size(segment_file(0)), end);
	}
}
END_TEST

START_TEST(torn_end_is_kept_durably_before_it_is_cut)
{
	make_synced();
	put_at(segment_file(0), file_size(segment_file(0)), "torn", 4);
	options.disk_hook = &calls.hook;
	open_store();
	calls.count = 0;
	open_shard();
	unsigned cut = 0;
	while (cut < calls.count && calls.calls[cut].op != DISK_TRUNCATE)
		cut++;
	ck_assert_uint_lt(cut, calls.count);
	ck_assert(synced_since(file_path(""), 0));
	for (unsigned i = cut; i < calls.count; i++)
		ck_assert_int_ne(calls.calls[i].op, DISK_SYNC_DIR);
	close_all();
}
END_TEST

START_TEST(torn_end_that_cannot_be_cut_is_kept_once)
{
	struct fault fault;
	fault_init(&fault, 1, -EIO);
	fault.only = DISK_TRUNCATE;
	fault.lasting = true;
	make_synced();
	put_at(segment_file(0), file_size(segment_file(0)), "torn", 4);
	options.disk_hook = &fault.hook;
	open_store();
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(sfs_stream_shard(stream, 0, &shard), -EIO);
	ck_assert_uint_eq(count_files(".torn", NULL), 0);
	fault.fail_at = 0;
	open_shard();
	check_lines(FEW, PAD);
	ck_assert_uint_eq(count_files(".torn", NULL), 1);
	close_all();
}
END_TEST

static const char *found_file(char name[256])
{
	static char path[400];
	snprintf(path, sizeof path, "%s/lost+found", dir.path);
	DIR *listing = opendir(path);
	path[0] = 0;
	for (struct dirent *e; listing && (e = readdir(listing));)
		if (strstr(e->d_name, ".torn")) {
			snprintf(name, 256, "%s", e->d_name);
			snprintf(path, sizeof path, "%s/lost+found/%s", dir.path, name);
		}
	if (listing)
		closedir(listing);
	return path;
}

static void make_torn_only(void)
{
	in_killed_process(append_unsynced);
	cut_file(segment_file(0), 40);
}

static void remove_orders(int want)
{
	sfs_shard_unref(shard);
	sfs_stream_unref(stream);
	shard = NULL;
	stream = NULL;
	ck_assert_int_eq(sfs_stream_remove(store, "orders"), want);
}

START_TEST(removing_a_stream_saves_what_was_kept_aside)
{
	char name[256] = "";
	make_torn_only();
	open_all();
	ck_assert_uint_eq(sfs_shard_size(shard), 0);
	ck_assert_uint_eq(count_files(".torn", NULL), 1);
	remove_orders(0);
	ck_assert_uint_eq(file_size(found_file(name)), 40);
	ck_assert_str_eq(name, "orders.1.shard-0000.00000000000000000000.at-0.torn");
	ck_assert(!exists(file_path("")));
	ck_assert_int_eq(close_store(), 0);
}
END_TEST

/* The second rename moves it. */
START_TEST(what_was_kept_aside_is_saved_at_the_next_opening_if_it_could_not_be_moved)
{
	char name[256] = "";
	struct fault fault;
	fault_init(&fault, 0, -EIO);
	fault.only = DISK_RENAME;
	make_torn_only();
	options.disk_hook = &fault.hook;
	open_all();
	fault.calls = 0;
	fault.fail_at = 2;
	remove_orders(0);
	ck_assert(fault_hit(&fault));
	ck_assert_str_eq(found_file(name), "");
	ck_assert_int_eq(close_store(), 0);
	fault.fail_at = 0;
	ck_assert_int_eq(try_open_store(), 0);
	ck_assert_uint_eq(file_size(found_file(name)), 40);
	ck_assert_int_eq(close_store(), 0);
}
END_TEST

/* --- what is missing or wrong beside the segments --- */

START_TEST(missing_watermark_is_reported)
{
	make_synced();
	open_all();
	append_lines_one_by_one(FEW, 1, PAD); /* the header of the last chunk shows a sync */
	close_all();
	ck_assert_int_eq(unlink(file_path("synced")), 0);
	open_all();
	ck_assert(reported("orders/shard-0000/synced: missing;"));
	ck_assert_uint_eq(reports.errors, 1);
	check_lines(FEW + 1, PAD);
	reopen();
	ck_assert(!reported("synced"));
	close_all();
}
END_TEST

START_TEST(missing_watermark_of_a_shard_that_tells_of_no_sync_is_mentioned)
{
	in_killed_process(append_unsynced);
	open_all();
	ck_assert(reported("orders/shard-0000/synced: missing: lost, or"));
	ck_assert_uint_eq(reports.errors, 0);
	close_all();
}
END_TEST

static void write_ranges(int which)
{
	struct sfs_shard **shards = stream->table.shards;
	switch (which) {
	case 1: /* a hole */
		shards[1]->hash_first.low++;
		break;
	case 2: /* an overlap */
		shards[1]->hash_first.low--;
		break;
	case 3: /* the end is missing */
		shards[2]->hash_last.low--;
		break;
	case 4: /* the beginning is missing */
		shards[0]->hash_first.low++;
		break;
	case 5: /* backwards */
		shards[1]->hash_last = (struct hash_key){0, 0};
		break;
	case 6: /* one behind the end */
		shards[1]->hash_last = shards[2]->hash_last;
		shards[2]->hash_first = shards[2]->hash_last;
		break;
	default:
		break;
	}
	ck_assert_int_eq(stream_document_save(stream, "orders"), 0);
}

START_TEST(hash_ranges_that_do_not_cover_each_key_once_are_refused)
{
	open_store();
	configure("{\"shards\":3}");
	write_ranges(_i);
	ck_assert_int_eq(close_store(), 0);
	ck_assert_int_eq(try_open_store(), 0);
	int r = sfs_stream_lookup(store, "orders", &stream);
	ck_assert_int_eq(r, _i ? -EBADMSG : 0);
	ck_assert_int_eq(reported("hash ranges are wrong"), _i != 0);
	ck_assert_int_eq(close_store(), 0);
}
END_TEST

START_TEST(blobs_elsewhere_go_with_their_stream_though_never_opened)
{
	struct testdir blobs;
	char path[400], hex[65];
	testdir_open(&blobs);
	options.blob_dir = blobs.path;
	open_store();
	{
		SCOPED_RDLOCK(&stream->home.lock);
		ck_assert_int_eq(stream_blobs_open(stream, true), 0);
	}
	int n = snprintf(path, sizeof path, "%s/%s/%u", blobs.path, store->uuid, 1u);
	ck_assert(exists(path));
	memset(hex, 'a', 64);
	hex[64] = 0;
	snprintf(path + n, sizeof path - (size_t)n, "/aa");
	ck_assert_int_eq(mkdir(path, 0700), 0);
	snprintf(path + n, sizeof path - (size_t)n, "/aa/%s.lz4", hex);
	put_at(path, 0, "x", 1);
	ck_assert_int_eq(close_store(), 0);
	open_store();
	tidier_drain(store->tidier); /* the sweep has opened the blobs; undo that: */
	close(stream->blobs.dir);
	stream->blobs.dir = -1;
	remove_orders(0);
	path[n] = 0;
	ck_assert(!exists(path));
	ck_assert_int_eq(close_store(), 0);
	testdir_close(&blobs);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("durability");
	TCase *all = add_case(suite, "durability");
	tcase_add_test(all, unsynced_text_is_written_again_when_it_is_opened);
	tcase_add_test(all, unsynced_sealed_segments_are_written_again_too);
	tcase_add_test(all, what_cannot_be_written_again_is_read_but_never_called_durable);
	tcase_add_test(all, unsynced_segments_are_bounded);
	tcase_add_test(all, many_sealed_segments_are_synced_without_waiting_for_the_flush);
	tcase_add_test(all, entry_of_the_watermark_is_synced_after_it_was_made);
	tcase_add_test(all, directories_are_synced_once_before_anything_in_them_counts);
	tcase_add_test(all, torn_ends_of_one_place_are_all_kept);
	tcase_add_test(all, torn_end_is_kept_durably_before_it_is_cut);
	tcase_add_test(all, torn_end_that_cannot_be_cut_is_kept_once);
	tcase_add_test(all, removing_a_stream_saves_what_was_kept_aside);
	tcase_add_test(
		all, what_was_kept_aside_is_saved_at_the_next_opening_if_it_could_not_be_moved);
	tcase_add_test(all, missing_watermark_is_reported);
	tcase_add_test(all, missing_watermark_of_a_shard_that_tells_of_no_sync_is_mentioned);
	tcase_add_loop_test(all, hash_ranges_that_do_not_cover_each_key_once_are_refused, 0, 7);
	tcase_add_test(all, blobs_elsewhere_go_with_their_stream_though_never_opened);
	return run_suite(suite);
}
