/* SPDX-License-Identifier: MIT */
/* Chunks: they decode to the bytes that were encoded, or to an error. */
#include "buf.h"
#include "chunk.h"
#include "testdisk.h"

#include <xxhash.h>

static const struct chunk_order order = {
	.owner = 0x1122334455667788,
	.start.offset = 4711,
	.start.sequence = 42,
	.arrival_ms = 1700000000000,
	.last_arrival_ms = 1700000000000 + UINT32_MAX,
	.synced_offset = 4000,
	.start.json_offset = 9000,
	.json_bytes = 1234,
};

/* A chunk as it is stored. */
struct stored {
	struct chunk chunk;
	uint8_t *data;
	size_t bytes;
};

static uint64_t seed;

static uint64_t next_random(void)
{
	seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
	return seed;
}

static char *make_text(size_t bytes, bool random)
{
	char *text = malloc(bytes + 1);
	seed = bytes * 0x9E3779B97F4A7C15u + 1;
	for (size_t i = 0; i < bytes; i++)
		text[i] = random ? (char)next_random() : (char)("hello world\n"[i % 12]);
	return text;
}

static void store_chunk(const struct chunk_input *input, struct stored *ret)
{
	struct encoder *encoder = encoder_new();
	struct iovec iov[2];
	ck_assert_ptr_nonnull(encoder);
	ck_assert_int_eq(chunk_encode(encoder, input), 0);
	chunk_seal(encoder, &order, &ret->chunk, iov);
	ret->bytes = iov[0].iov_len + iov[1].iov_len;
	ck_assert_uint_eq(ret->bytes, chunk_stored_bytes(&ret->chunk));
	ret->data = malloc(ret->bytes);
	memcpy(ret->data, iov[0].iov_base, iov[0].iov_len);
	memcpy(ret->data + iov[0].iov_len, iov[1].iov_base, iov[1].iov_len);
	encoder_free(encoder);
}

/* Reads stored bytes; `text` has room for the bytes that the header names. */
static int take_chunk(
	const uint8_t *data, size_t bytes, struct chunk *c, char **ret_text, struct buf *ret_meta)
{
	int r = bytes < sizeof(struct chunk_header) ? -EBADMSG : chunk_parse(data, c);
	if (r < 0)
		return r;
	if (chunk_stored_bytes(c) > bytes)
		return -EBADMSG;
	const uint8_t *meta = data + sizeof(struct chunk_header);
	char *text = malloc(c->text_bytes);
	r = chunk_decode(c, meta + c->meta_bytes, text);
	if (r == 0)
		r = chunk_decode_meta(c, meta, ret_meta);
	if (r == 0)
		*ret_text = text;
	else
		free(text);
	return r;
}

static void check_round_trip(const struct chunk_input *input)
{
	struct stored s;
	struct chunk c;
	char *text;
	struct buf meta = {0};
	store_chunk(input, &s);
	ck_assert_int_eq(take_chunk(s.data, s.bytes, &c, &text, &meta), 0);
	ck_assert(!memcmp(&c, &s.chunk, offsetof(struct chunk, incompatible)));
	ck_assert_uint_eq(c.owner, order.owner);
	ck_assert_uint_eq(c.text_offset, order.start.offset);
	ck_assert_uint_eq(c.first_sequence, order.start.sequence);
	ck_assert_uint_eq(c.arrival_ms, order.arrival_ms);
	ck_assert_uint_eq(c.last_arrival_ms, order.last_arrival_ms);
	ck_assert_uint_eq(c.synced_offset, order.synced_offset);
	ck_assert_uint_eq(c.json_offset, order.start.json_offset);
	ck_assert_uint_eq(c.json_bytes, order.json_bytes);
	ck_assert_uint_eq(c.text_bytes, input->text_bytes);
	ck_assert_uint_eq(c.record_count, input->record_count);
	ck_assert_uint_eq(c.incompatible & ~CHUNK_META_LZ4, input->flags);
	ck_assert(!memcmp(text, input->text, input->text_bytes));
	ck_assert_uint_eq(meta.size, input->meta ? input->meta->size : 0);
	ck_assert(!meta.size || !memcmp(meta.data, input->meta->data, meta.size));
	free(text);
	free(s.data);
	buf_fini(&meta);
}

