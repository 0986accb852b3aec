/* SPDX-License-Identifier: MIT */
/* Blobs on a disk without faults: storing, reading, listing, removing. */
#include "blobtest.h"

#include "clock.h"

#include <lz4frame.h>
#include <sha2.h>

/* --- digests in hex --- */

START_TEST(hex_is_the_digest)
{
	uint8_t digest[32], back[32] = {0};
	char hex[65];
	for (int i = 0; i < 32; i++)
		digest[i] = (uint8_t)(i * 9 + 1);
	digest_to_hex(digest, hex);
	ck_assert_str_eq(hex, "010a131c252e374049525b646d767f88919aa3acb5bec7d0d9e2ebf4fd060f18");
	ck_assert_int_eq(digest_from_hex(hex, back), 0);
	ck_assert_mem_eq(back, digest, 32);
	ck_assert_uint_eq(digest_owner(digest), 0x40372e251c130a01);
}
END_TEST

START_TEST(what_is_no_digest_is_refused)
{
	static const char good[] =
		"010a131c252e374049525b646d767f88919aa3acb5bec7d0d9e2ebf4fd060f18";
	static const char bad[] = "/:@G`gAF.x \n";
	uint8_t digest[32] = {7};
	char hex[66];
	for (const char *c = bad; *c; c++)
		for (int i = 0; i < 64; i += 21) {
			strcpy(hex, good);
			hex[i] = *c;
			ck_assert_int_eq(digest_from_hex(hex, digest), -EINVAL);
			ck_assert_int_eq(try_open(hex), -ENOENT);
		}
	strcpy(hex, good);
	strcat(hex, "0");
	ck_assert_int_eq(digest_from_hex(hex, digest), -EINVAL);
	hex[63] = 0;
	ck_assert_int_eq(digest_from_hex(hex, digest), -EINVAL);
	ck_assert_int_eq(digest_from_hex("", digest), -EINVAL);
	ck_assert_int_eq(try_open("../../../etc/passwd"), -ENOENT);
	ck_assert_uint_eq(digest[0], 7);
}
END_TEST

/* --- storing and reading --- */

static const size_t sizes[] = {0, 1, 100, 65536, MIB - 1, MIB, MIB + 1, 2 * MIB, 3 * MIB + 12345};

START_TEST(every_size_reads_back)
{
	size_t size = sizes[_i];
	for (int c = 0; c < 2; c++) {
		uint8_t digest[32], want[32];
		char hex[65];
		SHA2_CTX sha;
		uint8_t *data = fill((uint64_t)_i * 2 + (uint64_t)c, size, 30);
		SHA256Init(&sha);
		SHA256Update(&sha, data, size);
		SHA256Final(want, &sha);
		ck_assert_int_eq(
			blobs_put(&blobs, &payload, c ? COMPRESSION_NONE : COMPRESSION_LZ4, digest),
			0);
		blobs_put_done(&blobs, digest);
		ck_assert_mem_eq(digest, want, 32);
		digest_to_hex(digest, hex);
		check_blob(hex, 131072, data, size);
		check_blob(hex, 99991, data, size);
		check_blob(hex, 4 * MIB, data, size);
		free(data);
	}
	ck_assert_int_eq(count_names(".tmp"), 0);
}
END_TEST

START_TEST(any_range_reads_back)
{
	char hex[65];
	const size_t size = 3 * MIB + 500;
	uint8_t *data = fill(1, size, 20), *got = malloc(size);
	put_done(hex);
	struct blob *blob = open_blob(hex);
	for (uint64_t x = 1, i = 0; i < 300; i++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		uint64_t offset = (x >> 20) % (size + 10);
		size_t bytes = (size_t)(x >> 5) % (i % 3 ? 5000 : 2 * MIB), n = 0;
		ck_assert_int_eq(blob_read(blob, offset, got, bytes, &n), 0);
		size_t left = offset < size ? size - offset : 0;
		ck_assert_uint_eq(n, bytes < left ? bytes : left);
		ck_assert_int_eq(memcmp(got, data + offset, n), 0);
	}
	blob_close(blob);
	free(data);
	free(got);
}
END_TEST

