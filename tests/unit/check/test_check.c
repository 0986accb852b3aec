/* SPDX-License-Identifier: MIT */
/* The checker: what it finds and names, what it repairs, and what it does not change. */
#include "checktest.h"

#define A0 "streams/a/shard-0000"
#define A1 "streams/a/shard-0001"
#define B0 "streams/b/shard-0000"
#define FIRST "/00000000000000000000"

static void start(struct fixture *f)
{
	fixture_open(f);
	build(f);
	keep(f);
}

/* A check names the fault and writes nothing; a repair mends it; then the store is clean. */
static void assert_repairable(struct fixture *f, const char *words)
{
	uint64_t before = tree_hash(f->store);
	ck_assert_int_eq(run_check(f, false, NULL), 0);
	ck_assert_said(f, words);
	ck_assert_uint_gt(f->summary.unrepaired, 0);
	ck_assert_uint_eq(f->summary.repaired, 0);
	ck_assert(tree_hash(f->store) == before);
	ck_assert_int_eq(run_check(f, true, NULL), 0);
	ck_assert_said(f, words);
	ck_assert_said(f, "(repaired)");
	ck_assert_msg(f->summary.unrepaired == 0, "%s", said(f));
	ck_assert_clean(f);
}

/* A check and a repair both name the fault, and neither changes it. */
static void assert_left(struct fixture *f, const char *words)
{
	uint64_t before = tree_hash(f->store);
	ck_assert_int_eq(run_check(f, false, NULL), 0);
	ck_assert_said(f, words);
	ck_assert_uint_gt(f->summary.unrepaired, 0);
	ck_assert(tree_hash(f->store) == before);
	ck_assert_int_eq(run_check(f, true, NULL), 0);
	ck_assert_said(f, words);
	ck_assert_uint_eq(f->summary.repaired, 0);
	ck_assert_msg(tree_hash(f->store) == before, "%s", said(f));
}

START_TEST(a_clean_store_has_no_findings)
{
	struct fixture f;
	start(&f);
	uint64_t before = tree_hash(f.store);
	ck_assert_clean(&f);
	ck_assert(tree_hash(f.store) == before);
	ck_assert_uint_eq(f.summary.streams, 3);
	ck_assert_uint_eq(f.summary.shards, 4);
	ck_assert_uint_eq(f.summary.segments, 4 + 1 + 1);
	ck_assert_uint_eq(f.summary.records, 35 + 2 + 4);
	ck_assert_uint_eq(f.summary.blobs, 2);
	/* Three segments merged to one chunk each; five writes in the active one; two; two. */
	ck_assert_uint_eq(f.summary.chunks, 3 + 5 + 2 + 2);
	ck_assert_uint_gt(f.progress_total, 0);
	ck_assert_uint_eq(f.progress_done, f.progress_total);
	ck_assert_int_eq(run_check(&f, true, NULL), 0);
	ck_assert_uint_eq(f.lines, 0);
	ck_assert(tree_hash(f.store) == before);
	fixture_close(&f);
}
END_TEST

START_TEST(what_is_no_store_is_refused)
{
	struct fixture f;
	fixture_open(&f);
	ck_assert_int_eq(run_check(&f, true, NULL), -ENOENT);
	ck_assert_ptr_nonnull(strstr(f.diag.text, f.store));
	ck_assert(!exists(&f, ""));
	ck_assert_int_eq(mkdir(f.store, 0700), 0);
	ck_assert_int_eq(run_check(&f, true, NULL), -ENOENT);
	write_at_end(&f, "file", "x", 1);
	uint64_t before = tree_hash(f.store);
	ck_assert_int_eq(run_check(&f, true, NULL), -ENOENT);
	ck_assert(tree_hash(f.store) == before);
	fixture_close(&f);
}
END_TEST

START_TEST(a_store_in_use_is_refused)
{
	struct fixture f;
	start(&f);
	struct sfs_store *store = open_store(&f, 0);
	ck_assert_int_eq(run_check(&f, false, NULL), -EBUSY);
	ck_assert_int_eq(run_check(&f, true, NULL), -EBUSY);
	ck_assert_int_eq(sfs_store_close(store), 0);
	ck_assert_clean(&f);
	fixture_close(&f);
}
END_TEST

