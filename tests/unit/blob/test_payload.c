/* SPDX-License-Identifier: MIT */
#include "payload.h"

#include "testdisk.h"

#include <dirent.h>
#include <sha2.h>

enum { MIB = 1 << 20 };

static struct testdir dir;
static struct payload payload;
static const struct disk disk = {0};
static struct fault limits_fault;

static void setup(void)
{
	testdir_open(&dir);
	payload_init(&payload, NULL);
}

static void teardown(void)
{
	payload_fini(&payload);
	testdir_close(&dir);
}

/* A byte that depends on its offset, so that a shifted copy fails the test. */
static uint8_t byte_at(uint64_t offset)
{
	uint64_t x = (offset + 1) * 0x9E3779B97F4A7C15u;
	return (uint8_t)(x >> 56);
}

static uint8_t *pattern(uint64_t offset, size_t bytes)
{
	uint8_t *data = malloc(bytes);
	ck_assert_ptr_nonnull(data);
	for (size_t i = 0; i < bytes; i++)
		data[i] = byte_at(offset + i);
	return data;
}

static int write_pattern(const struct disk *on, uint64_t offset, size_t bytes)
{
	uint8_t *data = pattern(offset, bytes);
	int r = payload_write(&payload, on, dir.fd, offset, data, bytes);
	free(data);
	return r;
}

/* Checks that the range holds the pattern, or zeros. */
static void check_range(uint64_t offset, size_t bytes, bool zeros)
{
	uint8_t *got = malloc(bytes), *want = zeros ? calloc(1, bytes) : pattern(offset, bytes);
	size_t n = 0;
	ck_assert(got && want);
	ck_assert_int_eq(payload_read(&payload, &disk, offset, got, bytes, &n), 0);
	ck_assert_uint_eq(n, bytes);
	ck_assert_int_eq(memcmp(got, want, bytes), 0);
	free(got);
	free(want);
}

static int names_in_dir(void)
{
	int names = 0;
	DIR *listing = opendir(dir.path);
	ck_assert_ptr_nonnull(listing);
	while (readdir(listing))
		names++;
	closedir(listing);
	return names - 2;
}

START_TEST(small_payload_stays_in_memory)
{
	struct fault fault;
	fault_init(&fault, 0, 0);
	const struct disk counted = {.hook = &fault.hook};
	ck_assert_int_eq(write_pattern(&counted, 0, MIB - 1), 0);
	ck_assert_int_eq(write_pattern(&counted, MIB - 1, 1), 0);
	ck_assert_int_lt(payload.fd, 0);
	ck_assert_uint_eq(fault.calls, 0);
	ck_assert_uint_eq(payload.size_bytes, MIB);
	check_range(0, MIB, false);
}
END_TEST

START_TEST(large_payload_goes_to_a_file_without_a_name)
{
	ck_assert_int_eq(write_pattern(&disk, 0, MIB), 0);
	ck_assert_int_eq(write_pattern(&disk, MIB, 1), 0);
	ck_assert_int_ge(payload.fd, 0);
	ck_assert_uint_le(payload.memory.capacity, 4096);
	ck_assert_int_eq(write_pattern(&disk, MIB + 1, 2 * MIB), 0);
	ck_assert_uint_eq(payload.size_bytes, 3 * MIB + 1);
	check_range(0, 3 * MIB + 1, false);
	ck_assert_int_eq(names_in_dir(), 0);
}
END_TEST

START_TEST(one_large_write_goes_to_a_file_at_once)
{
	ck_assert_int_eq(write_pattern(&disk, 0, 2 * MIB), 0);
	ck_assert_int_ge(payload.fd, 0);
	check_range(0, 2 * MIB, false);
}
END_TEST

static int refuse_tmpfile(struct disk_hook *hook, const struct disk_call *call, size_t *limit)
{
	(void)hook;
	(void)limit;
	return call->op == DISK_OPEN && (call->flags & O_TMPFILE) == O_TMPFILE ? -EOPNOTSUPP : 0;
}

START_TEST(disk_without_tmpfile_gets_an_unlinked_file)
{
	struct disk_hook hook = {.before = refuse_tmpfile};
	const struct disk old = {.hook = &hook};
	ck_assert_int_eq(write_pattern(&old, 0, 2 * MIB), 0);
	ck_assert_int_ge(payload.fd, 0);
	check_range(0, 2 * MIB, false);
	ck_assert_int_eq(names_in_dir(), 0);
}
END_TEST