START_TEST(file_is_what_the_lz4_tool_reads)
{
	char hex[65];
	const size_t size = 2 * MIB + 77;
	uint8_t *data = fill(2, size, 50), *got = malloc(size + 1), *stored;
	put_done(hex);
	size_t stored_bytes = 0, in = 0, out = 0;
	char path[80];
	snprintf(path, sizeof path, "%.2s/%s.lz4", hex, hex);
	ck_assert_int_eq(
		disk_slurp(&disk, dir.fd, path, 3 * MIB, (char **)&stored, &stored_bytes), 0);
	LZ4F_dctx *lz4;
	ck_assert(!LZ4F_isError(LZ4F_createDecompressionContext(&lz4, LZ4F_VERSION)));
	while (in < stored_bytes) {
		size_t read = stored_bytes - in, wrote = size + 1 - out;
		size_t r = LZ4F_decompress(lz4, got + out, &wrote, stored + in, &read, NULL);
		ck_assert(!LZ4F_isError(r) && (read || wrote));
		in += read;
		out += wrote;
	}
	LZ4F_freeDecompressionContext(lz4);
	ck_assert_uint_eq(out, size);
	ck_assert_int_eq(memcmp(got, data, size), 0);
	free(data);
	free(got);
	free(stored);
}
END_TEST

START_TEST(chunks_are_bound_to_the_digest)
{
	char hex[65];
	uint8_t digest[32];
	uint64_t before_ms = clock_wall_ms(), at = 0, text = 0;
	put_bytes(3, 2 * MIB + 10, hex);
	ck_assert_int_eq(digest_from_hex(hex, digest), 0);
	for (int i = 0; i < 3; i++) {
		struct chunk c;
		parse_at(hex, at, &c);
		ck_assert_uint_eq(c.owner, digest_owner(digest));
		ck_assert_uint_eq(c.text_offset, text);
		ck_assert_uint_eq(c.text_bytes, i < 2 ? MIB : 10);
		ck_assert_uint_eq(c.first_sequence, 0);
		ck_assert_uint_eq(c.record_count, 0);
		ck_assert_uint_eq(c.incompatible,
			(i > 0 ? CHUNK_CONTINUES : 0) | (i < 2 ? CHUNK_OPEN_END : 0));
		ck_assert_uint_ge(c.arrival_ms, before_ms);
		ck_assert_uint_le(c.arrival_ms, clock_wall_ms());
		text += c.text_bytes;
		at += chunk_stored_bytes(&c);
	}
	ck_assert_int_eq(stat_blob(hex).st_size, (off_t)at);
}
END_TEST

START_TEST(blob_tells_size_and_time)
{
	char hex[65];
	for (int i = 0; i < 2; i++) {
		size_t size = i ? 0 : 2 * MIB;
		uint64_t before_ms = clock_wall_ms() - 10; /* the filesystem's clock is coarser */
		put_bytes(4, size, hex);
		struct blob *blob = open_blob(hex);
		ck_assert_uint_eq(blob_size(blob), size);
		ck_assert_uint_eq(blob_stored(blob), (uint64_t)stat_blob(hex).st_size);
		ck_assert_uint_le(blob_stored(blob), size / 4);
		ck_assert_uint_ge(blob_time_ms(blob), before_ms);
		ck_assert_uint_le(blob_time_ms(blob), clock_wall_ms());
		blob_close(blob);
	}
}
END_TEST

START_TEST(noise_takes_hardly_more_than_its_size)
{
	char hex[65];
	free(fill(5, 3 * MIB, 100));
	put_done(hex);
	ck_assert_int_le(stat_blob(hex).st_size, 3 * MIB + 3 * 200);
}
END_TEST