START_TEST(looking_locks_nobody_out_who_only_reads)
{
	struct fixture f;
	start(&f);
	const struct sfs_store_options options = {.read_only = true};
	struct sfs_store *store;
	ck_assert_int_eq(sfs_store_open(f.store, &options, NULL, &store), 0);
	ck_assert_clean(&f);
	ck_assert_int_eq(run_check(&f, true, NULL), -EBUSY);
	ck_assert_int_eq(sfs_store_close(store), 0);
	drop(&f, "lock");
	ck_assert_clean(&f);
	ck_assert(!exists(&f, "lock"));
	fixture_close(&f);
}
END_TEST

START_TEST(another_format_is_refused)
{
	struct fixture f;
	start(&f);
	char path[PATH_BYTES];
	const char *other = _i ? "1" : "99";
	shell("sed -i \"s/\\\"format\\\": 2/\\\"format\\\": $2/\" \"$1\"",
		path_of(&f, "streamfs.json", path), other);
	uint64_t before = tree_hash(f.store);
	ck_assert_int_eq(run_check(&f, true, NULL), -EPROTONOSUPPORT);
	ck_assert_ptr_nonnull(strstr(f.diag.text, _i ? "version 1;" : "version 99;"));
	ck_assert(tree_hash(f.store) == before);
	fixture_close(&f);
}
END_TEST

START_TEST(a_damaged_document_is_named_and_the_rest_is_checked)
{
	struct fixture f;
	start(&f);
	flip(&f, "streamfs.json", 40);
	assert_left(&f, "streamfs.json: ");
	ck_assert_uint_eq(f.summary.records, 41);
	restore(&f);
	flip(&f, "streams/a/stream.json", 60);
	assert_left(&f, "streams/a/stream.json: damaged");
	ck_assert_uint_eq(f.summary.records, 4);
	ck_assert_uint_eq(f.summary.streams, 3);
	restore(&f);
	drop(&f, "streams/a/stream.json");
	flip(&f, B0 FIRST ".lz4", 50);
	assert_left(&f, "streams/a/stream.json: ");
	ck_assert_said(&f, B0 FIRST ".lz4: offset 0: ");
	fixture_close(&f);
}
END_TEST

START_TEST(a_missing_shard_is_named)
{
	struct fixture f;
	char path[PATH_BYTES];
	start(&f);
	shell("rm -r \"$1\"", path_of(&f, A0, path), "");
	assert_left(&f, A0 ": missing");
	ck_assert_uint_eq(f.summary.records, 6);
	fixture_close(&f);
}
END_TEST

START_TEST(a_shard_without_its_files_is_named)
{
	struct fixture f;
	start(&f);
	drop(&f, B0 FIRST ".lz4");
	assert_left(&f, B0 ": its segments are gone; text 0 to 19");
	fixture_close(&f);
}
END_TEST

START_TEST(a_torn_end_is_cut_and_set_aside)
{
	struct fixture f;
	start(&f);
	char path[PATH_BYTES], torn[PATH_BYTES];
	off_t size = size_of(&f, B0 FIRST ".lz4");
	shell("head -c 90 \"$1\" > \"$1.half\" && cat \"$1.half\" >> \"$1\" && rm \"$1.half\"",
		path_of(&f, B0 FIRST ".lz4", path), "");
	ck_assert_int_eq(size_of(&f, B0 FIRST ".lz4"), size + 90);
	assert_repairable(&f, B0 FIRST ".lz4: offset ");
	ck_assert_int_eq(size_of(&f, B0 FIRST ".lz4"), size);
	nth_file(&f, B0, ".torn", 0, torn);
	ck_assert_int_eq(size_of(&f, torn), 90);
	struct sfs_store *store = open_store(&f, 0);
	ck_assert_int_eq(sfs_store_close(store), 0);
	ck_assert_clean(&f);
	fixture_close(&f);
}
END_TEST