START_TEST(pieces_come_in_any_order)
{
	static const int order[] = {5, 0, 3, 1, 7, 2, 6, 4};
	const size_t size = 300000; /* only the first piece stays in memory */
	for (int i = 0; i < 8; i++)
		ck_assert_int_eq(write_pattern(&disk, (uint64_t)order[i] * size, size), 0);
	ck_assert_uint_eq(payload.size_bytes, 8 * size);
	check_range(0, 8 * size, false);
}
END_TEST

START_TEST(overwriting_changes_no_size)
{
	static const size_t sizes[] = {1000, 2 * MIB};
	for (int i = 0; i < 2; i++) {
		payload_reset(&payload);
		ck_assert_int_eq(write_pattern(&disk, 0, sizes[i]), 0);
		ck_assert_int_eq(payload_write(&payload, &disk, dir.fd, 10, "\0\0\0", 3), 0);
		ck_assert_uint_eq(payload.size_bytes, sizes[i]);
		check_range(10, 3, true);
		check_range(0, 10, false);
		check_range(13, sizes[i] - 13, false);
	}
}
END_TEST

START_TEST(gap_reads_as_zeros)
{
	ck_assert_int_eq(write_pattern(&disk, 0, 10), 0);
	ck_assert_int_eq(write_pattern(&disk, 1000, 10), 0);
	check_range(10, 990, true);
	ck_assert_int_eq(write_pattern(&disk, 2 * MIB, 10), 0); /* spills */
	ck_assert_int_eq(write_pattern(&disk, 3 * MIB, 10), 0);
	check_range(0, 10, false);
	check_range(10, 990, true);
	check_range(1000, 10, false);
	check_range(1010, 2 * MIB - 1010, true);
	check_range(2 * MIB, 10, false);
	check_range(2 * MIB + 10, MIB - 10, true);
	check_range(3 * MIB, 10, false);
}
END_TEST

START_TEST(truncating_forgets_what_was_behind)
{
	static const size_t sizes[] = {1000, 3 * MIB};
	for (int i = 0; i < 2; i++) {
		payload_reset(&payload);
		ck_assert_int_eq(write_pattern(&disk, 0, sizes[i]), 0);
		ck_assert_int_eq(payload_truncate(&payload, &disk, dir.fd, 500), 0);
		ck_assert_uint_eq(payload.size_bytes, 500);
		ck_assert_int_eq(payload_truncate(&payload, &disk, dir.fd, sizes[i]), 0);
		ck_assert_uint_eq(payload.size_bytes, sizes[i]);
		check_range(0, 500, false);
		check_range(500, sizes[i] - 500, true);
	}
}
END_TEST

START_TEST(truncating_can_grow_into_a_file)
{
	ck_assert_int_eq(write_pattern(&disk, 0, 100), 0);
	ck_assert_int_eq(payload_truncate(&payload, &disk, dir.fd, 2 * MIB), 0);
	ck_assert_int_ge(payload.fd, 0);
	check_range(0, 100, false);
	check_range(100, 2 * MIB - 100, true);
	ck_assert_int_eq(payload_truncate(&payload, &disk, dir.fd, 0), 0);
	ck_assert_uint_eq(payload.size_bytes, 0);
	ck_assert_int_lt(payload.fd, 0);
}
END_TEST

START_TEST(reading_ends_at_the_size)
{
	uint8_t got[100];
	static const size_t sizes[] = {50, 2 * MIB};
	for (int i = 0; i < 2; i++) {
		size_t n = 77;
		payload_reset(&payload);
		ck_assert_int_eq(write_pattern(&disk, 0, sizes[i]), 0);
		ck_assert_int_eq(payload_read(&payload, &disk, sizes[i] - 20, got, 100, &n), 0);
		ck_assert_uint_eq(n, 20);
		ck_assert_uint_eq(got[19], byte_at(sizes[i] - 1));
		ck_assert_int_eq(payload_read(&payload, &disk, sizes[i], got, 100, &n), 0);
		ck_assert_uint_eq(n, 0);
		ck_assert_int_eq(payload_read(&payload, &disk, UINT64_MAX, got, 100, &n), 0);
		ck_assert_uint_eq(n, 0);
	}
}
END_TEST