static const size_t sizes[] = {1, 2, 63, 64, 65, 65535, 65536, 65537, 262143, 262144, 262145,
	1 << 20, (1 << 20) + 1, (4 << 20) - 1, 4 << 20};
static const size_t meta_sizes[] = {0, 1, 63, 64, 65, 70000};
static const uint16_t flag_sets[] = {
	0, CHUNK_CONTINUES, CHUNK_OPEN_END, CHUNK_CONTINUES | CHUNK_OPEN_END};

START_TEST(every_size_comes_back)
{
	size_t bytes = sizes[_i];
	for (unsigned kind = 0; kind < 4; kind++)
		for (size_t k = 0; k < 6; k++) {
			char *text = make_text(bytes, kind & 1);
			struct buf meta = {0};
			ck_assert_int_eq(buf_reserve(&meta, meta_sizes[k] + 1), 0);
			memset(meta.data, (int)k, meta_sizes[k]);
			meta.size = meta_sizes[k];
			struct chunk_input input = {.text = text,
				.text_bytes = bytes,
				.meta = k ? &meta : NULL,
				.record_count = (uint32_t)(bytes / 3),
				.flags = flag_sets[k % 4],
				.compress = kind & 2};
			check_round_trip(&input);
			free(text);
			buf_fini(&meta);
		}
}
END_TEST

START_TEST(what_is_out_of_bounds_is_not_encoded)
{
	char *text = make_text(CHUNK_TEXT_MAX + 1, false);
	struct encoder *encoder = encoder_new();
	struct buf meta = {.data = (uint8_t *)text, .size = CHUNK_META_MAX + 1};
	struct chunk_input input = {.text = text, .text_bytes = CHUNK_TEXT_MAX + 1};
	ck_assert_int_eq(chunk_encode(encoder, &input), -EINVAL);
	input.text_bytes = 0;
	ck_assert_int_eq(chunk_encode(encoder, &input), -EINVAL);
	input.text_bytes = 1;
	input.meta = &meta;
	ck_assert_int_eq(chunk_encode(encoder, &input), -EINVAL);
	encoder_free(encoder);
	free(text);
}
END_TEST

START_TEST(an_encoder_makes_many_chunks)
{
	struct encoder *encoder = encoder_new();
	char *text = make_text(300000, false);
	for (size_t i = 1; i < 300000; i = i * 3 + 1) {
		struct chunk_input input = {.text = text, .text_bytes = i, .compress = i % 2};
		struct chunk c;
		struct iovec iov[2];
		char *got = malloc(i);
		ck_assert_int_eq(chunk_encode(encoder, &input), 0);
		chunk_seal(encoder, &order, &c, iov);
		ck_assert_int_eq(chunk_decode(&c, iov[1].iov_base, got), 0);
		ck_assert(!memcmp(got, text, i));
		free(got);
	}
	encoder_free(encoder);
	free(text);
}
END_TEST

static void make_small(struct stored *s, struct buf *meta, bool compress)
{
	char *text = make_text(700, false);
	for (int i = 0; i < 200; i++)
		ck_assert_int_eq(buf_varint(meta, 7), 0);
	struct chunk_input input = {.text = text,
		.text_bytes = 700,
		.meta = meta,
		.record_count = 58,
		.compress = compress};
	store_chunk(&input, s);
	free(text);
}

START_TEST(no_changed_byte_goes_unnoticed)
{
	struct stored s;
	struct buf meta = {0};
	make_small(&s, &meta, _i);
	for (size_t at = 0; at < s.bytes; at += stride())
		for (unsigned flip = 1; flip < 256; flip += flip < 128 ? flip : 127) {
			struct chunk c;
			char *text;
			struct buf got = {0};
			s.data[at] ^= (uint8_t)flip;
			ck_assert_int_lt(take_chunk(s.data, s.bytes, &c, &text, &got), 0);
			s.data[at] ^= (uint8_t)flip;
			buf_fini(&got);
		}
	for (size_t bytes = 0; bytes < s.bytes; bytes++) {
		struct chunk c;
		char *text;
		struct buf got = {0};
		uint8_t *part = malloc(bytes + 1); /* a sanitizer then sees a read past the end */
		memcpy(part, s.data, bytes);
		ck_assert_int_lt(take_chunk(part, bytes, &c, &text, &got), 0);
		free(part);
		buf_fini(&got);
	}
	free(s.data);
	buf_fini(&meta);
}
END_TEST