START_TEST(a_sound_chunk_behind_the_end_is_not_cut)
{
	struct fixture f;
	char from[PATH_BYTES], to[PATH_BYTES];
	start(&f);
	shell("cat \"$1\" >> \"$2\"", path_of(&f, A1 FIRST ".lz4", from),
		path_of(&f, B0 FIRST ".lz4", to));
	assert_left(&f, "belong elsewhere");
	fixture_close(&f);
}
END_TEST

START_TEST(a_cut_segment_below_the_watermark_is_left)
{
	struct fixture f;
	char path[PATH_BYTES];
	start(&f);
	ck_assert_int_eq(truncate(path_of(&f, B0 FIRST ".lz4", path), 150), 0);
	assert_left(&f, B0 FIRST ".lz4: offset ");
	ck_assert_said(&f, "to 19, which was durable, cannot be read");
	restore(&f);
	ck_assert_int_eq(truncate(path_of(&f, B0 FIRST ".lz4", path), 0), 0);
	assert_left(&f, "text 0 to 19, which was durable");
	fixture_close(&f);
}
END_TEST

START_TEST(a_damaged_chunk_is_left_and_the_others_are_counted)
{
	struct fixture f;
	start(&f);
	flip(&f, B0 FIRST ".lz4", 50); /* the header of the first of two chunks */
	assert_left(&f, B0 FIRST ".lz4: offset 0: damaged; text 0 to 14 cannot be read");
	ck_assert_uint_eq(f.summary.chunks, 3 + 5 + 2 + 1);
	restore(&f);
	flip(&f, B0 FIRST ".lz4", 120); /* its text */
	assert_left(&f, B0 FIRST ".lz4: offset 0: the chunk of text 0 to 14: its text is damaged");
	fixture_close(&f);
}
END_TEST

START_TEST(a_missing_or_foreign_segment_is_named)
{
	struct fixture f;
	char second[PATH_BYTES], from[PATH_BYTES], to[PATH_BYTES];
	start(&f);
	nth_file(&f, A0, ".lz4", 1, second);
	drop(&f, second);
	ck_assert_int_eq(run_check(&f, false, NULL), 0);
	ck_assert_said(&f, "text 400 to 800 before it is missing");
	restore(&f);
	drop(&f, A0 FIRST ".lz4");
	ck_assert_int_eq(run_check(&f, false, NULL), 0);
	ck_assert_said(&f, "text 0 to 400 before it is missing");
	restore(&f);
	shell("cp \"$1\" \"$2\"", path_of(&f, A1 FIRST ".lz4", from), path_of(&f, second, to));
	assert_left(&f, "bytes that are no chunk of this segment");
	ck_assert_said(&f, "text 400 to 800 before it is missing");
	fixture_close(&f);
}
END_TEST

START_TEST(bytes_between_chunks_are_found)
{
	struct fixture f;
	char path[PATH_BYTES];
	start(&f);
	shell("{ echo junk; cat \"$1\"; } > \"$1.new\" && mv \"$1.new\" \"$1\"",
		path_of(&f, B0 FIRST ".lz4", path), "");
	assert_left(&f, B0 FIRST ".lz4: offset 0: 5 bytes that are no chunk");
	fixture_close(&f);
}
END_TEST