START_TEST(offset_beyond_any_file_is_refused)
{
	ck_assert_int_eq(payload_write(&payload, &disk, dir.fd, UINT64_MAX, "x", 1), -EFBIG);
	ck_assert_int_eq(payload_write(&payload, &disk, dir.fd, INT64_MAX, "x", 1), -EFBIG);
	ck_assert_int_eq(
		payload_truncate(&payload, &disk, dir.fd, (uint64_t)INT64_MAX + 1), -EFBIG);
	ck_assert_uint_eq(payload.size_bytes, 0);
	ck_assert_int_lt(payload.fd, 0);
}
END_TEST

START_TEST(writing_nothing_changes_nothing)
{
	ck_assert_int_eq(payload_write(&payload, &disk, dir.fd, 2 * MIB, "", 0), 0);
	ck_assert_uint_eq(payload.size_bytes, 0);
	ck_assert_int_lt(payload.fd, 0);
}
END_TEST

/* One of several writes and truncations that spill, grow and leave gaps. */
static int run_step(const struct disk *on, int step)
{
	switch (step) {
	case 0:
		return write_pattern(on, 0, 1000);
	case 1:
		return write_pattern(on, 1000, 2 * MIB);
	case 2:
		return write_pattern(on, 3 * MIB, 10);
	default:
		return payload_truncate(&payload, on, dir.fd, 4 * MIB);
	}
}

static const uint64_t size_after[] = {0, 1000, 2 * MIB + 1000, 3 * MIB + 10, 4 * MIB};

static void check_steps(int steps)
{
	ck_assert_uint_eq(payload.size_bytes, size_after[steps]);
	if (steps >= 1)
		check_range(0, 1000, false);
	if (steps >= 2)
		check_range(1000, 2 * MIB, false);
	if (steps >= 3)
		check_range(2 * MIB + 1000, MIB - 1000, true);
	if (steps >= 4)
		check_range(3 * MIB + 10, MIB - 10, true);
}

static bool any_failed_call(unsigned n, size_t cut)
{
	struct fault fault;
	fault_init(&fault, n, -ENOSPC);
	fault.cut = cut;
	const struct disk failing = {.hook = &fault.hook};
	payload_reset(&payload);
	for (int step = 0; step < 4; step++) {
		int r = run_step(&failing, step);
		if (r < 0) {
			ck_assert_int_eq(r, -ENOSPC);
			check_steps(step);
			ck_assert_int_eq(run_step(&failing, step), 0);
		}
		check_steps(step + 1);
	}
	ck_assert_int_eq(names_in_dir(), 0);
	return fault_hit(&fault);
}

START_TEST(failed_call_changes_nothing_and_can_be_retried)
{
	unsigned n = 1;
	while (any_failed_call(n, 0) && any_failed_call(n, 100000))
		n++;
	ck_assert_uint_ge(n, 5); /* at least open, two writes, write, truncate */
}
END_TEST

START_TEST(leftovers_of_a_failed_write_stay_out_of_a_gap)
{
	struct fault fault;
	ck_assert_int_eq(write_pattern(&disk, 0, 2 * MIB), 0);
	for (int grow_by_truncate = 0; grow_by_truncate < 2; grow_by_truncate++) {
		fault_init(&fault, 1, -ENOSPC);
		fault.cut = 5000;
		const struct disk failing = {.hook = &fault.hook};
		ck_assert_int_eq(write_pattern(&failing, 2 * MIB, 9000), -ENOSPC);
		ck_assert_uint_eq(payload.size_bytes, 2 * MIB);
		if (grow_by_truncate)
			ck_assert_int_eq(payload_truncate(&payload, &disk, dir.fd, 3 * MIB), 0);
		else
			ck_assert_int_eq(write_pattern(&disk, 3 * MIB, 1), 0);
		check_range(2 * MIB, MIB, true);
		ck_assert_int_eq(payload_truncate(&payload, &disk, dir.fd, 2 * MIB), 0);
	}
}
END_TEST

START_TEST(text_is_a_prefix_of_it)
{
	static const size_t sizes[] = {1000, 2 * MIB + 1};
	struct buf scratch = {0};
	const char *text = "untouched";
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(write_pattern(&disk, 0, sizes[i]), 0);
		uint8_t *want = pattern(0, sizes[i]);
		ck_assert_int_eq(payload_text(&payload, &disk, sizes[i], &scratch, &text), 0);
		ck_assert_mem_eq(text, want, sizes[i]);
		ck_assert_int_eq(payload_text(&payload, &disk, 10, &scratch, &text), 0);
		ck_assert_mem_eq(text, want, 10);
		free(want);
	}
	/* A shortened file gives an error and must not kill the process. */
	ck_assert_int_eq(ftruncate(payload.fd, 4096), 0);
	ck_assert_int_eq(payload_text(&payload, &disk, 2 * MIB, &scratch, &text), -EIO);
	fault_init(&limits_fault, 1, -EDQUOT);
	const struct disk failing = {.hook = &limits_fault.hook};
	ck_assert_int_eq(payload_text(&payload, &failing, 10, &scratch, &text), -EDQUOT);
	buf_fini(&scratch);
}
END_TEST

