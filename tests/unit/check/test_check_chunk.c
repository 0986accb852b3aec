/* SPDX-License-Identifier: MIT */
/* The checker on handmade chunks with right checksums and wrong content. */
#include "checktest.h"

#include "meta.h"
#include "stream.h"

#define SEGMENT "streams/s/shard-0000/00000000000000000000.lz4"

/* A segment in the making. */
struct segment_writer {
	struct fixture *f;
	struct chunk_order order; /* of the next chunk */
	struct encoder *encoder;
	int fd;
	uint64_t json_more;	/* excess in the next chunk's header */
	bool claims;		/* the next chunk's record is a claim check */
	uint64_t record_offset; /* of a record that has not ended */
	struct json_scan scan;
};

static void start(struct segment_writer *w, struct fixture *f)
{
	char path[PATH_BYTES];
	struct sfs_stream *stream;
	fixture_open(f);
	struct sfs_store *store = open_store(f, 0);
	make_stream(store, "s", "{}");
	ck_assert_int_eq(sfs_stream_lookup(store, "s", &stream), 0);
	*w = (struct segment_writer){.f = f, .encoder = encoder_new()};
	w->order = (struct chunk_order){
		.owner = stream->table.shards[0]->tag, .arrival_ms = 1000, .last_arrival_ms = 1000};
	sfs_stream_unref(stream);
	ck_assert_int_eq(sfs_store_close(store), 0);
	w->fd = open(path_of(f, SEGMENT, path), O_WRONLY | O_CREAT | O_TRUNC, 0600);
	ck_assert_int_ge(w->fd, 0);
}

static void finish(struct segment_writer *w)
{
	encoder_free(w->encoder);
	close(w->fd);
	fixture_close(w->f);
}

static uint64_t unplaced_json(
	struct segment_writer *w, const char *text, uint32_t records, uint16_t flags)
{
	size_t bytes = strlen(text);
	if (w->claims)
		return json_unplaced_bytes(NULL, 0, text, bytes - 1, true);
	if (!flags)
		return json_unplaced_text_bytes(NULL, 0, text, bytes, records);
	if (!(flags & CHUNK_CONTINUES)) {
		w->record_offset = w->order.start.offset;
		w->scan = (struct json_scan){0};
	}
	json_scan(&w->scan, text, bytes - records);
	return records ? json_unplaced_scanned_bytes(NULL, 0, &w->scan) : 0;
}

static void put_chunk(struct segment_writer *w, const char *text, uint32_t records, uint16_t flags,
	const struct buf *meta)
{
	struct chunk_input input = {.text = text,
		.text_bytes = strlen(text),
		.meta = meta,
		.record_count = records,
		.flags = flags,
		.json_bytes = unplaced_json(w, text, records, flags)};
	struct json_place place = {.first_sequence = w->order.start.sequence,
		.record_offset = flags & CHUNK_CONTINUES ? w->record_offset : w->order.start.offset,
		.text_offset = w->order.start.offset};
	struct chunk chunk;
	struct iovec iov[2];
	ck_assert_int_eq(chunk_encode(w->encoder, &input), 0);
	w->order.json_bytes = chunk_json_bytes(w->encoder, &place) + w->json_more;
	chunk_seal(w->encoder, &w->order, &chunk, iov);
	ck_assert_int_eq(writev(w->fd, iov, 2), chunk_stored_bytes(&chunk));
	w->order.start.offset += input.text_bytes;
	w->order.start.json_offset += w->order.json_bytes;
	w->order.start.sequence += records;
}

static void assert_found(struct segment_writer *w, const char *words)
{
	uint64_t before = tree_hash(w->f->store);
	for (int repair = 0; repair < 2; repair++) {
		ck_assert_int_eq(run_check(w->f, repair, NULL), 0);
		ck_assert_uint_eq(w->f->lines, 1);
		ck_assert_uint_eq(w->f->summary.unrepaired, 1);
		ck_assert_said(w->f, SEGMENT ": offset ");
		ck_assert_said(w->f, words);
		ck_assert(tree_hash(w->f->store) == before);
	}
}

START_TEST(chunks_that_follow_on_each_other_are_sound)
{
	struct fixture f;
	struct segment_writer w;
	start(&w, &f);
	put_chunk(&w, "one\ntwo\n", 2, 0, NULL);
	put_chunk(&w, "a long", 0, CHUNK_OPEN_END, NULL);
	w.order.arrival_ms = w.order.last_arrival_ms = 1001;
	put_chunk(&w, " record of", 0, CHUNK_OPEN_END | CHUNK_CONTINUES, NULL);
	put_chunk(&w, " three chunks\n", 1, CHUNK_CONTINUES, NULL);
	w.order.synced_offset = w.order.start.offset;
	put_chunk(&w, "\n", 1, 0, NULL);
	ck_assert_clean(&f);
	ck_assert_uint_eq(f.summary.records, 4);
	ck_assert_uint_eq(f.summary.chunks, 5);
	finish(&w);
}
END_TEST

