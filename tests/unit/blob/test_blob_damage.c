/* SPDX-License-Identifier: MIT */
/* Blobs with damaged files or on a failing disk: no wrong byte, no partial blob, always an error. */
#include "blobtest.h"

/* --- damage --- */

/* Reads return the payload's bytes or an error, and the damage is reported. */
static void check_noticed(const char *hex, const uint8_t *data, size_t size)
{
	struct blob *blob;
	uint64_t end;
	int r = blob_open(&blobs, hex, &blob);
	if (r < 0) {
		ck_assert(r == -EBADMSG || r == -EPROTONOSUPPORT);
		return;
	}
	ck_assert_int_eq(read_through(blob, 777, data, &end), -EBADMSG);
	ck_assert_uint_le(end, size);
	ck_assert_int_eq(blob_verify(blob), -EBADMSG);
	blob_close(blob);
}

START_TEST(any_flipped_byte_is_noticed)
{
	char hex[65];
	uint8_t *data = fill(10, 1500, 20);
	put_done(hex);
	uint64_t stored = (uint64_t)stat_blob(hex).st_size;
	for (uint64_t at = 0; at < stored; at++) {
		flip(hex, at);
		check_noticed(hex, data, 1500);
		flip(hex, at);
	}
	check_blob(hex, 777, data, 1500);
	free(data);
}
END_TEST

START_TEST(any_cut_is_noticed)
{
	char hex[65];
	uint8_t *data = fill(11, 1500, 20);
	put_done(hex);
	for (off_t size = stat_blob(hex).st_size - 1; size >= 0; size--) {
		ck_assert_int_eq(truncate(blob_path(hex), size), 0);
		check_noticed(hex, data, 1500);
	}
	free(data);
}
END_TEST

START_TEST(junk_in_an_empty_blob_is_noticed)
{
	char hex[65];
	put_bytes(1, 0, hex);
	ck_assert_int_eq(try_open(hex), 0);
	overwrite(hex, 0, "junk", 4);
	ck_assert_int_eq(try_open(hex), -EBADMSG);
}
END_TEST

START_TEST(junk_at_the_end_is_noticed_and_harms_nothing)
{
	static const char junk[300] = {1};
	char hex[65];
	uint8_t *data = fill(12, MIB + 5, 20);
	put_done(hex);
	overwrite(hex, (uint64_t)stat_blob(hex).st_size, junk, sizeof junk);
	uint64_t end = 0;
	struct blob *blob = open_blob(hex);
	ck_assert_int_eq(read_through(blob, 131072, data, &end), 0);
	ck_assert_uint_eq(end, MIB + 5);
	ck_assert_int_eq(blob_verify(blob), -EBADMSG);
	blob_close(blob);
	free(data);
}
END_TEST

/* Chunk 1 of 3 is bad: the others read well, and a read that reaches it is short. */
static void check_middle_is_bad(const char *hex, const uint8_t *data)
{
	uint8_t *got = malloc(2 * MIB);
	struct blob *blob = open_blob(hex);
	size_t n = 0;
	ck_assert_uint_eq(blob_size(blob), 3 * MIB);
	ck_assert_int_eq(blob_read(blob, 2 * MIB, got, 2 * MIB, &n), 0);
	ck_assert_uint_eq(n, MIB);
	ck_assert_int_eq(memcmp(got, data + 2 * MIB, MIB), 0);
	ck_assert_int_eq(blob_read(blob, MIB - 100, got, 2 * MIB, &n), 0);
	ck_assert_uint_eq(n, 100);
	ck_assert_int_eq(memcmp(got, data + MIB - 100, 100), 0);
	n = 5;
	ck_assert_int_eq(blob_read(blob, MIB, got, 10, &n), -EBADMSG);
	ck_assert_int_eq(blob_read(blob, 2 * MIB - 1, got, 10, &n), -EBADMSG);
	ck_assert_uint_eq(n, 5);
	ck_assert_int_eq(blob_read(blob, 100, got, 50, &n), 0);
	ck_assert_uint_eq(n, 50);
	ck_assert_int_eq(memcmp(got, data + 100, 50), 0);
	ck_assert_int_eq(blob_verify(blob), -EBADMSG);
	blob_close(blob);
	free(got);
}

