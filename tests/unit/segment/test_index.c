/* SPDX-License-Identifier: MIT */
/* The index of a segment: to add, find and save, and which files are not loaded. */
#include "storetest.h"

enum { CHUNKS = 12, OWNER = 77 };

static const struct disk disk = {0};
static int segment_fd;
static struct index made;

/* Makes a segment of small chunks and its index. */
static void make_segment(uint64_t base)
{
	struct encoder *encoder = encoder_new();
	uint64_t at = 0, text_offset = base;
	segment_fd = openat(dir.fd, "segment", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	index_init(&made, (struct position){base, 5, 0});
	for (unsigned i = 0; i < CHUNKS; i++) {
		char line[64];
		struct chunk_input input = {.text = line,
			.record_count = 1,
			.text_bytes = make_line(line, sizeof line, i, i),
			.compress = true};
		struct chunk_order order = {.owner = OWNER,
			.start.offset = text_offset,
			.start.sequence = 5 + i,
			.arrival_ms = 100 + i,
			.last_arrival_ms = 100 + i,
			.start.json_offset = made.count ? made.end.at.json_offset : 7000,
			.json_bytes = 100 + i};
		struct chunk chunk;
		struct iovec iov[2];
		ck_assert_int_eq(chunk_encode(encoder, &input), 0);
		chunk_seal(encoder, &order, &chunk, iov);
		ck_assert_int_eq(disk_writev(&disk, segment_fd, at, iov, 2), 0);
		ck_assert_int_eq(index_add(&made, &chunk, at), 0);
		at += chunk_stored_bytes(&chunk);
		text_offset += chunk.text_bytes;
	}
	encoder_free(encoder);
}

static void drop_segment(void)
{
	index_fini(&made);
	close(segment_fd);
}

static int load(uint64_t owner, uint64_t bytes, uint64_t base)
{
	struct index index;
	int r = index_load(&disk, dir.fd, "index", owner, segment_fd, bytes, base, &index);
	if (r < 0)
		return r;
	ck_assert_uint_eq(index.count, made.count);
	ck_assert_mem_eq(index.items, made.items, made.count * sizeof *made.items);
	ck_assert_uint_eq(index.end.at.offset, made.end.at.offset);
	ck_assert_uint_eq(index.end.at.sequence, made.end.at.sequence);
	ck_assert_uint_eq(index.end.at.json_offset, made.end.at.json_offset);
	ck_assert_uint_eq(index.end.file_offset, made.end.file_offset);
	ck_assert_uint_eq(index.end.arrival_ms, made.end.arrival_ms);
	ck_assert_uint_eq(index.first_header_hash, made.first_header_hash);
	ck_assert_uint_eq(index.end.header_hash, made.end.header_hash);
	index_fini(&index);
	return 0;
}

START_TEST(every_offset_is_found)
{
	make_segment(1000);
	for (size_t i = 0; i < CHUNKS; i++)
		for (uint64_t at = made.items[i].start.offset; at < index_item_end(&made, i); at++)
			ck_assert_uint_eq(index_find(&made, at), i);
	ck_assert_uint_eq(index_item_end(&made, CHUNKS - 1), made.end.at.offset);
	drop_segment();
}
END_TEST

START_TEST(every_json_offset_is_found)
{
	make_segment(1000);
	ck_assert_uint_eq(made.items[0].start.json_offset, 7000);
	for (size_t i = 0; i < CHUNKS; i++) {
		uint64_t from = made.items[i].start.json_offset, to = index_item_json_end(&made, i);
		ck_assert_uint_eq(to - from, 100 + i);
		for (uint64_t at = from; at < to; at++)
			ck_assert_uint_eq(index_find_json(&made, at), i);
	}
	drop_segment();
}
END_TEST

/* The JSON of a record belongs to its last piece. */
START_TEST(json_of_a_long_record_is_found_where_it_ends)
{
	struct index index;
	index_init(&index, (struct position){0, 0, 0});
	const uint16_t flags[] = {
		0, CHUNK_OPEN_END, CHUNK_OPEN_END | CHUNK_CONTINUES, CHUNK_CONTINUES, 0};
	for (unsigned i = 0; i < 5; i++) {
		bool ends = !(flags[i] & CHUNK_OPEN_END);
		struct chunk chunk = {.text_offset = index.end.at.offset,
			.text_bytes = 10,
			.first_sequence = index.end.at.sequence,
			.record_count = ends,
			.json_offset = index.end.at.json_offset,
			.json_bytes = ends ? 100 : 0,
			.incompatible = flags[i]};
		ck_assert_int_eq(index_add(&index, &chunk, i * 200), 0);
	}
	ck_assert_uint_eq(index_find_json(&index, 99), 0);
	ck_assert_uint_eq(index_find_json(&index, 100), 3);
	ck_assert_uint_eq(index_find_json(&index, 199), 3);
	ck_assert_uint_eq(index_record_start(&index, 3), 1);
	ck_assert_uint_eq(index_find_json(&index, 200), 4);
	ck_assert_uint_eq(index_record_start(&index, 4), 4);
	ck_assert_uint_eq(index.end.at.json_offset, 300);
	index_fini(&index);
}
END_TEST

START_TEST(gaps_are_items)
{
	struct index index;
	struct chunk chunk = {.text_offset = 50,
		.text_bytes = 10,
		.first_sequence = 9,
		.record_count = 2,
		.json_offset = 700,
		.json_bytes = 200,
		.frame_bytes = 20};
	index_init(&index, (struct position){0, 0, 0});
	ck_assert_int_eq(index_add_gap(&index, 0, (struct position){50, 9, 700}), 0);
	ck_assert_int_eq(index_add(&index, &chunk, 300), 0);
	ck_assert_int_eq(index_add_gap(&index, 440, (struct position){80, 12, 1500}), 0);
	ck_assert_uint_eq(index.count, 3);
	ck_assert_uint_eq(index_find(&index, 49), 0);
	ck_assert_uint_eq(index_find(&index, 50), 1);
	ck_assert_uint_eq(index_find(&index, 60), 2);
	ck_assert_uint_eq(index.items[2].start.sequence, 11);
	ck_assert_uint_eq(index.items[2].start.json_offset, 900);
	ck_assert_uint_eq(index_find_json(&index, 699), 0);
	ck_assert_uint_eq(index_find_json(&index, 700), 1);
	ck_assert_uint_eq(index_find_json(&index, 900), 2);
	ck_assert_uint_eq(index.end.at.json_offset, 1500);
	ck_assert_uint_eq(index.end.at.offset, 80);
	ck_assert_uint_eq(index.end.at.sequence, 12);
	ck_assert(index.items[0].flags & INDEX_DAMAGED && index.items[2].flags & INDEX_DAMAGED);
	index_fini(&index);
}
END_TEST

START_TEST(a_saved_index_is_loaded)
{
	make_segment(1000);
	ck_assert_int_eq(load(OWNER, made.end.file_offset, 1000), -ENOENT);
	ck_assert_int_eq(index_save(&disk, dir.fd, "index", OWNER, &made), 0);
	ck_assert_int_eq(load(OWNER, made.end.file_offset, 1000), 0);
	drop_segment();
}
END_TEST

START_TEST(an_index_of_something_else_is_refused)
{
	make_segment(1000);
	ck_assert_int_eq(index_save(&disk, dir.fd, "index", OWNER, &made), 0);
	ck_assert_int_eq(load(OWNER + 1, made.end.file_offset, 1000), -EBADMSG);
	ck_assert_int_eq(load(OWNER, made.end.file_offset + 1, 1000), -EBADMSG);
	ck_assert_int_eq(load(OWNER, made.end.file_offset - 1, 1000), -EBADMSG);
	ck_assert_int_eq(load(OWNER, made.end.file_offset, 999), -EBADMSG);
	uint64_t first = made.first_header_hash, last = made.end.header_hash;
	made.first_header_hash++;
	ck_assert_int_eq(index_save(&disk, dir.fd, "index", OWNER, &made), 0);
	ck_assert_int_eq(load(OWNER, made.end.file_offset, 1000), -EBADMSG);
	made.first_header_hash = first;
	made.end.header_hash++;
	ck_assert_int_eq(index_save(&disk, dir.fd, "index", OWNER, &made), 0);
	ck_assert_int_eq(load(OWNER, made.end.file_offset, 1000), -EBADMSG);
	made.end.header_hash = last;
	made.items[4].start.json_offset = made.items[3].start.json_offset - 1;
	ck_assert_int_eq(index_save(&disk, dir.fd, "index", OWNER, &made), 0);
	ck_assert_int_eq(load(OWNER, made.end.file_offset, 1000), -EBADMSG);
	made.items[4].start.json_offset = made.items[3].start.json_offset + 103;
	made.items[4].file_offset++;
	ck_assert_int_eq(index_save(&disk, dir.fd, "index", OWNER, &made), 0);
	ck_assert_int_eq(load(OWNER, made.end.file_offset, 1000), -EBADMSG);
	drop_segment();
}
END_TEST

START_TEST(no_changed_byte_goes_unnoticed)
{
	char path[128];
	make_segment(0);
	ck_assert_int_eq(index_save(&disk, dir.fd, "index", OWNER, &made), 0);
	snprintf(path, sizeof path, "%s/index", dir.path);
	size_t bytes;
	uint8_t *good = slurp(path, &bytes);
	for (size_t at = 0; at < bytes; at++) {
		flip_byte(path, at);
		ck_assert_int_eq(load(OWNER, made.end.file_offset, 0), -EBADMSG);
		put_at(path, at, good + at, 1);
	}
	for (size_t cut = bytes; cut-- > 0;) {
		cut_file(path, cut);
		ck_assert_int_eq(load(OWNER, made.end.file_offset, 0), -EBADMSG);
	}
	free(good);
	drop_segment();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("index");
	TCase *tcase = add_case(suite, "index");
	tcase_add_test(tcase, every_offset_is_found);
	tcase_add_test(tcase, every_json_offset_is_found);
	tcase_add_test(tcase, json_of_a_long_record_is_found_where_it_ends);
	tcase_add_test(tcase, gaps_are_items);
	tcase_add_test(tcase, a_saved_index_is_loaded);
	tcase_add_test(tcase, an_index_of_something_else_is_refused);
	tcase_add_test(tcase, no_changed_byte_goes_unnoticed);
	return run_suite(suite);
}