START_TEST(a_damaged_or_stale_index_is_made_anew)
{
	struct fixture f;
	char index[PATH_BYTES], second[PATH_BYTES], from[PATH_BYTES], to[PATH_BYTES];
	start(&f);
	nth_file(&f, A0, ".idx", 0, index);
	shell("md5sum \"$1\" > \"$2.md5\"", path_of(&f, index, from), f.dir.path);
	for (off_t i = 0; i < size_of(&f, index); i += stride()) {
		flip(&f, index, i);
		assert_repairable(&f, ".idx: not the index of its segment");
		shell("md5sum -c --quiet \"$2.md5\"", "", f.dir.path);
	}
	nth_file(&f, A0, ".idx", 1, second);
	shell("cp \"$1\" \"$2\"", path_of(&f, second, from), path_of(&f, index, to));
	assert_repairable(&f, ".idx: not the index of its segment");
	/* The active segment has no index. */
	shell("cp \"$1\" \"$2\"", from, path_of(&f, B0 FIRST ".idx", to));
	assert_repairable(&f, B0 FIRST ".idx: not the index of its segment");
	ck_assert(!exists(&f, B0 FIRST ".idx"));
	/* A missing segment has none either. */
	shell("cp \"$1\" \"$2\"", from, path_of(&f, B0 "/00000000000000000007.idx", to));
	assert_repairable(&f, "an index without its segment");
	shell("rm \"$1.md5\"", f.dir.path, "");
	fixture_close(&f);
}
END_TEST

START_TEST(a_damaged_watermark_is_made_anew)
{
	struct fixture f;
	start(&f);
	off_t size = size_of(&f, B0 "/synced");
	for (off_t i = 0; i < size; i += stride()) {
		flip(&f, B0 "/synced", i);
		assert_repairable(&f, B0 "/synced: ");
		restore(&f);
	}
	char path[PATH_BYTES];
	ck_assert_int_eq(truncate(path_of(&f, A0 "/synced", path), 3), 0);
	assert_repairable(&f, A0 "/synced: no good slot");
	/* The new watermark counts: what is missing below it is damage, not a torn tail. */
	char last[PATH_BYTES];
	nth_file(&f, A0, ".lz4", 3, last);
	ck_assert_int_eq(truncate(path_of(&f, last, path), size_of(&f, last) - 10), 0);
	assert_left(&f, "which was durable");
	fixture_close(&f);
}
END_TEST

START_TEST(without_a_watermark_nothing_is_cut)
{
	struct fixture f;
	char path[PATH_BYTES];
	start(&f);
	ck_assert_int_eq(truncate(path_of(&f, B0 "/synced", path), 3), 0);
	write_at_end(&f, B0 FIRST ".lz4", "torn", 4);
	assert_left(&f, "4 bytes of an unfinished write");
	fixture_close(&f);
}
END_TEST

START_TEST(blobs_are_verified)
{
	struct fixture f;
	char blob[PATH_BYTES], path[PATH_BYTES];
	start(&f);
	any_blob(&f, blob);
	flip(&f, blob, size_of(&f, blob) / 2);
	assert_left(&f, blob);
	restore(&f);
	write_at_end(&f, blob, "more", 4);
	assert_left(&f, blob);
	restore(&f);
	ck_assert_int_eq(truncate(path_of(&f, blob, path), 0), 0);
	assert_left(&f, blob);
	restore(&f);
	drop(&f, blob);
	assert_left(&f, blob);
	ck_assert_said(&f, A1 FIRST ".lz4: offset ");
	ck_assert_said(&f, "which is missing");
	fixture_close(&f);
}
END_TEST

/* Adds a blob that no record names: a good one from another store. */
static void add_orphan(struct fixture *f, char blob[PATH_BYTES])
{
	struct fixture other;
	char directory[PATH_BYTES], path[PATH_BYTES];
	fixture_open(&other);
	struct sfs_store *store = open_store(&other, 0);
	make_stream(store, "a", "{\"large_records\":{\"threshold_bytes\":1024}}");
	append_line(store, "a", 0, 'O', 3000);
	ck_assert_int_eq(sfs_store_close(store), 0);
	any_blob(&other, blob);
	snprintf(directory, sizeof directory, "%s/streams/a/blobs", f->store);
	snprintf(path, sizeof path, "%s/streams/a/blobs/.", other.store);
	shell("cp -a \"$1\" \"$2\"", path, directory);
	fixture_close(&other);
}

