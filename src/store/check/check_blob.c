/* SPDX-License-Identifier: MIT */
#include "check_blob.h"

#include "blob.h"
#include "blob_sweep.h"
#include "cleanup.h"
#include "file_names.h"
#include "segment.h"
#include "stream_blobs.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

enum { HEX_BYTES = 64, FAN_BYTES = 2 };

void blob_check_init(struct blob_check *blobs, struct checker *checker, struct sfs_stream *stream)
{
	*blobs = (struct blob_check){.checker = checker, .stream = stream};
	const struct sfs_store *store = checker->store;
	if (store->blob_dir < 0)
		snprintf(blobs->path, sizeof blobs->path, "streams/%s/blobs", stream->home.name);
	else
		snprintf(blobs->path, sizeof blobs->path, "blobs of %s: %s/%llu", stream->home.name,
			store->uuid, (unsigned long long)stream->id);
}

void blob_check_fini(struct blob_check *blobs)
{
	vector_fini(&blobs->seen);
}

static int compare_seen(const void *a, const void *b)
{
	return memcmp(a, b, sizeof((struct blob_seen *)NULL)->digest);
}

struct blob_seen *blob_check_find(const struct blob_check *blobs, const uint8_t digest[32])
{
	size_t count = blobs->seen.count;
	return count ? bsearch(digest, blobs->seen.items, count, sizeof *blobs->seen.items,
			       compare_seen)
		     : NULL;
}

/* Whether a file in directory `fan` has a blob's name. */
static bool parse_name(
	const char *fan, const char *name, char hex[HEX_BYTES + 1], uint8_t digest[32])
{
	if (strlen(name) != HEX_BYTES + strlen(SEGMENT_SUFFIX) ||
		!file_name_ends(name, SEGMENT_SUFFIX))
		return false;
	memcpy(hex, name, HEX_BYTES);
	hex[HEX_BYTES] = 0;
	return !memcmp(hex, fan, FAN_BYTES) && digest_from_hex(hex, digest) == 0;
}

/* Opening gives the size by its headers; verifying decodes all of it and computes its SHA-256. */
static int verify(struct blob_check *blobs, const char *hex, struct blob_seen *seen)
{
	struct blob *blob;
	int r = blob_open(&blobs->stream->blobs, hex, &blob);
	if (r < 0)
		return r;
	seen->payload_bytes = blob_size(blob);
	uint64_t stored = blob_stored(blob);
	r = blob_verify(blob);
	blob_close(blob);
	checker_progress(blobs->checker, stored);
	return r;
}

static int check_blob(struct blob_check *blobs, const char *fan, const char *name)
{
	char hex[HEX_BYTES + 1];
	struct blob_seen seen = {.sound = false};
	if (!parse_name(fan, name, hex, seen.digest)) {
		checker_note(blobs->checker, "%s/%s/%s: not a file of the store", blobs->path, fan,
			name);
		return 0;
	}
	int r = verify(blobs, hex, &seen);
	if (r == -ENOMEM)
		return r;
	seen.sound = r == 0;
	blobs->checker->summary.blobs++;
	if (r < 0)
		checker_finding(blobs->checker, false, "%s/%s/%s: %s", blobs->path, fan, name,
			r == -EBADMSG		? "damaged: not the payload of this digest"
			: r == -EPROTONOSUPPORT ? "of a format that this program does not know"
						: strerror(-r));
	return vector_push(&blobs->seen, seen);
}

/* No put is in flight: nothing will ever finish the file. */
static void remove_temporary(struct blob_check *blobs, const char *path)
{
	bool removed =
		blobs->checker->options->repair &&
		disk_unlink(checker_disk(blobs->checker), blobs->stream->blobs.dir, path) == 0;
	checker_finding(blobs->checker, removed,
		"%s/%s: left behind by an upload that was cut short", blobs->path, path);
}