START_TEST(many_payloads_go_to_files_early)
{
	enum { COUNT = 400, EACH = 900000, SMALL = 20000 };
	static struct payload many[COUNT], small;
	static struct payload_budget budget;
	payload_budget_init(&budget, COUNT);
	uint8_t *data = pattern(0, EACH);
	for (int i = 0; i < COUNT; i++) {
		payload_init(&many[i], &budget);
		ck_assert_int_eq(payload_append(&many[i], &disk, dir.fd, data, EACH), 0);
		ck_assert_uint_lt(budget.bytes, PAYLOAD_BUDGET_BYTES + 2 * EACH);
	}
	ck_assert_int_lt(many[0].fd, 0);
	ck_assert_int_ge(many[COUNT - 1].fd, 0);
	payload_init(&small, &budget);
	ck_assert_int_eq(payload_append(&small, &disk, dir.fd, data, SMALL), 0);
	ck_assert_int_lt(small.fd, 0);
	payload_fini(&small);
	for (int i = 0; i < COUNT; i++)
		payload_fini(&many[i]);
	ck_assert_uint_eq(budget.bytes, 0);
	ck_assert_uint_eq(budget.files, 0);
	free(data);
}
END_TEST

START_TEST(files_of_payloads_are_counted)
{
	static struct payload one, other;
	static struct payload_budget budget;
	uint8_t *data = pattern(0, 2 * MIB);
	payload_budget_init(&budget, 1);
	payload_init(&one, &budget);
	payload_init(&other, &budget);
	ck_assert_int_eq(payload_append(&one, &disk, dir.fd, data, 2 * MIB), 0);
	ck_assert_int_eq(payload_append(&other, &disk, dir.fd, data, 5), 0);
	ck_assert_int_eq(payload_append(&other, &disk, dir.fd, data, 2 * MIB), -ENFILE);
	ck_assert_uint_eq(other.size_bytes, 5);
	ck_assert_int_eq(payload_reserve_file(&other), -ENFILE);
	payload_reset(&one);
	ck_assert_int_eq(payload_reserve_file(&other), 0);
	payload_reset(&other); /* keeps its reserved file */
	ck_assert_int_eq(payload_append(&one, &disk, dir.fd, data, 2 * MIB), -ENFILE);
	payload_fini(&other);
	ck_assert_int_eq(payload_append(&one, &disk, dir.fd, data, 2 * MIB), 0);
	payload_fini(&one);
	ck_assert_uint_eq(budget.files, 0);
	free(data);
}
END_TEST

static void check_digest(const char *hex)
{
	uint8_t digest[32];
	char got[65];
	ck_assert_int_eq(payload_digest(&payload, &disk, digest), 0);
	for (int i = 0; i < 32; i++)
		snprintf(got + 2 * i, 3, "%02x", digest[i]);
	ck_assert_str_eq(got, hex);
}