/* Faults that the second of two chunks can have by itself. */
static const struct {
	const char *text;
	uint32_t records;
	uint16_t flags;
	int sequence_more, arrival_more, last_arrival_more, synced_more;
	const char *words;
} faults[] = {
	{"x\n", 1, 0, 1, 0, 0, 0, "its sequence numbers do not go on"},
	{"x\n", 1, 0, -1, 0, 0, 0, "damaged; text 4"},
	{"x\n", 1, 0, 0, -1, -1, 0, "it arrived before the chunk before it"},
	{"x\n", 1, 0, 0, 0, 1, 0, "its last record arrived at another time"},
	{"x\n", 1, 0, 0, 0, 0, 5, "more was durable than was written"},
	{"x\n", 1, CHUNK_CONTINUES, 0, 0, 0, 0, "its first record does not go on"},
	{"x\n", 1, CHUNK_OPEN_END, 0, 0, 0, 0, "its text ends otherwise"},
	{"x", 0, 0, 0, 0, 0, 0, "its text ends otherwise"},
	{"x\n", 2, 0, 0, 0, 0, 0, "another number of lines"},
	{"x\ny\n", 1, 0, 0, 0, 0, 0, "another number of lines"},
	{"x\n", 0, 0, 0, 0, 0, 0, "another number of lines"},
};

START_TEST(a_chunk_that_contradicts_itself_is_found)
{
	struct fixture f;
	struct segment_writer w;
	start(&w, &f);
	w.order.start.sequence = 0;
	put_chunk(&w, "one\n", 1, 0, NULL);
	w.order.start.sequence += (uint64_t)faults[_i].sequence_more;
	w.order.arrival_ms += (uint64_t)faults[_i].arrival_more;
	w.order.last_arrival_ms += (uint64_t)faults[_i].last_arrival_more;
	if (faults[_i].synced_more)
		w.order.synced_offset = w.order.start.offset + 5;
	put_chunk(&w, faults[_i].text, faults[_i].records, faults[_i].flags, NULL);
	/* A sound chunk follows, so that the fault is not at the end. */
	w.order.start.sequence = 1 + faults[_i].records + (uint64_t)faults[_i].sequence_more;
	w.order.arrival_ms = w.order.last_arrival_ms = 1001;
	w.order.synced_offset = 0;
	bool open_end = faults[_i].flags & CHUNK_OPEN_END;
	if (faults[_i].sequence_more < 0)
		w.order.start.sequence = 2;
	put_chunk(&w, "end\n", 1, open_end ? CHUNK_CONTINUES : 0, NULL);
	assert_found(&w, faults[_i].words);
	finish(&w);
}
END_TEST

static const struct {
	int bytes_more, offset_more;
	const char *words;
} json_faults[] = {
	{1, 0, "another length as JSON"}, {-1, 0, "another length as JSON"},
	{0, 1, "its JSON offset does not go on"},
	{0, -1, "damaged; text 4"}, /* the checker does not find such a chunk */
};

START_TEST(json_that_does_not_add_up_is_found)
{
	struct fixture f;
	struct segment_writer w;
	start(&w, &f);
	put_chunk(&w, "one\n", 1, 0, NULL);
	w.order.start.json_offset += (uint64_t)json_faults[_i].offset_more;
	w.json_more = (uint64_t)json_faults[_i].bytes_more;
	put_chunk(&w, "two\n", 1, 0, NULL);
	w.json_more = 0;
	if (json_faults[_i].offset_more < 0)
		w.order.start.json_offset += 5;
	put_chunk(&w, "three\n", 1, 0, NULL);
	assert_found(&w, json_faults[_i].words);
	finish(&w);
}
END_TEST

START_TEST(json_of_a_record_over_many_chunks_is_checked)
{
	struct fixture f;
	struct segment_writer w;
	start(&w, &f);
	put_chunk(&w, "eleven bytes\n", 1, 0, NULL);
	put_chunk(&w, "a \"long\" \xe2", 0, CHUNK_OPEN_END, NULL);
	put_chunk(&w, "\x82", 0, CHUNK_OPEN_END | CHUNK_CONTINUES, NULL);
	w.json_more = _i ? 1 : 0;
	put_chunk(&w, "\xac record\n", 1, CHUNK_CONTINUES, NULL);
	w.json_more = 0;
	put_chunk(&w, "\xff\n\n", 2, 0, NULL);
	if (_i)
		assert_found(&w, "another length as JSON");
	else
		ck_assert_clean(&f);
	finish(&w);
}
END_TEST