static int check_fan(struct blob_check *blobs, const char *fan)
{
	struct file_names names;
	int r = file_names_read(
		checker_disk(blobs->checker), blobs->stream->blobs.dir, fan, &names);
	if (r < 0) {
		char path[sizeof blobs->path + FAN_BYTES + 2];
		snprintf(path, sizeof path, "%s/%.2s", blobs->path, fan);
		return checker_trouble(blobs->checker, path, r);
	}
	for (size_t i = 0; r == 0 && i < names.list.count; i++) {
		char path[NAME_MAX + FAN_BYTES + 2];
		snprintf(path, sizeof path, "%.2s/%s", fan, names.list.items[i]);
		if (file_name_is_temporary(names.list.items[i]))
			remove_temporary(blobs, path);
		else
			r = check_blob(blobs, fan, names.list.items[i]);
	}
	file_names_fini(&names);
	return r;
}

static bool is_fan(const char *name)
{
	return strspn(name, "0123456789abcdef") == FAN_BYTES && !name[FAN_BYTES];
}

static int walk_blobs(struct blob_check *blobs)
{
	struct file_names names;
	int r = file_names_read(
		checker_disk(blobs->checker), blobs->stream->blobs.dir, ".", &names);
	if (r < 0)
		return checker_trouble(blobs->checker, blobs->path, r);
	for (size_t i = 0; r == 0 && i < names.list.count; i++) {
		if (is_fan(names.list.items[i]))
			r = check_fan(blobs, names.list.items[i]);
		else if (file_name_is_temporary(names.list.items[i]))
			remove_temporary(blobs, names.list.items[i]);
		else
			checker_note(blobs->checker, "%s/%s: not a file of the store", blobs->path,
				names.list.items[i]);
	}
	file_names_fini(&names);
	return r;
}

static int open_blobs(struct sfs_stream *stream)
{
	SCOPED_RDLOCK(&stream->home.lock);
	return stream_blobs_open(stream, false);
}

int check_blobs(struct blob_check *blobs)
{
	const struct checker *checker = blobs->checker;
	if (checker->store->blob_dir >= 0 && !checker->has_document)
		return 0; /* where they are stood in the document */
	int r = open_blobs(blobs->stream);
	if (r < 0)
		return checker_trouble(blobs->checker, blobs->path, r);
	if (blobs->stream->blobs.dir >= 0)
		r = walk_blobs(blobs);
	vector_sort(&blobs->seen, compare_seen);
	blobs->complete = r == 0;
	return r;
}

/* ---- orphans ---- */

static int keep_named(void *context, struct blob_batch *batch)
{
	for (size_t i = 0; i < batch->digests.count; i++) {
		const uint8_t *digest = batch->digests.items[i].bytes;
		const struct blob_seen *seen = blob_check_find(context, digest);
		if (!seen || seen->named)
			blob_batch_keep(batch, digest);
	}
	return 0;
}

static bool is_there(const struct blob_check *blobs, const uint8_t digest[32], char path[80])
{
	char hex[HEX_BYTES + 1];
	struct stat st;
	digest_to_hex(digest, hex);
	snprintf(path, 80, "%.2s/%.64s" SEGMENT_SUFFIX, hex, hex);
	return fstatat(blobs->stream->blobs.dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

int check_orphans(struct blob_check *blobs)
{
	if (!blobs->complete)
		return 0;
	const struct sfs_store *store = blobs->checker->store;
	const struct blob_sweep sweep = {
		.grace_ms = store->orphan_grace_ms,
		.temporary_grace_ms = store->orphan_grace_ms,
		.batch_max = store->sweep_blobs,
		.keep_named = keep_named,
		.context = blobs,
	};
	uint64_t removed;
	int r = 0;
	if (blobs->checker->options->repair && blobs->stream->blobs.dir >= 0)
		r = blob_sweep(&blobs->stream->blobs, &sweep, &removed);
	if (r < 0)
		return checker_trouble(blobs->checker, blobs->path, r);
	for (size_t i = 0; i < blobs->seen.count; i++) {
		const struct blob_seen *seen = &blobs->seen.items[i];
		char path[80];
		if (seen->named)
			continue;
		bool kept = is_there(blobs, seen->digest, path);
		checker_note(blobs->checker, "%s/%s: no record names it%s", blobs->path, path,
			kept ? "" : "; removed");
	}
	return 0;
}