START_TEST(damaged_frame_stays_in_its_chunk)
{
	char hex[65];
	uint8_t *data = fill(13, 3 * MIB, 3);
	put_done(hex);
	uint64_t first = chunk_at(hex, 1) + sizeof(struct chunk_header), end = chunk_at(hex, 2);
	for (uint64_t at = first; at < end; at += (end - first) / 10) {
		flip(hex, at);
		check_middle_is_bad(hex, data);
		flip(hex, at);
	}
	check_blob(hex, 131072, data, 3 * MIB);
	free(data);
}
END_TEST

START_TEST(damaged_header_stays_in_its_chunk)
{
	char hex[65];
	uint8_t *data = fill(14, 3 * MIB, 3);
	put_done(hex);
	uint64_t at = chunk_at(hex, 1);
	for (unsigned i = 0; i < sizeof(struct chunk_header); i += 5) {
		flip(hex, at + i);
		check_middle_is_bad(hex, data);
		flip(hex, at + i);
	}
	free(data);
}
END_TEST

START_TEST(zeroed_chunk_is_a_gap)
{
	char hex[65];
	uint8_t *data = fill(15, 3 * MIB, 90), *zeros = calloc(1, 2 * MIB);
	put_done(hex);
	uint64_t at = chunk_at(hex, 1), end = chunk_at(hex, 2);
	overwrite(hex, at, zeros, end - at);
	check_middle_is_bad(hex, data);
	free(zeros);
	free(data);
}
END_TEST

START_TEST(damaged_first_header_keeps_the_rest)
{
	char hex[65];
	uint8_t *data = fill(16, 2 * MIB + 9, 3), got[100];
	size_t n = 0;
	put_done(hex);
	flip(hex, 20);
	struct blob *blob = open_blob(hex);
	ck_assert_uint_eq(blob_size(blob), 2 * MIB + 9);
	ck_assert_int_eq(blob_read(blob, 0, got, 100, &n), -EBADMSG);
	ck_assert_int_eq(blob_read(blob, 2 * MIB, got, 100, &n), 0);
	ck_assert_uint_eq(n, 9);
	ck_assert_int_eq(memcmp(got, data + 2 * MIB, 9), 0);
	blob_close(blob);
	free(data);
}
END_TEST

/* Replaces chunk 1 with `bytes` of junk. */
static void replace_middle(const char *hex, size_t bytes)
{
	char *stored, path[80];
	size_t stored_bytes;
	uint64_t second = chunk_at(hex, 1), third = chunk_at(hex, 2);
	snprintf(path, sizeof path, "%.2s/%s.lz4", hex, hex);
	ck_assert_int_eq(disk_slurp(&disk, dir.fd, path, 4 * MIB, &stored, &stored_bytes), 0);
	ck_assert_int_eq(truncate(blob_path(hex), (off_t)second), 0);
	overwrite(hex, second + bytes, stored + third, stored_bytes - third);
	free(stored);
}

START_TEST(sound_chunk_is_found_wherever_it_lies)
{
	char hex[65];
	uint8_t *data = fill(31, 3 * MIB, 3);
	for (size_t bytes = 65500; bytes < 65600; bytes += bytes < 65530 || bytes > 65545 ? 9 : 1) {
		put_done(hex);
		replace_middle(hex, bytes);
		check_middle_is_bad(hex, data);
	}
	free(data);
}
END_TEST

/* The end is missing: the rest reads well, and then comes an error, not the end of file. */
static void check_cut(const char *hex, const uint8_t *data, uint64_t left)
{
	uint64_t end = 0;
	struct blob *blob = open_blob(hex);
	ck_assert_uint_eq(blob_size(blob), left + 1);
	ck_assert_int_eq(read_through(blob, 131072, data, &end), -EBADMSG);
	ck_assert_uint_eq(end, left);
	ck_assert_int_eq(blob_verify(blob), -EBADMSG);
	blob_close(blob);
}

START_TEST(missing_end_is_no_end_of_file)
{
	char hex[65];
	uint8_t *data = fill(17, 3 * MIB, 3);
	put_done(hex);
	uint64_t second = chunk_at(hex, 1), third = chunk_at(hex, 2);
	ck_assert_int_eq(truncate(blob_path(hex), (off_t)third + 300), 0); /* inside the frame */
	check_cut(hex, data, 2 * MIB);
	flip(hex, third + 50);
	check_cut(hex, data, 2 * MIB);
	ck_assert_int_eq(truncate(blob_path(hex), (off_t)third), 0); /* between two chunks */
	check_cut(hex, data, 2 * MIB);
	ck_assert_int_eq(truncate(blob_path(hex), (off_t)second), 0);
	check_cut(hex, data, MIB);
	ck_assert_int_eq(truncate(blob_path(hex), 50), 0);
	ck_assert_int_eq(try_open(hex), -EBADMSG);
	ck_assert_int_eq(truncate(blob_path(hex), 0), 0);
	ck_assert_int_eq(try_open(hex), -EBADMSG);
	free(data);
}
END_TEST