START_TEST(digest_is_sha256)
{
	check_digest("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	ck_assert_int_eq(payload_append(&payload, &disk, dir.fd, "abc", 3), 0);
	check_digest("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	payload_reset(&payload);
	for (int i = 0; i < 20000; i++) /* a million a: FIPS 180-2's third example */
		ck_assert_int_eq(payload_append(&payload, &disk, dir.fd,
					 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 50),
			0);
	check_digest("cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}
END_TEST

START_TEST(digest_of_a_file_is_that_of_its_bytes)
{
	uint8_t digest[32], want[32], *data = pattern(0, 3 * MIB + 7);
	SHA2_CTX sha;
	SHA256Init(&sha);
	SHA256Update(&sha, data, 3 * MIB + 7);
	SHA256Final(want, &sha);
	free(data);
	ck_assert_int_eq(write_pattern(&disk, 0, 3 * MIB + 7), 0);
	ck_assert_int_eq(payload_digest(&payload, &disk, digest), 0);
	ck_assert_mem_eq(digest, want, 32);
}
END_TEST

START_TEST(file_that_shrank_is_no_payload)
{
	uint8_t digest[32] = {7};
	ck_assert_int_eq(write_pattern(&disk, 0, 3 * MIB), 0);
	ck_assert_int_eq(ftruncate(payload.fd, 2 * MIB + 5), 0);
	ck_assert_int_eq(payload_digest(&payload, &disk, digest), -EIO);
	ck_assert_uint_eq(digest[0], 7);
}
END_TEST

static uint64_t newline(void)
{
	uint64_t at = 0;
	ck_assert_int_eq(payload_find_newline(&payload, &disk, &at), 0);
	return at;
}

START_TEST(first_newline_is_found)
{
	static const uint64_t places[] = {0, 5, MIB - 1, MIB, 262143, 262144, 3 * MIB - 1};
	ck_assert_uint_eq(newline(), 0); /* empty: none */
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		payload_reset(&payload);
		uint64_t size = places[i] < MIB ? MIB : 3 * MIB;
		ck_assert_int_eq(payload_truncate(&payload, &disk, dir.fd, size), 0);
		ck_assert_uint_eq(newline(), size);
		ck_assert_int_eq(payload_write(&payload, &disk, dir.fd, size - 1, "\n", 1), 0);
		ck_assert_uint_eq(newline(), size - 1);
		ck_assert_int_eq(payload_write(&payload, &disk, dir.fd, places[i], "\n", 1), 0);
		ck_assert_uint_eq(newline(), places[i]);
	}
}
END_TEST

START_TEST(failed_read_is_told)
{
	struct fault fault;
	uint8_t digest[32];
	uint64_t at = 3;
	size_t n = 3;
	ck_assert_int_eq(write_pattern(&disk, 0, 2 * MIB), 0);
	fault_init(&fault, 1, -EIO);
	fault.lasting = true;
	const struct disk failing = {.hook = &fault.hook};
	ck_assert_int_eq(payload_digest(&payload, &failing, digest), -EIO);
	ck_assert_int_eq(payload_find_newline(&payload, &failing, &at), -EIO);
	ck_assert_int_eq(payload_read(&payload, &failing, 0, digest, 1, &n), -EIO);
	ck_assert_uint_eq(at, 3);
	ck_assert_uint_eq(n, 3);
}
END_TEST

START_TEST(reset_is_empty_again)
{
	static const size_t sizes[] = {100, MIB, 2 * MIB};
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(write_pattern(&disk, 0, sizes[i]), 0);
		payload_reset(&payload);
		ck_assert_uint_eq(payload.size_bytes, 0);
		ck_assert_int_lt(payload.fd, 0);
		ck_assert_uint_le(payload.memory.capacity, 4096);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("payload");
	TCase *all = tcase_create("payload");
	suite_add_tcase(suite, all);
	tcase_add_checked_fixture(all, setup, teardown);
	tcase_set_timeout(all, 120);
	tcase_add_test(all, small_payload_stays_in_memory);
	tcase_add_test(all, large_payload_goes_to_a_file_without_a_name);
	tcase_add_test(all, one_large_write_goes_to_a_file_at_once);
	tcase_add_test(all, disk_without_tmpfile_gets_an_unlinked_file);
	tcase_add_test(all, pieces_come_in_any_order);
	tcase_add_test(all, overwriting_changes_no_size);
	tcase_add_test(all, gap_reads_as_zeros);
	tcase_add_test(all, truncating_forgets_what_was_behind);
	tcase_add_test(all, truncating_can_grow_into_a_file);
	tcase_add_test(all, reading_ends_at_the_size);
	tcase_add_test(all, offset_beyond_any_file_is_refused);
	tcase_add_test(all, writing_nothing_changes_nothing);
	tcase_add_test(all, failed_call_changes_nothing_and_can_be_retried);
	tcase_add_test(all, leftovers_of_a_failed_write_stay_out_of_a_gap);
	tcase_add_test(all, text_is_a_prefix_of_it);
	tcase_add_test(all, many_payloads_go_to_files_early);
	tcase_add_test(all, files_of_payloads_are_counted);
	tcase_add_test(all, digest_is_sha256);
	tcase_add_test(all, digest_of_a_file_is_that_of_its_bytes);
	tcase_add_test(all, file_that_shrank_is_no_payload);
	tcase_add_test(all, first_newline_is_found);
	tcase_add_test(all, failed_read_is_told);
	tcase_add_test(all, reset_is_empty_again);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