START_TEST(an_old_orphan_is_swept_from_a_sound_stream)
{
	struct fixture f;
	char blob[PATH_BYTES], path[PATH_BYTES];
	start(&f);
	add_orphan(&f, blob);
	for (int repair = 0; repair < 2; repair++) { /* a young orphan stays */
		ck_assert_int_eq(run_check(&f, repair, NULL), 0);
		ck_assert_uint_eq(f.notes, 1);
		ck_assert_uint_eq(f.lines, 1);
		ck_assert_said(&f, blob);
		ck_assert(exists(&f, blob));
	}
	shell("touch -d '2001-01-01' \"$1\"", path_of(&f, blob, path), "");
	keep(&f);
	flip(&f, B0 FIRST ".lz4", 50); /* a segment of another stream */
	ck_assert_int_eq(run_check(&f, true, NULL), 0);
	ck_assert_said(&f, "no record names it; removed");
	ck_assert(!exists(&f, blob));
	restore(&f);
	flip(&f, A0 FIRST ".lz4", 50); /* of this stream: this chunk may have named the blob */
	ck_assert_int_eq(run_check(&f, true, NULL), 0);
	ck_assert(exists(&f, blob));
	fixture_close(&f);
}
END_TEST

START_TEST(leftovers_are_removed)
{
	static const char *const files[] = {"streamfs.json.tmp", "streams/a/stream.json.tmp",
		A0 FIRST ".lz4.tmp", A0 FIRST ".idx.tmp", B0 "/synced.tmp",
		"streams/a/blobs/x.tmp"};
	struct fixture f;
	char path[PATH_BYTES], blob[PATH_BYTES];
	start(&f);
	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		write_at_end(&f, files[i], "half", 4);
	any_blob(&f, blob);
	snprintf(blob + strlen(blob), 32, ".0123456789abcdef.tmp");
	write_at_end(&f, blob, "half", 4);
	shell("mkdir -p \"$1/shard-0000\"", path_of(&f, "streams/.new.7.tmp", path), "");
	write_at_end(&f, "streams/.new.7.tmp/stream.json", "{}", 2);
	ck_assert_int_eq(run_check(&f, false, NULL), 0);
	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		ck_assert_said(&f, files[i]);
	ck_assert_said(&f, blob);
	ck_assert_uint_eq(f.summary.unrepaired, 8);
	assert_repairable(&f, "streams/.new.7.tmp: ");
	ck_assert(!exists(&f, blob));
	/* Beside damage this file may be the only copy of its records. */
	write_at_end(&f, "streams/a/shard-0000/00000000000000000400.lz4.tmp", "half", 4);
	drop(&f, "streams/a/shard-0000/00000000000000000400.lz4");
	ck_assert_int_eq(run_check(&f, true, NULL), 0);
	ck_assert(exists(&f, "streams/a/shard-0000/00000000000000000400.lz4.tmp"));
	fixture_close(&f);
}
END_TEST

START_TEST(unknown_files_are_named_and_kept)
{
	static const char *const files[] = {"NOTES", "streams/.hidden", "streams/a/NOTES",
		A0 "/NOTES", "streams/a/blobs/NOTES", A0 "/line\nbreak"};
	struct fixture f;
	start(&f);
	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		write_at_end(&f, files[i], "mine", 4);
	uint64_t before = tree_hash(f.store);
	for (int repair = 0; repair < 2; repair++) {
		ck_assert_int_eq(run_check(&f, repair, NULL), 0);
		ck_assert_uint_eq(f.notes, 6);
		ck_assert_uint_eq(f.summary.unrepaired + f.summary.repaired, 0);
		ck_assert_said(&f, A0 "/line?break");
		for (size_t i = 0; i < 5; i++)
			ck_assert_said(&f, files[i]);
		ck_assert(tree_hash(f.store) == before);
	}
	fixture_close(&f);
}
END_TEST

START_TEST(streams_of_one_id_are_named)
{
	struct fixture f;
	char from[PATH_BYTES], to[PATH_BYTES];
	start(&f);
	shell("cp -a \"$1\" \"$2\"", path_of(&f, "streams/b", from), path_of(&f, "streams/d", to));
	assert_left(&f, "streams/d/stream.json: id 2, which is that of b too");
	fixture_close(&f);
}
END_TEST