START_TEST(the_first_record_of_a_shard_is_number_0)
{
	struct fixture f;
	struct segment_writer w;
	start(&w, &f);
	w.order.start.sequence = 1;
	put_chunk(&w, "one\n", 1, 0, NULL);
	assert_found(&w, "its sequence numbers do not go on");
	finish(&w);
}
END_TEST

START_TEST(a_torn_record_is_dropped_as_a_whole)
{
	struct fixture f;
	struct segment_writer w;
	start(&w, &f);
	put_chunk(&w, "one\n", 1, 0, NULL);
	off_t sound = size_of(&f, SEGMENT);
	put_chunk(&w, "a long", 0, CHUNK_OPEN_END, NULL);
	put_chunk(&w, " record", 0, CHUNK_OPEN_END | CHUNK_CONTINUES, NULL);
	uint64_t before = tree_hash(f.store);
	ck_assert_int_eq(run_check(&f, false, NULL), 0);
	ck_assert_said(&f, "a record without its end");
	ck_assert_uint_eq(f.summary.unrepaired, 1);
	ck_assert(tree_hash(f.store) == before);
	ck_assert_int_eq(run_check(&f, true, NULL), 0);
	ck_assert_uint_eq(f.summary.repaired, 1);
	ck_assert_uint_eq(f.summary.unrepaired, 0);
	ck_assert_int_eq(size_of(&f, SEGMENT), sound);
	ck_assert_clean(&f);
	ck_assert_uint_eq(f.summary.records, 1);
	finish(&w);
}
END_TEST

START_TEST(a_durable_record_without_its_end_is_left)
{
	struct fixture f;
	struct segment_writer w;
	char path[PATH_BYTES];
	start(&w, &f);
	put_chunk(&w, "one\n", 1, 0, NULL);
	put_chunk(&w, "a long", 0, CHUNK_OPEN_END, NULL);
	struct disk disk = {.hook = NULL};
	struct watermark mark = {.synced.offset = w.order.start.offset,
		.synced.sequence = 1,
		.synced.json_offset = w.order.start.json_offset};
	int fd = open(path_of(&f, "streams/s/shard-0000/synced", path), O_WRONLY | O_CREAT, 0600);
	ck_assert_int_eq(watermark_store(&disk, fd, w.order.owner, &mark), 0);
	assert_found(&w, "the end of the last record is missing");
	/* The checker compares the watermark's sequence numbers with the text. */
	mark.synced.offset = 2;
	mark.synced.sequence = 7;
	ck_assert_int_eq(watermark_store(&disk, fd, w.order.owner, &mark), 0);
	ck_assert_int_eq(run_check(&f, false, NULL), 0);
	ck_assert_said(&f, "text 2 is of record 0, but the watermark says 7");
	/* And its JSON offsets. */
	mark.synced.offset = 4;
	mark.synced.sequence = 1;
	mark.synced.json_offset = w.order.start.json_offset + 1;
	mark.horizon.json_offset = 5;
	ck_assert_int_eq(watermark_store(&disk, fd, w.order.owner, &mark), 0);
	ck_assert_int_eq(run_check(&f, false, NULL), 0);
	ck_assert_said(&f, "the next record as JSON is at");
	ck_assert_said(&f, "text 0 is at JSON offset 0, but the horizon says 5");
	close(fd);
	finish(&w);
}
END_TEST

/* Raw sections of meta that no writer writes, with their lengths. */
static const struct {
	const char *bytes;
	size_t count;
} bad_metas[] = {
	{"\x02\x02\x00", 3},		  /* longer than the meta */
	{"\x02\x01\x05", 3},		  /* five keys, none of which follows */
	{"\x02\x02\x00\x01", 4},	  /* a code for the first of two records only */
	{"\x02\x04\x00\x01\x01\x01", 6},  /* one code too many */
	{"\x02\x03\x00\x02\x01", 5},	  /* a key that is not in the table */
	{"\x02\x05\x01\x01k\x01\x01", 7}, /* a key that no record has */
	{"\x03\x02\x01\x00", 4},	  /* the time of one of two records */
	{"\x03\x02\x03\x00", 4},	  /* the times of three records */
	{"\x04\x01\x01", 3},		  /* a missing claim check */
	{"\x04\x02\x01\x09", 4},	  /* ... or behind the last record */
};

START_TEST(meta_that_does_not_fit_its_records_is_found)
{
	struct fixture f;
	struct segment_writer w;
	start(&w, &f);
	struct buf meta = {0};
	ck_assert_int_eq(buf_append(&meta, bad_metas[_i].bytes, bad_metas[_i].count), 0);
	put_chunk(&w, "one\ntwo\n", 2, 0, &meta);
	assert_found(&w, "its meta ");
	buf_fini(&meta);
	finish(&w);
}
END_TEST