START_TEST(file_cut_while_it_is_open_is_noticed)
{
	char hex[65];
	uint8_t got[100];
	size_t n = 0;
	put_bytes(18, 2 * MIB, hex);
	struct blob *blob = open_blob(hex);
	ck_assert_int_eq(truncate(blob_path(hex), (off_t)chunk_at(hex, 1) + 200), 0);
	ck_assert_int_eq(blob_read(blob, 0, got, 100, &n), 0);
	ck_assert_int_eq(blob_read(blob, MIB, got, 100, &n), -EBADMSG);
	blob_close(blob);
}
END_TEST

/* Writes a blob of sound chunks that are bound to `hex` but hold other bytes. */
static void forge(const char *hex, const uint8_t *data, size_t bytes)
{
	uint8_t digest[32];
	struct encoder *encoder = encoder_new();
	uint64_t at = 0;
	ck_assert_int_eq(digest_from_hex(hex, digest), 0);
	int fd = open(blob_path(hex), O_WRONLY | O_TRUNC | O_CLOEXEC);
	for (size_t offset = 0; offset < bytes; offset += MIB) {
		size_t left = bytes - offset;
		const struct chunk_input input = {
			.text = data + offset,
			.text_bytes = left < MIB ? left : MIB,
			.flags = (uint16_t)((offset ? CHUNK_CONTINUES : 0) |
					    (left > MIB ? CHUNK_OPEN_END : 0)),
		};
		const struct chunk_order order = {
			.owner = digest_owner(digest), .start.offset = offset};
		struct chunk c;
		struct iovec iov[2];
		ck_assert_int_eq(chunk_encode(encoder, &input), 0);
		chunk_seal(encoder, &order, &c, iov);
		ck_assert_int_eq(disk_writev(&disk, fd, at, iov, 2), 0);
		at += chunk_stored_bytes(&c);
	}
	close(fd);
	encoder_free(encoder);
}

START_TEST(wrong_digest_shows_before_the_last_bytes)
{
	char hex[65];
	uint8_t *data = fill(19, 2 * MIB + 10, 10), got[20];
	uint64_t end = 0;
	size_t n = 0;
	put_done(hex);
	data[5] ^= 1;
	forge(hex, data, 2 * MIB + 10);
	struct blob *blob = open_blob(hex);
	ck_assert_int_eq(read_through(blob, 131072, data, &end), -EBADMSG);
	ck_assert_uint_eq(end, 2 * MIB);
	ck_assert_int_eq(blob_read(blob, 0, got, 20, &n), -EBADMSG); /* now all reads fail */
	ck_assert_int_eq(blob_verify(blob), -EBADMSG);
	blob_close(blob);
	forge(hex, data, 20);
	blob = open_blob(hex);
	ck_assert_int_eq(read_through(blob, 10, data, &end), -EBADMSG);
	ck_assert_uint_eq(end, 0);
	blob_close(blob);
	free(data);
}
END_TEST

START_TEST(reads_out_of_order_spoil_no_digest)
{
	static const uint64_t order[] = {1, 0, 3, 2, 9, 8, 4, 5, 7, 6, 11, 10};
	char hex[65];
	uint8_t *data = fill(20, 3 * MIB, 10), *got = malloc(MIB / 4);
	size_t n = 0;
	put_done(hex);
	for (int wrong = 0; wrong < 2; wrong++) {
		struct blob *blob = open_blob(hex);
		for (int i = 0; i < 12; i++) {
			uint64_t offset = order[i] * (MIB / 4);
			int r = blob_read(blob, offset, got, MIB / 4, &n);
			/* The second read of chunk 2 completes a pass in order.
			 */
			ck_assert_int_eq(r, wrong && i >= 10 ? -EBADMSG : 0);
			if (r == 0)
				ck_assert_int_eq(memcmp(got, data + offset, MIB / 4), 0);
		}
		blob_close(blob);
		data[7] ^= 1;
		forge(hex, data, 3 * MIB);
	}
	free(got);
	free(data);
}
END_TEST