START_TEST(a_shard_that_the_stream_does_not_have_is_named)
{
	struct fixture f;
	char from[PATH_BYTES], to[PATH_BYTES];
	start(&f);
	ck_assert_int_eq(mkdir(path_of(&f, "streams/b/shard-0001", to), 0700), 0);
	ck_assert_clean(&f); /* a shard directory without segments is fine */
	shell("cp \"$1\" \"$2/\"", path_of(&f, B0 FIRST ".lz4", from), to);
	assert_left(&f, "streams/b/shard-0001: holds ");
	fixture_close(&f);
}
END_TEST

/* Whether the store works without the file: it is made anew, or only saves time. */
static bool is_dispensable(const char *path)
{
	return strstr(path, ".idx") || strstr(path, "/lock") || strstr(path, "/synced");
}

/* Removes each file of the store in turn, or replaces it by an object of another type. */
START_TEST(whatever_stands_in_a_files_place_is_found)
{
	struct fixture f;
	start(&f);
	char *const roots[] = {f.copy, NULL};
	FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	FTSENT *e;
	unsigned files = 0;
	while ((e = fts_read(fts))) {
		char path[PATH_BYTES];
		if (e->fts_info != FTS_F || strstr(e->fts_path, "/lock") || files++ % stride())
			continue;
		path_of(&f, e->fts_path + strlen(f.copy) + 1, path);
		for (int kind = 0; kind < 4; kind++) {
			restore(&f);
			ck_assert_int_eq(unlink(path), 0);
			ck_assert_int_eq(kind == 0   ? symlink(e->fts_path, path)
					 : kind == 1 ? mkfifo(path, 0600)
					 : kind == 2 ? mkdir(path, 0700)
						     : 0,
				0);
			int r = run_check(&f, false, NULL);
			bool gone = kind == 3 && is_dispensable(e->fts_path);
			bool found = r == -ENOENT || f.summary.unrepaired;
			ck_assert_msg(found || gone, "%s %d: %s", path, kind, said(&f));
			ck_assert_msg(found != gone, "%s %d: %s", path, kind, said(&f));
			(void)run_check(&f, true, NULL);
		}
	}
	fts_close(fts);
	ck_assert_uint_gt(files, 15);
	fixture_close(&f);
}
END_TEST

/* Flips every byte of one file; each time the check must report it and change nothing. */
static void flip_each(struct fixture *f, const char *name)
{
	off_t size = size_of(f, name);
	for (off_t i = 0; i < size; i += stride()) {
		flip(f, name, i);
		ck_assert_int_eq(run_check(f, false, NULL), 0);
		ck_assert_msg(f->summary.unrepaired && strstr(said(f), name), "%s %ld: %s", name,
			(long)i, said(f));
		flip(f, name, i);
	}
	ck_assert_clean(f);
}

START_TEST(every_flipped_byte_is_found)
{
	struct fixture f;
	char blob[PATH_BYTES], merged[PATH_BYTES];
	start(&f);
	flip_each(&f, B0 FIRST ".lz4");
	flip_each(&f, A1 FIRST ".lz4");
	nth_file(&f, A0, ".lz4", 1, merged);
	flip_each(&f, merged);
	any_blob(&f, blob);
	flip_each(&f, blob);
	flip_each(&f, "streams/b/stream.json");
	fixture_close(&f);
}
END_TEST

START_TEST(every_cut_is_found)
{
	struct fixture f;
	char path[PATH_BYTES];
	start(&f);
	for (off_t size = size_of(&f, A1 FIRST ".lz4") - 1; size >= 0; size -= stride()) {
		ck_assert_int_eq(truncate(path_of(&f, A1 FIRST ".lz4", path), size), 0);
		ck_assert_int_eq(run_check(&f, true, NULL), 0);
		ck_assert_msg(f.summary.unrepaired && !f.summary.repaired, "%s", said(&f));
		ck_assert_int_eq(size_of(&f, A1 FIRST ".lz4"), size);
	}
	fixture_close(&f);
}
END_TEST

