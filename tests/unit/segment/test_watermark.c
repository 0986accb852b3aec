/* SPDX-License-Identifier: MIT */
/* The watermark: it uses two slots in turn, and is never ahead of the synced text. */
#include "storetest.h"

#include <xxhash.h>

enum { OWNER = 77 };

static const struct disk disk = {0};
static int fd;

static const char *mark_path(void)
{
	static char path[128];
	snprintf(path, sizeof path, "%s/mark", dir.path);
	return path;
}

static void store_marks(unsigned count)
{
	struct watermark mark = {0};
	fd = open(mark_path(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	for (unsigned i = 1; i <= count; i++) {
		mark.synced.offset = i * 100;
		mark.synced.sequence = i;
		mark.synced.json_offset = i * 300;
		mark.horizon.offset = i * 10;
		mark.horizon.sequence = i / 2;
		mark.horizon.json_offset = i * 30;
		mark.horizon_arrival_ms = i * 1000;
		ck_assert_int_eq(watermark_store(&disk, fd, OWNER, &mark), 0);
		ck_assert_uint_eq(mark.counter, i);
	}
	close(fd);
}

static int load(uint64_t owner, struct watermark *mark)
{
	*mark = (struct watermark){.counter = 999};
	return watermark_load(&disk, dir.fd, "mark", owner, mark);
}

START_TEST(the_last_one_stored_counts)
{
	struct watermark mark;
	ck_assert_int_eq(load(OWNER, &mark), -ENOENT);
	store_marks((unsigned)_i + 1);
	ck_assert_int_eq(load(OWNER, &mark), 0);
	ck_assert_uint_eq(mark.counter, _i + 1);
	ck_assert_uint_eq(mark.synced.offset, (_i + 1) * 100);
	ck_assert_uint_eq(mark.synced.sequence, _i + 1);
	ck_assert_uint_eq(mark.horizon.offset, (_i + 1) * 10);
	ck_assert_uint_eq(mark.horizon.sequence, (_i + 1) / 2);
	ck_assert_uint_eq(mark.synced.json_offset, (_i + 1) * 300);
	ck_assert_uint_eq(mark.horizon.json_offset, (_i + 1) * 30);
	ck_assert_uint_eq(mark.horizon_arrival_ms, (_i + 1) * 1000);
}
END_TEST

START_TEST(a_torn_slot_leaves_the_other)
{
	struct watermark mark;
	size_t bytes;
	store_marks(5 + (unsigned)_i);
	uint64_t newest = (5 + (unsigned)_i) % 2 * WATERMARK_SLOT_STRIDE;
	uint8_t *good = slurp(mark_path(), &bytes);
	for (size_t at = 0; at < sizeof(struct watermark_slot); at++) {
		flip_byte(mark_path(), newest + at);
		ck_assert_int_eq(load(OWNER, &mark), 0);
		ck_assert_uint_eq(mark.counter, 4 + _i);
		put_at(mark_path(), newest + at, good + newest + at, 1);
		/* The older one does not matter. */
		uint64_t older = WATERMARK_SLOT_STRIDE - newest;
		flip_byte(mark_path(), older + at);
		ck_assert_int_eq(load(OWNER, &mark), 0);
		ck_assert_uint_eq(mark.counter, 5 + _i);
		put_at(mark_path(), older + at, good + older + at, 1);
	}
	free(good);
}
END_TEST

START_TEST(two_bad_slots_are_told)
{
	struct watermark mark;
	store_marks(2);
	flip_byte(mark_path(), 40);
	flip_byte(mark_path(), WATERMARK_SLOT_STRIDE + 40);
	ck_assert_int_eq(load(OWNER, &mark), -EBADMSG);
	ck_assert_uint_eq(mark.counter, 999);
}
END_TEST

START_TEST(a_cut_file_is_told)
{
	struct watermark mark;
	store_marks(2);
	for (uint64_t bytes = WATERMARK_SLOT_STRIDE + sizeof(struct watermark_slot); bytes-- > 1;) {
		cut_file(mark_path(), bytes);
		int r = load(OWNER, &mark);
		ck_assert_int_eq(r, bytes < sizeof(struct watermark_slot) ? -EBADMSG : 0);
		ck_assert(r < 0 || mark.counter == 2);
	}
	cut_file(mark_path(), 0); /* as a crash after its creation leaves it */
	ck_assert_int_eq(load(OWNER, &mark), -ENOENT);
}
END_TEST

START_TEST(a_swapped_owner_is_refused)
{
	struct watermark mark;
	store_marks(3);
	ck_assert_int_eq(load(OWNER + 1, &mark), -EBADMSG);
}
END_TEST

START_TEST(a_sound_slot_is_still_held_to_its_bounds)
{
	struct watermark mark;
	for (int i = 0; i < 5; i++) {
		struct watermark_slot s = {
			.magic = le32(FORMAT_WATERMARK_MAGIC),
			.owner = le64(OWNER),
			.counter = le64(9),
			.synced_offset = le64(i == 0 ? UINT64_MAX : 100),
			.synced_sequence = le64(i == 1 ? UINT64_MAX : 1),
			.horizon_offset = le64(i == 2 ? 101 : 100),
			.synced_json_offset = le64(i == 3 ? UINT64_MAX : 300),
			.horizon_json_offset = le64(i == 4 ? 301 : 300),
		};
		s.hash = le64(XXH3_64bits(&s, offsetof(struct watermark_slot, hash)));
		put_at(mark_path(), 0, &s, sizeof s);
		ck_assert_int_eq(load(OWNER, &mark), -EBADMSG);
	}
}
END_TEST

/* Compares each write of a watermark with what was synced before it. */
struct lead {
	struct disk_hook hook;		  /* first */
	_Atomic uint64_t written, synced; /* bytes of the segment's file */
	atomic_uint marks;
};

static int watch(struct disk_hook *hook, const struct disk_call *call, size_t *limit)
{
	struct lead *lead = (struct lead *)hook;
	(void)limit;
	if (call->op == DISK_WRITE && call->bytes == sizeof(struct watermark_slot)) {
		struct watermark_slot s;
		memcpy(&s, call->iov[0].iov_base, sizeof s);
		ck_assert_uint_le(le64_get(s.synced_offset), lead->synced);
		lead->marks++;
	}
	if (call->op == DISK_WRITE && call->iov_count == 2) {
		struct chunk c;
		ck_assert_int_eq(chunk_parse(call->iov[0].iov_base, &c), 0);
		ck_assert_uint_le(c.synced_offset, lead->synced);
	}
	return 0;
}

static void note_sync(struct disk_hook *hook, const struct disk_call *call, int result)
{
	struct lead *lead = (struct lead *)hook;
	(void)result;
	if (call->op == DISK_SYNC)
		lead->synced = lead->written;
}

static struct lead lead = {.hook = {.before = watch, .after = note_sync}};

START_TEST(it_never_leads)
{
	options.disk_hook = &lead.hook;
	open_all();
	char line[128];
	for (unsigned i = 0; i < 200; i++) {
		append_bytes(line, make_line(line, sizeof line, i, i % 50));
		lead.written = sfs_shard_size(shard);
		if (i % 7 == 0)
			sync_shard_now();
		ck_assert_uint_le(synced_offset(), lead.synced);
	}
	ck_assert_uint_ge(lead.marks, 200 / 7);
	close_all();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("watermark");
	TCase *tcase = add_case(suite, "watermark");
	tcase_add_loop_test(tcase, the_last_one_stored_counts, 0, 5);
	tcase_add_loop_test(tcase, a_torn_slot_leaves_the_other, 0, 2);
	tcase_add_test(tcase, two_bad_slots_are_told);
	tcase_add_test(tcase, a_cut_file_is_told);
	tcase_add_test(tcase, a_swapped_owner_is_refused);
	tcase_add_test(tcase, a_sound_slot_is_still_held_to_its_bounds);
	tcase_add_test(tcase, it_never_leads);
	return run_suite(suite);
}