static void rehash(struct chunk_header *h)
{
	h->header_hash = le64(XXH3_64bits(h, offsetof(struct chunk_header, header_hash)));
}

/* Checks that a header with a good checksum is refused for a value. */
#define CHECK_REFUSED(field, value, result)                                                        \
	do {                                                                                       \
		struct chunk_header h_ = good;                                                     \
		struct chunk c_;                                                                   \
		h_.field = value;                                                                  \
		rehash(&h_);                                                                       \
		ck_assert_int_eq(chunk_parse(&h_, &c_), result);                                   \
	} while (0)

START_TEST(a_sound_header_is_still_held_to_its_bounds)
{
	struct stored s;
	struct buf meta = {0};
	struct chunk_header good;
	make_small(&s, &meta, true);
	memcpy(&good, s.data, sizeof good);
	CHECK_REFUSED(owner, le64(1), 0);
	CHECK_REFUSED(compatible, le16(0xffff), 0);
	CHECK_REFUSED(incompatible, le16(8), -EPROTONOSUPPORT);
	CHECK_REFUSED(incompatible, le16(0x8000), -EPROTONOSUPPORT);
	CHECK_REFUSED(skippable_magic, le32(0x184D2A50), -EBADMSG);
	CHECK_REFUSED(magic, le32(0), -EBADMSG);
	CHECK_REFUSED(skippable_bytes, le32(96), -EBADMSG);
	CHECK_REFUSED(text_bytes, le32(0), -EBADMSG);
	CHECK_REFUSED(text_bytes, le32(CHUNK_TEXT_MAX + 1), -EBADMSG);
	CHECK_REFUSED(text_bytes, le32(UINT32_MAX), -EBADMSG);
	CHECK_REFUSED(record_count, le32(701), -EBADMSG);
	CHECK_REFUSED(frame_bytes, le32(10), -EBADMSG);
	CHECK_REFUSED(frame_bytes, le32(CHUNK_FRAME_MAX + 1), -EBADMSG);
	CHECK_REFUSED(frame_bytes, le32(UINT32_MAX), -EBADMSG);
	CHECK_REFUSED(meta_bytes, le32(UINT32_MAX), -EBADMSG);
	CHECK_REFUSED(meta_raw_bytes, le32(CHUNK_META_MAX + 1), -EBADMSG);
	CHECK_REFUSED(meta_raw_bytes, le32(0), -EBADMSG);
	CHECK_REFUSED(text_offset, le64(INT64_MAX), -EBADMSG);
	CHECK_REFUSED(text_offset, le64(UINT64_MAX), -EBADMSG);
	CHECK_REFUSED(first_sequence, le64(UINT64_MAX), -EBADMSG);
	CHECK_REFUSED(json_offset, le64(UINT64_MAX), -EBADMSG);
	CHECK_REFUSED(json_bytes, le64(UINT64_MAX), -EBADMSG);
	CHECK_REFUSED(json_bytes, le64(INT64_MAX - UINT64_C(8999)), -EBADMSG);
	CHECK_REFUSED(json_bytes, le64(INT64_MAX - UINT64_C(9000)), 0);
	CHECK_REFUSED(skippable_bytes, le32(112), -EBADMSG);
	free(s.data);
	buf_fini(&meta);
}
END_TEST