START_TEST(blob_under_another_name_is_damage)
{
	char one[65], two[65], path[200];
	put_bytes(21, 1000, one);
	put_bytes(22, 1000, two);
	strcpy(path, blob_path(one));
	ck_assert_int_eq(rename(path, blob_path(two)), 0);
	ck_assert_int_eq(try_open(two), -EBADMSG);
	ck_assert_int_eq(try_open(one), -ENOENT);
}
END_TEST

static void plant(const char *hex, int what)
{
	const char *path = blob_path(hex);
	if (what == 0)
		ck_assert_int_eq(symlink("/etc/passwd", path), 0);
	else if (what == 1)
		ck_assert_int_eq(mkfifo(path, 0600), 0);
	else
		ck_assert_int_eq(mkdir(path, 0700), 0);
}

START_TEST(what_is_no_file_is_damage_and_no_way_out)
{
	char hex[65], again[65];
	for (int what = 0; what < 3; what++) {
		uint8_t digest[32], *data = fill(23, 1000, 10);
		put_done(hex);
		ck_assert_int_eq(unlink(blob_path(hex)), 0);
		plant(hex, what);
		ck_assert_int_eq(try_open(hex), -EBADMSG);
		if (what == 2) {
			ck_assert_int_eq(
				blobs_put(&blobs, &payload, COMPRESSION_LZ4, digest), -EISDIR);
			ck_assert_int_eq(rmdir(blob_path(hex)), 0);
		} else {
			put_done(again);
			ck_assert(S_ISREG(stat_blob(hex).st_mode));
			check_blob(hex, 1000, data, 1000);
		}
		free(data);
	}
}
END_TEST

START_TEST(directory_that_is_a_link_is_not_followed)
{
	char hex[65], fan[100], elsewhere[100];
	uint8_t digest[32];
	put_bytes(24, 1000, hex);
	snprintf(fan, sizeof fan, "%s/%.2s", dir.path, hex);
	snprintf(elsewhere, sizeof elsewhere, "%s/elsewhere", dir.path);
	ck_assert_int_eq(rename(fan, elsewhere), 0);
	ck_assert_int_eq(symlink("elsewhere", fan), 0);
	ck_assert_int_eq(try_open(hex), -EBADMSG);
	ck_assert_int_lt(blobs_put(&blobs, &payload, COMPRESSION_LZ4, digest), 0);
	ck_assert(RB_EMPTY(&blobs.puts));
}
END_TEST

START_TEST(storing_again_heals_a_damaged_blob)
{
	char hex[65];
	uint8_t *data = fill(25, 2 * MIB, 10), got[10];
	size_t n = 0;
	put_done(hex);
	flip(hex, chunk_at(hex, 1) + 500);
	struct blob *old = open_blob(hex);
	put_done(hex);
	check_blob(hex, 131072, data, 2 * MIB);
	ck_assert_int_eq(blob_read(old, MIB, got, 10, &n), -EBADMSG);
	ck_assert_int_eq(blob_read(old, 0, got, 10, &n), 0); /* an open blob stays readable */
	blob_close(old);
	data[0] ^= 1;
	forge(hex, data, 2 * MIB); /* sound chunks, wrong bytes */
	data[0] ^= 1;
	put_done(hex);
	check_blob(hex, 131072, data, 2 * MIB);
	forge(hex, data, MIB + 5); /* complete by its flags, but too short */
	put_done(hex);
	check_blob(hex, 131072, data, 2 * MIB);
	overwrite(hex, (uint64_t)stat_blob(hex).st_size, "junk", 4);
	put_done(hex);
	check_blob(hex, 131072, data, 2 * MIB);
	ck_assert_int_eq(truncate(blob_path(hex), 0), 0);
	put_done(hex);
	check_blob(hex, 131072, data, 2 * MIB);
	ck_assert_int_eq(count_names(".lz4"), 1);
	free(data);
}
END_TEST

/* --- failing calls --- */

enum before_put { NO_BLOB, SOUND_BLOB, DAMAGED_BLOB };

static void prepare(enum before_put state, char hex[65])
{
	uint8_t digest[32];
	ck_assert_int_eq(blobs_remove_all(&blobs), 0);
	ck_assert_int_eq(payload_digest(&payload, &disk, digest), 0);
	digest_to_hex(digest, hex);
	if (state == NO_BLOB)
		return;
	put_done(hex);
	if (state == DAMAGED_BLOB)
		flip(hex, 500);
}

