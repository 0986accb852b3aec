/* SPDX-License-Identifier: MIT */
/* The check of a stream's blobs: each against its own name, and all against what records name. */
#include "checker.h"

#include "cleanup.h"
#include "shard.h"
#include "stream.h"
#include "stream_blobs.h"

#include <fcntl.h>
#include <stdio.h>

enum { HEX_BYTES = 64, FAN_BYTES = 2 };

static int compare_seen(const void *a, const void *b)
{
	return memcmp(a, b, sizeof((struct blob_seen *)NULL)->digest);
}

static struct blob_seen *all_seen(const struct stream_check *s, size_t *ret_count)
{
	*ret_count = s->blobs.size / sizeof(struct blob_seen);
	return (struct blob_seen *)(void *)s->blobs.data;
}

struct blob_seen *find_blob(const struct stream_check *s, const uint8_t digest[32])
{
	size_t count;
	struct blob_seen *seen = all_seen(s, &count);
	return count ? bsearch(digest, seen, count, sizeof *seen, compare_seen) : NULL;
}

/* Whether a file in directory `fan` has a blob's name. */
static bool parse_name(
	const char *fan, const char *name, char hex[HEX_BYTES + 1], uint8_t digest[32])
{
	if (strlen(name) != HEX_BYTES + strlen(SEGMENT_SUFFIX) || !name_ends(name, SEGMENT_SUFFIX))
		return false;
	memcpy(hex, name, HEX_BYTES);
	hex[HEX_BYTES] = 0;
	return !memcmp(hex, fan, FAN_BYTES) && digest_from_hex(hex, digest) == 0;
}

/* Opening tells what its headers say; verifying decodes all of it and computes its SHA-256. */
static int verify(struct stream_check *s, const char *hex, struct blob_seen *seen)
{
	struct blob *blob;
	int r = blob_open(&s->stream->blobs, hex, &blob);
	if (r < 0)
		return r;
	seen->payload_bytes = blob_size(blob);
	uint64_t stored = blob_stored(blob);
	r = blob_verify(blob);
	blob_close(blob);
	check_progress(s->check, stored);
	return r;
}

static int check_blob(struct stream_check *s, const char *fan, const char *name)
{
	char hex[HEX_BYTES + 1];
	struct blob_seen seen = {.sound = false};
	if (!parse_name(fan, name, hex, seen.digest)) {
		check_note(s->check, "%s/%s/%s: not a file of the store", s->blob_path, fan, name);
		return 0;
	}
	int r = verify(s, hex, &seen);
	if (r == -ENOMEM)
		return r;
	seen.sound = r == 0;
	s->check->summary.blobs++;
	if (r < 0)
		check_finding(s->check, false, "%s/%s/%s: %s", s->blob_path, fan, name,
			r == -EBADMSG		? "damaged: not the payload of this digest"
			: r == -EPROTONOSUPPORT ? "of a format that this program does not know"
						: strerror(-r));
	return buf_append(&s->blobs, &seen, sizeof seen);
}

/* No put is in flight, so nobody will ever finish it. */
static void remove_temporary(struct stream_check *s, const char *path)
{
	bool removed = s->check->options->repair &&
		       disk_unlink(&s->check->store->env.disk, s->stream->blobs.dir, path) == 0;
	check_finding(s->check, removed, "%s/%s: left behind by an upload that was cut short",
		s->blob_path, path);
}

static int check_fan(struct stream_check *s, const char *fan)
{
	struct names names;
	int r = names_read(s->check, s->stream->blobs.dir, fan, &names);
	if (r < 0) {
		char path[sizeof s->blob_path + FAN_BYTES + 2];
		snprintf(path, sizeof path, "%s/%.2s", s->blob_path, fan);
		return check_trouble(s->check, path, r);
	}
	for (size_t i = 0; r == 0 && i < names.count; i++) {
		char path[NAME_MAX + FAN_BYTES + 2];
		snprintf(path, sizeof path, "%.2s/%s", fan, names.list[i]);
		if (name_is_temporary(names.list[i]))
			remove_temporary(s, path);
		else
			r = check_blob(s, fan, names.list[i]);
	}
	names_fini(&names);
	return r;
}