/* Writes a chunk of one record that meta marks as a claim check. */
static void put_claim(struct segment_writer *w, const char *line, uint8_t digit, uint64_t bytes)
{
	struct meta_writer meta = {.records = 0};
	struct claim claim = {.payload_bytes = bytes};
	memset(claim.digest, digit, sizeof claim.digest);
	meta_writer_reset(&meta);
	ck_assert_int_eq(meta_writer_record(&meta, NULL, 0, 1000, &claim), 0);
	w->claims = true;
	put_chunk(w, line, 1, 0, meta_writer_finish(&meta));
	w->claims = false;
	meta_writer_fini(&meta);
}

START_TEST(a_claim_check_whose_line_names_another_blob_is_found)
{
	struct fixture f;
	struct segment_writer w;
	start(&w, &f);
	put_claim(&w, "{}\n", 0xab, 5);
	ck_assert_int_eq(run_check(&f, false, NULL), 0);
	ck_assert_uint_eq(f.summary.unrepaired, 2);
	ck_assert_said(&f, "stands for abababab");
	ck_assert_said(&f, "names streams/s/blobs/ab/abab");
	finish(&w);
}
END_TEST

START_TEST(a_claim_check_of_another_size_is_found)
{
	struct fixture f;
	struct segment_writer w;
	char text[PATH_BYTES], path[PATH_BYTES];
	start(&w, &f);
	/* The store's own line, except for the size. */
	struct sfs_store *store = open_store(&f, 0);
	make_stream(store, "t", "{\"large_records\":{\"threshold_bytes\":1024}}");
	append_line(store, "t", 0, 'X', 5000);
	struct sfs_stream *stream;
	struct sfs_shard *shard;
	size_t got;
	ck_assert_int_eq(sfs_stream_lookup(store, "t", &stream), 0);
	ck_assert_int_eq(sfs_stream_shard(stream, 0, &shard), 0);
	ck_assert_int_eq(sfs_shard_read(shard, 0, text, sizeof text - 1, &got), 0);
	text[got] = 0;
	w.order.owner = shard->tag;
	sfs_shard_unref(shard);
	sfs_stream_unref(stream);
	ck_assert_int_eq(sfs_store_close(store), 0);
	char *bytes = strstr(text, "4999");
	ck_assert_ptr_nonnull(bytes);
	bytes[0] = '3';
	close(w.fd);
	w.fd = open(path_of(&f, "streams/t/shard-0000/00000000000000000000.lz4", path),
		O_WRONLY | O_TRUNC);
	struct meta_writer meta = {.records = 0};
	struct claim claim = {.payload_bytes = 3999};
	char hex[65];
	snprintf(hex, sizeof hex, "%.64s", strstr(text, "blobs/") + 6);
	ck_assert_int_eq(digest_from_hex(hex, claim.digest), 0);
	meta_writer_reset(&meta);
	ck_assert_int_eq(meta_writer_record(&meta, NULL, 0, 1000, &claim), 0);
	w.claims = true;
	put_chunk(&w, text, 1, 0, meta_writer_finish(&meta));
	meta_writer_fini(&meta);
	ck_assert_int_eq(run_check(&f, false, NULL), 0);
	ck_assert_uint_eq(f.lines, 1);
	ck_assert_said(&f, "has 3999 bytes; it has 4999");
	finish(&w);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("check_chunk");
	tcase_set_timeout(t, 60);
	tcase_add_test(t, chunks_that_follow_on_each_other_are_sound);
	tcase_add_loop_test(t, a_chunk_that_contradicts_itself_is_found, 0,
		(int)(sizeof faults / sizeof *faults));
	tcase_add_loop_test(t, json_that_does_not_add_up_is_found, 0,
		(int)(sizeof json_faults / sizeof *json_faults));
	tcase_add_loop_test(t, json_of_a_record_over_many_chunks_is_checked, 0, 2);
	tcase_add_test(t, the_first_record_of_a_shard_is_number_0);
	tcase_add_test(t, a_torn_record_is_dropped_as_a_whole);
	tcase_add_test(t, a_durable_record_without_its_end_is_left);
	tcase_add_loop_test(t, meta_that_does_not_fit_its_records_is_found, 0,
		(int)(sizeof bad_metas / sizeof *bad_metas));
	tcase_add_test(t, a_claim_check_whose_line_names_another_blob_is_found);
	tcase_add_test(t, a_claim_check_of_another_size_is_found);
	Suite *suite = suite_create("check_chunk");
	suite_add_tcase(suite, t);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