START_TEST(blobs_elsewhere_are_checked)
{
	struct fixture f;
	char blobs[PATH_BYTES];
	fixture_open(&f);
	snprintf(blobs, sizeof blobs, "%s/blobs", f.dir.path);
	struct sfs_store_options options = {.blob_dir = blobs};
	struct sfs_store *store;
	ck_assert_int_eq(sfs_store_open(f.store, &options, NULL, &store), 0);
	make_stream(store, "a", "{\"large_records\":{\"threshold_bytes\":1024}}");
	append_line(store, "a", 0, 'O', 3000);
	ck_assert_int_eq(sfs_store_close(store), 0);
	ck_assert_int_eq(run_check(&f, false, blobs), 0);
	ck_assert_msg(!f.lines, "%s", said(&f));
	ck_assert_uint_eq(f.summary.blobs, 1);
	shell("find \"$1\" -name '*.lz4' -delete", blobs, "");
	ck_assert_int_eq(run_check(&f, false, blobs), 0);
	ck_assert_said(&f, "which is missing");
	shell("rm -r \"$1\"", blobs, "");
	ck_assert_int_eq(run_check(&f, true, blobs), -ENOENT);
	ck_assert_ptr_nonnull(strstr(f.diag.text, blobs));
	fixture_close(&f);
}
END_TEST

START_TEST(a_record_over_many_chunks_is_sound)
{
	struct fixture f;
	fixture_open(&f);
	struct sfs_store *store = open_store(&f, 0);
	make_stream(
		store, "s", "{\"large_records\":{\"policy\":\"split\",\"threshold_bytes\":1024}}");
	append_line(store, "s", 0, 'L', (5 << 19) + 7);
	append_line(store, "s", 0, 'S', 10);
	ck_assert_int_eq(sfs_store_close(store), 0);
	ck_assert_clean(&f);
	ck_assert_uint_eq(f.summary.records, 2);
	ck_assert_uint_gt(f.summary.chunks, 3);
	fixture_close(&f);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("check");
	tcase_set_timeout(t, 300);
	tcase_add_test(t, a_clean_store_has_no_findings);
	tcase_add_test(t, what_is_no_store_is_refused);
	tcase_add_test(t, a_store_in_use_is_refused);
	tcase_add_test(t, looking_locks_nobody_out_who_only_reads);
	tcase_add_loop_test(t, another_format_is_refused, 0, 2);
	tcase_add_test(t, a_damaged_document_is_named_and_the_rest_is_checked);
	tcase_add_test(t, a_missing_shard_is_named);
	tcase_add_test(t, a_shard_without_its_files_is_named);
	tcase_add_test(t, a_torn_end_is_cut_and_set_aside);
	tcase_add_test(t, a_sound_chunk_behind_the_end_is_not_cut);
	tcase_add_test(t, a_cut_segment_below_the_watermark_is_left);
	tcase_add_test(t, a_damaged_chunk_is_left_and_the_others_are_counted);
	tcase_add_test(t, a_missing_or_foreign_segment_is_named);
	tcase_add_test(t, bytes_between_chunks_are_found);
	tcase_add_test(t, a_damaged_or_stale_index_is_made_anew);
	tcase_add_test(t, a_damaged_watermark_is_made_anew);
	tcase_add_test(t, without_a_watermark_nothing_is_cut);
	tcase_add_test(t, blobs_are_verified);
	tcase_add_test(t, an_old_orphan_is_swept_from_a_sound_stream);
	tcase_add_test(t, leftovers_are_removed);
	tcase_add_test(t, unknown_files_are_named_and_kept);
	tcase_add_test(t, streams_of_one_id_are_named);
	tcase_add_test(t, a_shard_that_the_stream_does_not_have_is_named);
	tcase_add_test(t, whatever_stands_in_a_files_place_is_found);
	tcase_add_test(t, every_flipped_byte_is_found);
	tcase_add_test(t, every_cut_is_found);
	tcase_add_test(t, blobs_elsewhere_are_checked);
	tcase_add_test(t, a_record_over_many_chunks_is_sound);
	Suite *suite = suite_create("check");
	suite_add_tcase(suite, t);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