/* The name holds the whole blob, the old damage, or nothing. */
static void check_no_half(enum before_put state, const char *hex)
{
	struct blob *blob;
	int r = blob_open(&blobs, hex, &blob);
	if (r < 0) {
		ck_assert_int_eq(r, -ENOENT);
		ck_assert_int_eq(state, NO_BLOB);
		return;
	}
	r = blob_verify(blob);
	ck_assert(r == 0 || (r == -EBADMSG && state == DAMAGED_BLOB));
	blob_close(blob);
}

static bool one_failed_call(enum before_put state, const uint8_t *data, const struct fault *like)
{
	char hex[65];
	uint8_t digest[32];
	uint64_t removed = 7;
	struct fault fault;
	prepare(state, hex);
	fault_init(&fault, like->fail_at, like->error);
	fault.lasting = like->lasting;
	fault.cut = like->cut;
	const struct disk failing = {.hook = &fault.hook};
	struct blobs other;
	blobs_init(&other, &failing, dup(dir.fd));
	int r = blobs_put(&other, &payload, COMPRESSION_LZ4, digest);
	if (r == 0) {
		/* It could not read the old blob, so it wrote a new one. */
		ck_assert(!fault.lasting || !fault_hit(&fault));
		check_blob(hex, MIB, data, payload.size_bytes);
		blobs_put_done(&other, digest);
	} else {
		ck_assert_int_eq(r, like->error);
		check_no_half(state, hex);
		if (!fault.lasting)
			ck_assert_int_eq(count_names(".tmp"), 0);
	}
	bool hit = fault_hit(&fault);
	fault.fail_at = 0;
	ck_assert(RB_EMPTY(&other.puts));
	ck_assert_int_eq(blobs_put(&other, &payload, COMPRESSION_LZ4, digest), 0);
	blobs_put_done(&other, digest);
	check_blob(hex, MIB, data, payload.size_bytes);
	make_all_old();
	ck_assert_int_eq(sweep(&other, 1000, keep_all, NULL, &removed), 0);
	ck_assert_int_eq(count_names(".tmp"), 0);
	ck_assert_int_eq(count_names(".lz4"), 1);
	blobs_fini(&other);
	return hit;
}

START_TEST(any_failed_call_leaves_no_half_blob)
{
	static const int errors[] = {-EIO, -ENOSPC};
	uint8_t *data = fill(26, MIB + 5, 5);
	for (int lasting = 0; lasting < 2; lasting++) {
		struct fault like = {.fail_at = 1, .lasting = lasting, .error = errors[lasting]};
		like.cut = lasting ? 1000 : 0;
		while (one_failed_call((enum before_put)_i, data, &like))
			like.fail_at++;
		/* digest 5, directory 4, two chunks 4, syncs 2 */
		ck_assert_uint_ge(like.fail_at, 15);
	}
	free(data);
}
END_TEST

START_TEST(any_failed_call_of_a_reader_is_told)
{
	char hex[65];
	uint8_t *data = fill(27, 2 * MIB + 5, 5);
	put_done(hex);
	flip(hex, chunk_at(hex, 1)); /* so that it searches for the next chunk */
	for (unsigned n = 1;; n += stride()) {
		struct fault fault;
		struct blob *blob = NULL;
		uint8_t got[10];
		size_t bytes = 0;
		fault_init(&fault, n, -EIO);
		const struct disk failing = {.hook = &fault.hook};
		struct blobs other;
		blobs_init(&other, &failing, dup(dir.fd));
		int r = blob_open(&other, hex, &blob);
		if (r == 0) {
			r = blob_read(blob, 2 * MIB, got, 10, &bytes);
			ck_assert_int_eq(blob_read(blob, 2 * MIB, got, 10, &bytes), 0);
			ck_assert_int_eq(memcmp(got, data + 2 * MIB, 5), 0);
		}
		blob_close(blob);
		blobs_fini(&other);
		if (!fault_hit(&fault))
			break;
		ck_assert_int_eq(r, -EIO);
		ck_assert_uint_lt(n, 100);
	}
	free(data);
}
END_TEST