START_TEST(a_frame_of_another_length_is_refused)
{
	struct stored s;
	struct buf meta = {0}, got = {0};
	char text[2000];
	make_small(&s, &meta, _i);
	const uint8_t *frame = s.data + sizeof(struct chunk_header) + s.chunk.meta_bytes;
	for (uint32_t bytes = 1; bytes < 1400; bytes++) {
		struct chunk c = s.chunk;
		c.text_bytes = bytes;
		ck_assert_int_eq(chunk_decode(&c, frame, text), bytes == 700 ? 0 : -EBADMSG);
	}
	for (uint32_t bytes = 11; bytes < s.chunk.frame_bytes; bytes++) {
		struct chunk c = s.chunk;
		c.frame_bytes = bytes;
		c.frame_hash = XXH3_64bits(frame, bytes);
		ck_assert_int_eq(chunk_decode(&c, frame, text), -EBADMSG);
	}
	for (uint32_t bytes = s.chunk.meta_bytes; bytes < 400; bytes++) {
		struct chunk c = s.chunk;
		c.meta_raw_bytes = bytes;
		got.size = 0;
		int r = chunk_decode_meta(&c, s.data + sizeof(struct chunk_header), &got);
		ck_assert_int_eq(r, bytes == 200 ? 0 : -EBADMSG);
	}
	free(s.data);
	buf_fini(&meta);
	buf_fini(&got);
}
END_TEST

/* Any frame under a right checksum gives an error or the right number of bytes. */
START_TEST(a_wild_frame_is_refused_or_decoded_within_bounds)
{
	struct stored s;
	struct buf meta = {0};
	make_small(&s, &meta, _i);
	uint8_t *frame = s.data + sizeof(struct chunk_header) + s.chunk.meta_bytes;
	char *text = malloc(s.chunk.text_bytes);
	seed = 4711;
	for (unsigned round = 0; round < 5000; round++) {
		size_t at = next_random() % s.chunk.frame_bytes;
		uint8_t was = frame[at];
		frame[at] = (uint8_t)next_random();
		struct chunk c = s.chunk;
		c.frame_hash = XXH3_64bits(frame, c.frame_bytes);
		int r = chunk_decode(&c, frame, text);
		ck_assert(r == 0 || r == -EBADMSG);
		if (round % 4)
			frame[at] = was;
	}
	free(text);
	free(s.data);
	buf_fini(&meta);
}
END_TEST

START_TEST(the_lz4_tool_reads_a_segment)
{
	struct testdir dir;
	char file[128], command[300];
	testdir_open(&dir);
	snprintf(file, sizeof file, "%s/segment.lz4", dir.path);
	FILE *out = fopen(file, "w");
	struct buf want = {0}, meta = {0};
	for (size_t i = 0; i < 8; i++) {
		struct stored s;
		char *text = make_text(sizes[i], i % 2);
		ck_assert_int_eq(buf_varint(&meta, i), 0);
		struct chunk_input input = {.text = text,
			.text_bytes = sizes[i],
			.meta = i % 3 ? &meta : NULL,
			.compress = i % 4 != 0};
		store_chunk(&input, &s);
		ck_assert_uint_eq(fwrite(s.data, 1, s.bytes, out), s.bytes);
		ck_assert_int_eq(buf_append(&want, text, sizes[i]), 0);
		free(s.data);
		free(text);
	}
	ck_assert_int_eq(fclose(out), 0);
	snprintf(command, sizeof command, "lz4 -t -q '%s' && lz4 -dcq '%s'", file, file);
	FILE *tool = popen(command, "r");
	uint8_t *got = malloc(want.size + 1);
	ck_assert_uint_eq(fread(got, 1, want.size + 1, tool), want.size);
	ck_assert(!memcmp(got, want.data, want.size));
	ck_assert_int_eq(pclose(tool), 0);
	free(got);
	buf_fini(&want);
	buf_fini(&meta);
	testdir_close(&dir);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("chunk");
	TCase *tcase = tcase_create("chunk");
	tcase_set_timeout(tcase, 300);
	tcase_add_loop_test(tcase, every_size_comes_back, 0, sizeof sizes / sizeof *sizes);
	tcase_add_test(tcase, what_is_out_of_bounds_is_not_encoded);
	tcase_add_test(tcase, an_encoder_makes_many_chunks);
	tcase_add_loop_test(tcase, no_changed_byte_goes_unnoticed, 0, 2);
	tcase_add_test(tcase, a_sound_header_is_still_held_to_its_bounds);
	tcase_add_loop_test(tcase, a_frame_of_another_length_is_refused, 0, 2);
	tcase_add_loop_test(tcase, a_wild_frame_is_refused_or_decoded_within_bounds, 0, 2);
	tcase_add_test(tcase, the_lz4_tool_reads_a_segment);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
