/* SPDX-License-Identifier: MIT */
/* Many threads at once: no record is lost, doubled or reordered, and text never changes. */
#include "storetest.h"

#include <pthread.h>
#include <xxhash.h>

enum { WRITERS = 16, READERS = 3, ROUNDS = 40, PAD = 30, SHARDS = 4 };

enum target { TO_SHARD, TO_KEY, TO_PUT };

static enum target target;
static struct sfs_shard *shards[SHARDS];
static atomic_bool stop;

/* Line `i` of writer `w` carries both numbers: w * 100000 + i. */
static void *write_records(void *context)
{
	unsigned w = (unsigned)(uintptr_t)context;
	struct sfs_writer *writer;
	char key[32];
	snprintf(key, sizeof key, "writer %u", w);
	int r = target == TO_SHARD ? sfs_writer_open_shard(shards[0], &writer)
		: target == TO_KEY ? sfs_writer_open_key(stream, key, strlen(key), &writer)
				   : sfs_writer_open_put(stream, &writer);
	ck_assert_int_eq(r, 0);
	for (unsigned i = 0, round = 0; round < ROUNDS; round++) {
		struct buf text = {0};
		size_t taken;
		unsigned lines = round % 5 + 1;
		add_lines(&text, w * 100000 + i, lines, PAD);
		i += lines;
		size_t cut = text.size - round % 3; /* some lines end in the next write */
		ck_assert_int_eq(sfs_writer_write(writer, text.data, cut, &taken), 0);
		ck_assert_int_eq(
			sfs_writer_write(writer, text.data + cut, text.size - cut, &taken), 0);
		if (round % 16 == w)
			ck_assert_int_eq(sfs_writer_sync_wait(writer), 0);
		buf_fini(&text);
	}
	ck_assert_int_eq(sfs_writer_close(writer), 0);
	return NULL;
}

/* Checks that the size only rises and that text never changes. */
static void *read_records(void *context)
{
	uint64_t sizes[SHARDS] = {0}, hashes[SHARDS] = {0}, seed = (uintptr_t)context * 7919 + 1;
	while (!stop)
		for (unsigned i = 0; i < SHARDS && shards[i]; i++) {
			uint64_t size = sfs_shard_size(shards[i]);
			ck_assert_uint_ge(size, sizes[i]);
			uint8_t *text = malloc(size + 1);
			uint64_t at = 0;
			while (at < size) {
				size_t n, step = 1 + seed++ * 2654435761u % 30000;
				if (step > size - at)
					step = size - at;
				ck_assert_int_eq(
					sfs_shard_read(shards[i], at, text + at, step, &n), 0);
				ck_assert_uint_eq(n, step);
				at += n;
			}
			ck_assert(!sizes[i] || XXH3_64bits(text, sizes[i]) == hashes[i]);
			ck_assert(!size || text[size - 1] == '\n');
			sizes[i] = size;
			hashes[i] = XXH3_64bits(text, size);
			free(text);
		}
	return NULL;
}

static void run_threads(void)
{
	pthread_t writers[WRITERS], readers[READERS];
	stop = false;
	for (uintptr_t i = 0; i < READERS; i++)
		pthread_create(&readers[i], NULL, read_records, (void *)i);
	for (uintptr_t i = 0; i < WRITERS; i++)
		pthread_create(&writers[i], NULL, write_records, (void *)i);
	for (unsigned i = 0; i < WRITERS; i++)
		pthread_join(writers[i], NULL);
	stop = true;
	for (unsigned i = 0; i < READERS; i++)
		pthread_join(readers[i], NULL);
}

/* Each line of each writer is there once, in order. Lines of one key are in one shard. */
static void check_records(unsigned count)
{
	static unsigned next[WRITERS], in_shard[WRITERS];
	unsigned total = 0, each = 0;
	memset(next, 0, sizeof next);
	for (unsigned round = 0; round < ROUNDS; round++)
		each += round % 5 + 1;
	for (unsigned i = 0; i < count; i++) {
		uint64_t size = sfs_shard_size(shards[i]);
		size_t n = 0;
		char *text = malloc(size + 1), line[128];
		ck_assert_int_eq(sfs_shard_read(shards[i], 0, text, size, &n), 0);
		ck_assert_uint_eq(n, size);
		for (char *p = text; p < text + size; total++) {
			unsigned number = (unsigned)strtoul(p + 7, NULL, 10);
			unsigned w = number / 100000;
			size_t bytes = make_line(line, sizeof line, number, PAD);
			ck_assert_uint_lt(w, WRITERS);
			ck_assert(bytes <= (size_t)(text + size - p) && !memcmp(p, line, bytes));
			ck_assert(target == TO_PUT || number % 100000 == next[w]);
			ck_assert(target != TO_KEY || !next[w] || in_shard[w] == i);
			in_shard[w] = i;
			next[w]++;
			p += bytes;
		}
		struct sfs_shard_info info;
		sfs_shard_info(shards[i], &info);
		ck_assert_uint_eq(info.size_bytes, size);
		free(text);
	}
	for (unsigned w = 0; w < WRITERS; w++)
		ck_assert_uint_eq(next[w], each);
	ck_assert_uint_eq(total, each * WRITERS);
}

static void take_shards(unsigned count)
{
	memset(shards, 0, sizeof shards);
	for (unsigned i = 0; i < count; i++)
		ck_assert_int_eq(sfs_stream_shard(stream, i, &shards[i]), 0);
}

static void give_shards_back(unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		sfs_shard_unref(shards[i]);
}

START_TEST(threads_do_not_disturb_each_other)
{
	unsigned count = _i == TO_SHARD ? 1 : SHARDS;
	target = (enum target)_i;
	options.segment_chunks = 50; /* so that segments are sealed and merged meanwhile */
	open_store();
	if (count > 1)
		configure("{\"shards\":4,\"key\":{\"field\":2,\"separator\":\" \"}}");
	configure("{\"flush_interval_ms\":3}");
	take_shards(count);
	run_threads();
	check_records(count);
	give_shards_back(count);
	close_all();
	open_store();
	take_shards(count);
	check_records(count);
	ck_assert_uint_eq(reports.errors, 0);
	give_shards_back(count);
	close_all();
}
END_TEST

static void *sync_again_and_again(void *context)
{
	(void)context;
	while (!stop) {
		uint64_t size = sfs_shard_size(shards[0]);
		ck_assert_int_eq(sfs_shard_sync(shards[0]), 0);
		struct sfs_shard_info info;
		sfs_shard_info(shards[0], &info);
		ck_assert_uint_ge(info.synced_offset, size);
	}
	return NULL;
}

START_TEST(a_sync_covers_all_that_was_published_before)
{
	pthread_t syncers[4];
	target = TO_SHARD;
	options.segment_chunks = 8;
	open_store();
	take_shards(1);
	for (unsigned i = 0; i < 4; i++)
		pthread_create(&syncers[i], NULL, sync_again_and_again, NULL);
	run_threads();
	for (unsigned i = 0; i < 4; i++)
		pthread_join(syncers[i], NULL);
	check_records(1);
	give_shards_back(1);
	close_all();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("concurrency");
	TCase *tcase = add_case(suite, "concurrency");
	tcase_add_loop_test(tcase, threads_do_not_disturb_each_other, TO_SHARD, TO_PUT + 1);
	tcase_add_test(tcase, a_sync_covers_all_that_was_published_before);
	return run_suite(suite);
}