static bool is_fan(const char *name)
{
	return strspn(name, "0123456789abcdef") == FAN_BYTES && !name[FAN_BYTES];
}

static int walk_blobs(struct stream_check *s)
{
	struct names names;
	int r = names_read(s->check, s->stream->blobs.dir, ".", &names);
	if (r < 0)
		return check_trouble(s->check, s->blob_path, r);
	for (size_t i = 0; r == 0 && i < names.count; i++) {
		if (is_fan(names.list[i]))
			r = check_fan(s, names.list[i]);
		else if (name_is_temporary(names.list[i]))
			remove_temporary(s, names.list[i]);
		else
			check_note(s->check, "%s/%s: not a file of the store", s->blob_path,
				names.list[i]);
	}
	names_fini(&names);
	return r;
}

static int open_blobs(struct sfs_stream *stream)
{
	SCOPED_RDLOCK(&stream->home.lock);
	return stream_blobs_open(stream, false);
}

int check_blobs(struct stream_check *s)
{
	const struct sfs_store *store = s->check->store;
	if (store->blob_dir < 0)
		snprintf(s->blob_path, sizeof s->blob_path, "streams/%s/blobs",
			s->stream->home.name);
	else
		snprintf(s->blob_path, sizeof s->blob_path, "blobs of %s: %s/%llu",
			s->stream->home.name, store->uuid, (unsigned long long)s->stream->id);
	if (store->blob_dir >= 0 && !s->check->has_document)
		return 0; /* where they are was in the document */
	int r = open_blobs(s->stream);
	if (r < 0)
		return check_trouble(s->check, s->blob_path, r);
	if (s->stream->blobs.dir >= 0)
		r = walk_blobs(s);
	size_t count;
	struct blob_seen *seen = all_seen(s, &count);
	if (count)
		qsort(seen, count, sizeof *seen, compare_seen);
	s->knows_blobs = r == 0;
	return r;
}

/* ---- orphans ---- */

static int keep_named(void *context, struct blob_batch *batch)
{
	for (size_t at = 0; at < batch->digests.size; at += DIGEST_BYTES) {
		const uint8_t *digest = batch->digests.data + at;
		const struct blob_seen *seen = find_blob(context, digest);
		if (!seen || seen->named)
			blob_batch_keep(batch, digest);
	}
	return 0;
}

static bool is_there(const struct stream_check *s, const uint8_t digest[32], char path[80])
{
	char hex[HEX_BYTES + 1];
	struct stat st;
	digest_to_hex(digest, hex);
	snprintf(path, 80, "%.2s/%.64s" SEGMENT_SUFFIX, hex, hex);
	return fstatat(s->stream->blobs.dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

int check_orphans(struct stream_check *s)
{
	if (!s->knows_blobs || !stream_is_sound(s))
		return 0; /* what cannot be read might name any of them */
	const struct sfs_store *store = s->check->store;
	const struct blob_sweep sweep = {
		.grace_ms = store->orphan_grace_ms,
		.temporary_grace_ms = store->orphan_grace_ms,
		.batch_max = store->sweep_blobs,
		.keep_named = keep_named,
		.context = s,
	};
	uint64_t removed;
	int r = 0;
	if (s->check->options->repair && s->stream->blobs.dir >= 0)
		r = blobs_sweep(&s->stream->blobs, &sweep, &removed);
	if (r < 0)
		return check_trouble(s->check, s->blob_path, r);
	size_t count;
	const struct blob_seen *seen = all_seen(s, &count);
	for (size_t i = 0; i < count; i++) {
		char path[80];
		if (seen[i].named)
			continue;
		bool kept = is_there(s, seen[i].digest, path);
		check_note(s->check, "%s/%s: no record names it%s", s->blob_path, path,
			kept ? "" : "; removed");
	}
	return 0;
}