START_TEST(without_compression_the_payload_is_stored_as_it_is)
{
	uint8_t digest[32], *data = fill(6, 2 * MIB, 0), text[1000];
	char hex[65];
	ck_assert_int_eq(blobs_put(&blobs, &payload, COMPRESSION_NONE, digest), 0);
	blobs_put_done(&blobs, digest);
	digest_to_hex(digest, hex);
	ck_assert_int_ge(stat_blob(hex).st_size, 2 * MIB);
	int fd = open(blob_path(hex), O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(pread(fd, text, sizeof text, 5000), sizeof text);
	close(fd);
	ck_assert_ptr_nonnull(memmem(data, 10000, text, sizeof text));
	free(data);
}
END_TEST

START_TEST(files_are_private)
{
	char hex[65], path[100];
	struct stat st;
	mode_t mask = umask(0);
	put_bytes(7, 100, hex);
	umask(mask);
	ck_assert_uint_eq(stat_blob(hex).st_mode & 07777, 0600);
	snprintf(path, sizeof path, "%s/%.2s", dir.path, hex);
	ck_assert_int_eq(stat(path, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0700);
}
END_TEST

START_TEST(equal_payloads_are_stored_once)
{
	char hex[65], again[65];
	for (int i = 0; i < 3; i++) {
		put_bytes(8, sizes[i * 4], hex);
		struct stat before = stat_blob(hex);
		make_old(blob_path(hex));
		put_done(again);
		ck_assert_str_eq(hex, again);
		struct stat after = stat_blob(hex);
		ck_assert_uint_eq(after.st_ino, before.st_ino);
		ck_assert_int_ge(after.st_mtim.tv_sec, before.st_mtim.tv_sec);
	}
	ck_assert_int_eq(count_names(".lz4"), 3);
}
END_TEST

START_TEST(there_is_nothing_before_the_directory_is_made)
{
	struct blobs none;
	struct blob *blob;
	uint64_t removed = 7;
	blobs_init(&none, &disk, -1);
	ck_assert_int_eq(
		blob_open(&none, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
			&blob),
		-ENOENT);
	ck_assert_int_eq(blobs_list(&none, NULL, NULL), 0);
	ck_assert_int_eq(sweep(&none, 0, keep_none, NULL, &removed), 0);
	ck_assert_uint_eq(removed, 0);
	ck_assert_int_eq(blobs_remove_all(&none), 0);
	blobs_fini(&none);
}
END_TEST

START_TEST(unknown_digest_is_not_there)
{
	char hex[65];
	put_bytes(9, 100, hex);
	hex[63] = hex[63] == '0' ? '1' : '0'; /* its XX directory exists */
	ck_assert_int_eq(try_open(hex), -ENOENT);
	hex[0] = hex[0] == '0' ? '1' : '0';
	ck_assert_int_eq(try_open(hex), -ENOENT);
	blob_close(NULL);
}
END_TEST

/* --- what is durable --- */

/* The calls that changed the disk, one letter each. */
struct trail {
	struct disk_hook hook; /* first */
	char letters[64];
	size_t count;
	int root; /* descriptor of the blob directory */
};

static void trail_after(struct disk_hook *hook, const struct disk_call *call, int result)
{
	static const char letters[] = {[DISK_WRITE] = 'w',
		[DISK_SYNC] = 's',
		[DISK_SYNC_DIR] = 'd',
		[DISK_RENAME] = 'r',
		[DISK_UNLINK] = 'u',
		[DISK_MKDIR] = 'm'};
	struct trail *t = (struct trail *)hook;
	(void)result;
	char letter = call->op < sizeof letters ? letters[call->op] : 0;
	if (call->op == DISK_SYNC_DIR && call->fd == t->root)
		letter = 'D';
	if (letter && t->count < sizeof t->letters - 1)
		t->letters[t->count++] = letter;
}

static void check_trail(struct blobs *on, struct trail *trail, const char *want)
{
	uint8_t digest[32];
	memset(trail->letters, 0, sizeof trail->letters);
	trail->count = 0;
	ck_assert_int_eq(blobs_put(on, &payload, COMPRESSION_LZ4, digest), 0);
	blobs_put_done(on, digest);
	ck_assert_str_eq(trail->letters, want);
}

START_TEST(blob_and_its_directories_are_synced_in_order)
{
	struct trail trail = {.hook = {.after = trail_after}, .root = dup(dir.fd)};
	const struct disk traced = {.hook = &trail.hook};
	struct blobs on;
	char hex[65];
	blobs_init(&on, &traced, trail.root);
	free(fill(28, 2 * MIB, 10));
	check_trail(&on, &trail, "mDwwsrd");
	check_trail(&on, &trail, "d"); /* it exists, but its entry may not be synced */
	put_done(hex);
	ck_assert_int_eq(unlink(blob_path(hex)), 0);
	check_trail(&on, &trail, "wwsrd"); /* the XX directory is known to be durable */
	blobs_fini(&on);
	trail.root = dup(dir.fd);
	blobs_init(&on, &traced, trail.root); /* its creator may have died before the sync */
	check_trail(&on, &trail, "Dd");
	blobs_fini(&on);
}
END_TEST

/* --- listing and removing --- */

struct seen {
	char hex[8][65];
	int count;
	int stop_at;
};

static int see(void *context, const char *digest_hex)
{
	struct seen *seen = context;
	ck_assert_int_lt(seen->count, 8);
	strcpy(seen->hex[seen->count++], digest_hex);
	return seen->count == seen->stop_at ? 42 : 0;
}

static bool has_seen(const struct seen *seen, const char *hex)
{
	for (int i = 0; i < seen->count; i++)
		if (!strcmp(seen->hex[i], hex))
			return true;
	return false;
}

static void touch(const char *name)
{
	char path[300];
	snprintf(path, sizeof path, "%s/%s", dir.path, name);
	int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	close(fd);
}

/* Puts names of no blob into the blob directory and an XX directory. */
static void plant_strangers(const char *hex)
{
	char name[200];
	touch("README");
	touch("ab.lz4");
	snprintf(name, sizeof name, "%.2s/notes.txt", hex);
	touch(name);
	snprintf(name, sizeof name, "%.2s/%s", hex, hex);
	touch(name);
	snprintf(name, sizeof name, "%.2s/%c%.63s.lz4", hex, hex[0] == '0' ? '1' : '0', hex + 1);
	touch(name); /* it belongs in another XX directory */
}

START_TEST(list_tells_every_blob)
{
	char hex[5][65];
	struct seen seen = {0};
	for (int i = 0; i < 5; i++)
		put_bytes((uint64_t)i + 30, (size_t)i * 1000, hex[i]);
	plant_strangers(hex[0]);
	ck_assert_int_eq(blobs_list(&blobs, see, &seen), 0);
	ck_assert_int_eq(seen.count, 5);
	for (int i = 0; i < 5; i++)
		ck_assert(has_seen(&seen, hex[i]));
	seen = (struct seen){.stop_at = 2};
	ck_assert_int_eq(blobs_list(&blobs, see, &seen), 42);
	ck_assert_int_eq(seen.count, 2);
}
END_TEST

START_TEST(sweep_takes_old_orphans_only)
{
	char kept[65], young[65], orphan[2][65];
	uint64_t removed = 7;
	put_bytes(40, 1000, kept);
	put_bytes(41, 1000, young);
	put_bytes(42, 1000, orphan[0]);
	put_bytes(43, 0, orphan[1]);
	plant_strangers(kept);
	make_all_old();
	ck_assert_int_eq(utimensat(AT_FDCWD, blob_path(young), NULL, 0), 0);
	ck_assert_int_eq(sweep(&blobs, 3600 * 1000, keep_one, kept, &removed), 0);
	ck_assert_uint_eq(removed, 2);
	ck_assert_int_eq(try_open(kept), 0);
	ck_assert_int_eq(try_open(young), 0);
	ck_assert_int_eq(try_open(orphan[0]), -ENOENT);
	ck_assert_int_eq(try_open(orphan[1]), -ENOENT);
	ck_assert_int_eq(count_names("notes.txt") + count_names("README"), 2);
	ck_assert_int_eq(count_names(".lz4"), 4);
}
END_TEST

START_TEST(sweep_takes_old_temporaries)
{
	char hex[65], name[100];
	uint64_t removed = 7;
	put_bytes(44, 1000, hex);
	snprintf(name, sizeof name, "%.2s/%s.lz4.0123456789abcdef.tmp", hex, hex);
	touch(name);
	touch("payload.0123456789abcdef.tmp");
	ck_assert_int_eq(sweep(&blobs, 3600 * 1000, keep_all, NULL, &removed), 0);
	ck_assert_int_eq(count_names(".tmp"), 2);
	make_all_old();
	ck_assert_int_eq(sweep(&blobs, 3600 * 1000, keep_all, NULL, &removed), 0);
	ck_assert_int_eq(count_names(".tmp"), 0);
	ck_assert_uint_eq(removed, 0);
	ck_assert_int_eq(try_open(hex), 0);
}
END_TEST

START_TEST(sweep_takes_nothing_of_a_put_in_flight)
{
	uint8_t digest[32], again[32];
	char hex[65], orphan[65], name[100];
	uint64_t removed = 7;
	put_bytes(44, 1000, orphan);
	free(fill(45, 1000, 10));
	ck_assert_int_eq(blobs_put(&blobs, &payload, COMPRESSION_LZ4, digest), 0);
	ck_assert_int_eq(blobs_put(&blobs, &payload, COMPRESSION_LZ4, again), 0);
	digest_to_hex(digest, hex);
	snprintf(name, sizeof name, "%.2s/%s.lz4.0123456789abcdef.tmp", hex, hex);
	touch(name);
	make_all_old();
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(sweep(&blobs, 1000, keep_none, NULL, &removed), 0);
		ck_assert_uint_eq(removed, !i); /* the put blocks no other removal */
		ck_assert_int_eq(try_open(orphan), -ENOENT);
		ck_assert_int_eq(try_open(hex), 0);
		ck_assert_int_eq(count_names(".tmp"), 1);
		if (i == 0)
			blobs_put_done(&blobs, digest); /* the other put still holds the blob */
	}
	blobs_put_done(&blobs, again);
	ck_assert_int_eq(sweep(&blobs, 1000, keep_none, NULL, &removed), 0);
	ck_assert_uint_eq(removed, 1);
	ck_assert_int_eq(try_open(hex), -ENOENT);
	ck_assert_int_eq(count_names(".tmp"), 0);
}
END_TEST

START_TEST(without_grace_the_time_of_a_blob_does_not_count)
{
	const struct timespec future[2] = {{.tv_sec = 9000000000}, {.tv_sec = 9000000000}};
	char hex[65];
	uint64_t removed = 7;
	put_bytes(49, 1000, hex);
	ck_assert_int_eq(utimensat(AT_FDCWD, blob_path(hex), future, 0), 0);
	ck_assert_int_eq(sweep(&blobs, 1, keep_none, NULL, &removed), 0);
	ck_assert_uint_eq(removed, 0);
	ck_assert_int_eq(sweep(&blobs, 0, keep_none, NULL, &removed), 0);
	ck_assert_uint_eq(removed, 1);
}
END_TEST

/* Begins and ends a put between the marking and the removal, within one tick of the clock. */
static int put_meanwhile(void *context, struct blob_batch *batch)
{
	char hex[65];
	(void)context;
	(void)batch;
	put_done(hex);
	make_all_old();
	return 0;
}

START_TEST(blob_that_is_adopted_during_a_sweep_stays)
{
	char orphan[65], hex[65];
	uint64_t removed = 7;
	put_bytes(45, 1000, orphan);
	put_bytes(46, 1000, hex);
	make_all_old();
	ck_assert_int_eq(sweep(&blobs, 1000, put_meanwhile, NULL, &removed), 0);
	ck_assert_uint_eq(removed, 1);
	ck_assert_int_eq(try_open(hex), 0);
	ck_assert_int_eq(try_open(orphan), -ENOENT);
}
END_TEST

/* Sweeps within a sweep, with a put in between: both sweeps must notice the put. */
static int sweep_meanwhile(void *context, struct blob_batch *batch)
{
	(void)batch;
	return sweep(&blobs, 1000, put_meanwhile, NULL, context);
}

START_TEST(sweeps_at_the_same_time_both_keep_what_is_put)
{
	char hex[65], orphan[65];
	uint64_t removed = 7, inner = 7;
	put_bytes(45, 1000, orphan);
	put_bytes(46, 1000, hex);
	make_all_old();
	ck_assert_int_eq(sweep(&blobs, 1000, sweep_meanwhile, &inner, &removed), 0);
	ck_assert_uint_eq(inner, 1);
	ck_assert_uint_eq(removed, 0);
	ck_assert_int_eq(try_open(hex), 0);
}
END_TEST

static int keep_fails(void *context, struct blob_batch *batch)
{
	(void)context;
	(void)batch;
	return -EIO;
}

START_TEST(sweep_that_cannot_know_removes_nothing)
{
	char hex[65];
	uint64_t removed = 7;
	put_bytes(47, 1000, hex);
	make_all_old();
	ck_assert_int_eq(sweep(&blobs, 0, keep_fails, NULL, &removed), -EIO);
	ck_assert_uint_eq(removed, 7);
	ck_assert_int_eq(try_open(hex), 0);
}
END_TEST

START_TEST(open_blob_outlives_its_removal)
{
	char hex[65];
	uint64_t removed = 0, end = 0;
	uint8_t *data = fill(48, 2 * MIB, 10);
	put_done(hex);
	struct blob *blob = open_blob(hex);
	make_all_old();
	ck_assert_int_eq(sweep(&blobs, 0, keep_none, NULL, &removed), 0);
	ck_assert_uint_eq(removed, 1);
	ck_assert_int_eq(read_through(blob, 131072, data, &end), 0);
	ck_assert_uint_eq(end, 2 * MIB);
	blob_close(blob);
	free(data);
}
END_TEST

START_TEST(remove_all_leaves_an_empty_directory)
{
	char hex[65], name[100];
	for (uint64_t i = 0; i < 5; i++)
		put_bytes(50 + i, 100, hex);
	snprintf(name, sizeof name, "%.2s/%s.lz4.0123456789abcdef.tmp", hex, hex);
	touch(name);
	touch("payload.0123456789abcdef.tmp");
	ck_assert_int_eq(blobs_remove_all(&blobs), 0);
	ck_assert_int_eq(count_names(""), 2); /* . and .. */
	put_done(hex);			      /* goes on */
	ck_assert_int_eq(try_open(hex), 0);
}
END_TEST

/* --- threads --- */

struct worker {
	pthread_t thread;
	struct blob *blob;
	const uint8_t *data;
	uint64_t seed;
};

static void *read_ranges(void *arg)
{
	struct worker *w = arg;
	uint8_t *got = malloc(300000);
	for (uint64_t x = w->seed, i = 0; i < 60; i++) {
		x = x * 6364136223846793005u + 1442695040888963407u;
		uint64_t offset = (x >> 20) % (3 * MIB);
		size_t n = 0;
		ck_assert_int_eq(blob_read(w->blob, offset, got, 300000, &n), 0);
		ck_assert_uint_gt(n, 0);
		ck_assert_int_eq(memcmp(got, w->data + offset, n), 0);
	}
	free(got);
	return NULL;
}

static void *put_same(void *arg)
{
	struct worker *w = arg;
	struct payload own;
	uint8_t digest[32];
	payload_init(&own, NULL);
	ck_assert_int_eq(payload_append(&own, &disk, dir.fd, w->data, 3 * MIB), 0);
	for (int i = 0; i < 5; i++) {
		ck_assert_int_eq(blobs_put(&blobs, &own, COMPRESSION_LZ4, digest), 0);
		blobs_put_done(&blobs, digest);
	}
	payload_fini(&own);
	return NULL;
}

static void run_workers(void *(*work)(void *), struct blob *blob, const uint8_t *data)
{
	struct worker workers[4];
	for (unsigned i = 0; i < 4; i++) {
		workers[i] = (struct worker){.blob = blob, .data = data, .seed = i + 1};
		ck_assert_int_eq(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (unsigned i = 0; i < 4; i++)
		pthread_join(workers[i].thread, NULL);
}

START_TEST(many_threads_read_one_blob)
{
	char hex[65];
	uint8_t *data = fill(60, 3 * MIB, 10);
	put_done(hex);
	struct blob *blob = open_blob(hex);
	run_workers(read_ranges, blob, data);
	blob_close(blob);
	free(data);
}
END_TEST

START_TEST(many_threads_store_one_payload)
{
	char hex[65];
	uint8_t *data = fill(61, 3 * MIB, 10);
	run_workers(put_same, NULL, data);
	put_done(hex);
	check_blob(hex, MIB, data, 3 * MIB);
	ck_assert_int_eq(count_names(".lz4"), 1);
	ck_assert_int_eq(count_names(".tmp"), 0);
	ck_assert(RB_EMPTY(&blobs.puts));
	free(data);
}
END_TEST

static void add_storing(Suite *suite)
{
	TCase *t = add_case(suite, "storing");
	tcase_add_test(t, hex_is_the_digest);
	tcase_add_test(t, what_is_no_digest_is_refused);
	tcase_add_loop_test(t, every_size_reads_back, 0, sizeof sizes / sizeof *sizes);
	tcase_add_test(t, any_range_reads_back);
	tcase_add_test(t, file_is_what_the_lz4_tool_reads);
	tcase_add_test(t, chunks_are_bound_to_the_digest);
	tcase_add_test(t, blob_tells_size_and_time);
	tcase_add_test(t, noise_takes_hardly_more_than_its_size);
	tcase_add_test(t, without_compression_the_payload_is_stored_as_it_is);
	tcase_add_test(t, files_are_private);
	tcase_add_test(t, equal_payloads_are_stored_once);
	tcase_add_test(t, there_is_nothing_before_the_directory_is_made);
	tcase_add_test(t, unknown_digest_is_not_there);
	tcase_add_test(t, blob_and_its_directories_are_synced_in_order);
	tcase_add_test(t, many_threads_read_one_blob);
	tcase_add_test(t, many_threads_store_one_payload);
}

static void add_removing(Suite *suite)
{
	TCase *t = add_case(suite, "removing");
	tcase_add_test(t, list_tells_every_blob);
	tcase_add_test(t, sweep_takes_old_orphans_only);
	tcase_add_test(t, sweep_takes_old_temporaries);
	tcase_add_test(t, sweep_takes_nothing_of_a_put_in_flight);
	tcase_add_test(t, without_grace_the_time_of_a_blob_does_not_count);
	tcase_add_test(t, blob_that_is_adopted_during_a_sweep_stays);
	tcase_add_test(t, sweeps_at_the_same_time_both_keep_what_is_put);
	tcase_add_test(t, sweep_that_cannot_know_removes_nothing);
	tcase_add_test(t, open_blob_outlives_its_removal);
	tcase_add_test(t, remove_all_leaves_an_empty_directory);
}

int main(void)
{
	Suite *suite = suite_create("blobs");
	add_storing(suite);
	add_removing(suite);
	return run_suite(suite);
}