/* Makes two orphans, a blob that is kept, and a temporary file; all are old. */
static void prepare_removal(char kept[65])
{
	char hex[65];
	ck_assert_int_eq(blobs_remove_all(&blobs), 0);
	put_bytes(32, 1000, hex);
	put_bytes(33, 1000, hex);
	put_bytes(34, 1000, kept);
	int fd = openat(
		dir.fd, "payload.0123456789abcdef.tmp", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	close(fd);
	make_all_old();
}

static int count_one(void *context, const char *digest_hex)
{
	(void)digest_hex;
	++*(int *)context;
	return 0;
}

/* 0: a sweep, 1: a listing, 2: the removal of all. */
static int run_walk(struct blobs *on, int what, char *kept)
{
	uint64_t removed = 0;
	int listed = 0;
	if (what == 0)
		return sweep(on, 1000, keep_one, kept, &removed);
	return what == 1 ? blobs_list(on, count_one, &listed) : blobs_remove_all(on);
}

START_TEST(any_failed_call_of_a_walk_is_told_and_can_be_retried)
{
	static const int left[] = {1, 3, 0};
	char kept[65];
	for (unsigned n = 1;; n += stride()) {
		struct fault fault;
		prepare_removal(kept);
		fault_init(&fault, n, -EIO);
		const struct disk failing = {.hook = &fault.hook};
		struct blobs other;
		blobs_init(&other, &failing, dup(dir.fd));
		int r = run_walk(&other, _i, kept);
		ck_assert_int_eq(r, fault_hit(&fault) ? -EIO : 0);
		if (_i < 2)
			ck_assert_int_eq(try_open(kept), 0);
		fault.fail_at = 0;
		ck_assert_int_eq(run_walk(&other, _i, kept), 0);
		ck_assert_int_eq(count_names(".lz4"), left[_i]);
		ck_assert_int_eq(count_names(".tmp"), _i == 1);
		blobs_fini(&other);
		if (r == 0)
			break;
		ck_assert_uint_lt(n, 100);
	}
}
END_TEST

START_TEST(directory_made_by_a_failed_put_is_synced_by_the_next)
{
	struct fault fault;
	uint8_t digest[32];
	fault_init(&fault, 1, -EIO);
	fault.only = DISK_SYNC_DIR;
	const struct disk failing = {.hook = &fault.hook};
	struct blobs on;
	blobs_init(&on, &failing, dup(dir.fd));
	free(fill(29, 100, 10));
	ck_assert_int_eq(blobs_put(&on, &payload, COMPRESSION_LZ4, digest), -EIO);
	ck_assert_uint_eq(fault.calls, 1);
	ck_assert_int_eq(blobs_put(&on, &payload, COMPRESSION_LZ4, digest), 0);
	ck_assert_uint_eq(fault.calls, 3); /* the blob directory and the XX directory */
	blobs_put_done(&on, digest);
	blobs_fini(&on);
}
END_TEST

static void add_damage(Suite *suite)
{
	TCase *t = add_case(suite, "damage");
	tcase_add_test(t, any_flipped_byte_is_noticed);
	tcase_add_test(t, any_cut_is_noticed);
	tcase_add_test(t, junk_in_an_empty_blob_is_noticed);
	tcase_add_test(t, junk_at_the_end_is_noticed_and_harms_nothing);
	tcase_add_test(t, damaged_frame_stays_in_its_chunk);
	tcase_add_test(t, damaged_header_stays_in_its_chunk);
	tcase_add_test(t, zeroed_chunk_is_a_gap);
	tcase_add_test(t, sound_chunk_is_found_wherever_it_lies);
	tcase_add_test(t, damaged_first_header_keeps_the_rest);
	tcase_add_test(t, missing_end_is_no_end_of_file);
	tcase_add_test(t, file_cut_while_it_is_open_is_noticed);
	tcase_add_test(t, wrong_digest_shows_before_the_last_bytes);
	tcase_add_test(t, reads_out_of_order_spoil_no_digest);
	tcase_add_test(t, blob_under_another_name_is_damage);
	tcase_add_test(t, what_is_no_file_is_damage_and_no_way_out);
	tcase_add_test(t, directory_that_is_a_link_is_not_followed);
	tcase_add_test(t, storing_again_heals_a_damaged_blob);
	tcase_add_loop_test(t, any_failed_call_leaves_no_half_blob, NO_BLOB, DAMAGED_BLOB + 1);
	tcase_add_test(t, any_failed_call_of_a_reader_is_told);
	tcase_add_loop_test(t, any_failed_call_of_a_walk_is_told_and_can_be_retried, 0, 3);
	tcase_add_test(t, directory_made_by_a_failed_put_is_synced_by_the_next);
}

int main(void)
{
	Suite *suite = suite_create("blob damage");
	add_damage(suite);
	return run_suite(suite);
}
