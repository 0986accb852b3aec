/* SPDX-License-Identifier: MIT */
/*
 * Reading a blob. Opening walks the chunk headers into an index; a read decodes the chunks that it
 * needs and keeps the last one. Damage to a frame shows when it is decoded. Damage to a header
 * shows in the walk, which looks for the next sound one and leaves a gap in the index.
 */
#include "blob.h"

#include "chunk.h"
#include "cleanup.h"
#include "lock.h"
#include "vector.h"

#include <errno.h>
#include <fcntl.h>
#include <sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	SCAN_BYTES = 64 << 10,
	NO_CHUNK = -1,
};

struct blob_chunk {
	uint64_t text_offset;
	uint64_t frame_offset;
	uint64_t frame_hash;
	uint32_t frame_bytes; /* 0: a gap, for damage */
};

struct blob {
	const struct disk *disk;
	int fd;
	uint8_t digest[DIGEST_BYTES];
	uint64_t owner;
	uint64_t size_bytes;
	uint64_t stored_bytes;
	uint64_t time_ms;
	VECTOR(, struct blob_chunk) chunks; /* side by side, from 0 to size_bytes */
	bool damaged;			    /* the headers show it */

	pthread_mutex_t lock; /* guards what follows */
	struct buf text;      /* of the chunk `cached` */
	ssize_t cached;	      /* NO_CHUNK: none */
	SHA2_CTX sha;	      /* of the first `hashed` chunks */
	size_t hashed;
	bool wrong; /* the whole has another digest */
};

/* Reads the header at `at`, which must be one that can come next. -EBADMSG: it is not. */
static int read_header(const struct blob *b, uint64_t at, struct chunk *ret_chunk)
{
	uint8_t bytes[sizeof(struct chunk_header)];
	size_t n = 0;
	int r = disk_read(b->disk, b->fd, at, bytes, sizeof bytes, &n);
	if (r < 0)
		return r;
	if (n < sizeof bytes)
		return -EBADMSG;
	struct chunk c;
	r = chunk_parse(bytes, &c);
	if (r < 0)
		return r;
	if (c.owner != b->owner || c.text_offset < b->size_bytes)
		return -EBADMSG;
	if (chunk_stored_bytes(&c) > b->stored_bytes - at)
		return -EBADMSG;
	*ret_chunk = c;
	return 0;
}

/* Tries every place in a window of the file that looks like a header. -ENOENT: none is. */
static int scan_window(const struct blob *b, const uint8_t *window, size_t bytes, uint64_t *at,
	struct chunk *ret_chunk)
{
	const struct le32 magic = le32(FORMAT_SKIPPABLE_MAGIC);
	const uint8_t *p = window, *end = window + bytes;
	while ((p = memmem(p, (size_t)(end - p), &magic, sizeof magic))) {
		uint64_t place = *at + (uint64_t)(p - window);
		int r = read_header(b, place, ret_chunk);
		if (r == 0)
			*at = place;
		if (r != -EBADMSG)
			return r;
		p++;
	}
	return -ENOENT;
}

/* Finds the next sound header behind a bad one. */
static int scan(const struct blob *b, uint64_t *at, struct chunk *ret_chunk)
{
	_cleanup_free_ uint8_t *window = malloc(SCAN_BYTES);
	if (!window)
		return -ENOMEM;
	for (uint64_t place = *at + 1; place < b->stored_bytes;) {
		size_t n = 0;
		int r = disk_read(b->disk, b->fd, place, window, SCAN_BYTES, &n);
		if (r < 0)
			return r;
		if (n < sizeof(struct chunk_header))
			break;
		*at = place;
		r = scan_window(b, window, n, at, ret_chunk);
		if (r != -ENOENT)
			return r;
		place += n - (sizeof(struct le32) - 1);
	}
	return -ENOENT;
}

static int add_chunk(struct blob *b, const struct blob_chunk *chunk, uint64_t end_offset)
{
	assert(chunk->text_offset == b->size_bytes && end_offset > b->size_bytes);
	int r = vector_push(&b->chunks, *chunk);
	if (r == 0)
		b->size_bytes = end_offset;
	return r;
}

static int add_gap(struct blob *b, uint64_t end_offset)
{
	b->damaged = true;
	return add_chunk(b, &(struct blob_chunk){.text_offset = b->size_bytes}, end_offset);
}

/* Adds a sound chunk, and a gap for what is missing before it. */
static int add_found(struct blob *b, uint64_t at, const struct chunk *c)
{
	int r = 0;
	if (!b->time_ms)
		b->time_ms = c->arrival_ms;
	if (c->text_offset > b->size_bytes)
		r = add_gap(b, c->text_offset);
	if (r < 0)
		return r;
	const struct blob_chunk chunk = {
		.text_offset = c->text_offset,
		.frame_offset = at + sizeof(struct chunk_header) + c->meta_bytes,
		.frame_hash = c->frame_hash,
		.frame_bytes = c->frame_bytes,
	};
	return add_chunk(b, &chunk, c->text_offset + c->text_bytes);
}

static int index_chunks(struct blob *b)
{
	bool open_end = false;
	for (uint64_t at = 0; at < b->stored_bytes;) {
		struct chunk c;
		int r = read_header(b, at, &c);
		if (r == -EBADMSG) {
			b->damaged = true;
			r = scan(b, &at, &c);
		}
		if (r == -ENOENT)
			break;
		if (r == 0)
			r = add_found(b, at, &c);
		if (r < 0)
			return r;
		at += chunk_stored_bytes(&c);
		open_end = c.incompatible & CHUNK_OPEN_END;
	}
	if (b->stored_bytes && !b->chunks.count)
		return -EBADMSG;
	return open_end ? add_gap(b, b->size_bytes + 1) : 0;
}

/* The digest of what was hashed, which is all of it. */
static int finish_hash(struct blob *b)
{
	uint8_t digest[DIGEST_BYTES];
	SHA2_CTX sha = b->sha;
	SHA256Final(digest, &sha);
	b->wrong = memcmp(digest, b->digest, sizeof digest) != 0;
	return b->wrong ? -EBADMSG : 0;
}

static void restart_hash(struct blob *b)
{
	SHA256Init(&b->sha);
	b->hashed = 0;
	b->wrong = false;
	b->cached = NO_CHUNK;
}

/* What stands in place of a blob's file without being one is damage. */
static int open_file(struct blob *b, int dir, const char *hex)
{
	char path[80];
	snprintf(path, sizeof path, "%.2s/%.64s.lz4", hex, hex);
	int r = disk_open(b->disk, dir, path, O_RDONLY | O_NONBLOCK, &b->fd);
	if (r == -ELOOP || r == -ENXIO || r == -ENOTDIR)
		return -EBADMSG;
	if (r < 0)
		return r;
	struct stat st;
	if (fstat(b->fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EBADMSG;
	b->stored_bytes = (uint64_t)st.st_size;
	if (!b->stored_bytes)
		b->time_ms =
			(uint64_t)st.st_mtim.tv_sec * 1000 + (uint64_t)st.st_mtim.tv_nsec / 1000000;
	return 0;
}

int blob_open(struct blobs *blobs, const char *digest_hex, struct blob **ret_blob)
{
	uint8_t digest[DIGEST_BYTES];
	if (blobs->dir < 0 || digest_from_hex(digest_hex, digest) < 0)
		return -ENOENT;
	struct blob *b = calloc(1, sizeof *b);
	if (!b)
		return -ENOMEM;
	b->disk = blobs->disk;
	b->fd = -1;
	b->owner = digest_owner(digest);
	memcpy(b->digest, digest, sizeof digest);
	pthread_mutex_init(&b->lock, NULL);
	restart_hash(b);
	int r = open_file(b, blobs->dir, digest_hex);
	if (r == 0)
		r = index_chunks(b);
	if (r == 0 && !b->chunks.count)
		r = finish_hash(b);
	if (r < 0) {
		blob_close(b);
		return r;
	}
	*ret_blob = b;
	return 0;
}

void blob_close(struct blob *blob)
{
	if (!blob)
		return;
	if (blob->fd >= 0)
		close(blob->fd);
	buf_fini(&blob->text);
	vector_fini(&blob->chunks);
	pthread_mutex_destroy(&blob->lock);
	free(blob);
}

uint64_t blob_size(const struct blob *blob)
{
	return blob->size_bytes;
}

uint64_t blob_stored(const struct blob *blob)
{
	return blob->stored_bytes;
}

uint64_t blob_time_ms(const struct blob *blob)
{
	return blob->time_ms;
}

/* The chunk that has the byte at `offset`, which is below the size. */
static size_t find_chunk(const struct blob *b, uint64_t offset)
{
	size_t low = 0, high = b->chunks.count;
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		if (b->chunks.items[middle].text_offset <= offset)
			low = middle;
		else
			high = middle;
	}
	return low;
}

static uint32_t text_bytes(const struct blob *b, size_t i)
{
	uint64_t end = i + 1 < b->chunks.count ? b->chunks.items[i + 1].text_offset : b->size_bytes;
	return (uint32_t)(end - b->chunks.items[i].text_offset);
}

static int decode_locked(struct blob *b, size_t i)
{
	ASSERT_LOCKED(&b->lock);
	const struct blob_chunk *chunk = &b->chunks.items[i];
	if (b->cached == (ssize_t)i)
		return 0;
	if (!chunk->frame_bytes)
		return -EBADMSG;
	const struct chunk header = {
		.text_bytes = text_bytes(b, i),
		.frame_bytes = chunk->frame_bytes,
		.frame_hash = chunk->frame_hash,
	};
	/* Not kept: an open blob that is not read should hold little. */
	_cleanup_free_ uint8_t *frame = malloc(chunk->frame_bytes);
	if (!frame)
		return -ENOMEM;
	size_t n = 0;
	int r = disk_read(b->disk, b->fd, chunk->frame_offset, frame, chunk->frame_bytes, &n);
	if (r < 0)
		return r;
	if (n < chunk->frame_bytes)
		return -EBADMSG;
	b->cached = NO_CHUNK;
	b->text.size = 0;
	r = buf_reserve(&b->text, header.text_bytes);
	if (r == 0)
		r = chunk_decode(&header, frame, b->text.data);
	if (r < 0)
		return r;
	b->text.size = header.text_bytes;
	b->cached = (ssize_t)i;
	return 0;
}

/* Makes chunk i the cached one; the last of a run from the first also proves the digest. */
static int load_locked(struct blob *b, size_t i)
{
	ASSERT_LOCKED(&b->lock);
	if (b->wrong)
		return -EBADMSG;
	int r = decode_locked(b, i);
	if (r < 0 || i != b->hashed)
		return r;
	SHA256Update(&b->sha, b->text.data, b->text.size);
	b->hashed++;
	return b->hashed == b->chunks.count ? finish_hash(b) : 0;
}

int blob_read(struct blob *blob, uint64_t offset, void *buffer, size_t bytes, size_t *ret_bytes)
{
	SCOPED_LOCK(&blob->lock);
	size_t done = 0;
	while (done < bytes && offset < blob->size_bytes) {
		size_t i = find_chunk(blob, offset);
		int r = load_locked(blob, i);
		if (r < 0 && !done)
			return r;
		if (r < 0)
			break;
		size_t skip = (size_t)(offset - blob->chunks.items[i].text_offset);
		size_t n = blob->text.size - skip;
		if (n > bytes - done)
			n = bytes - done;
		memcpy((char *)buffer + done, blob->text.data + skip, n);
		done += n;
		offset += n;
	}
	*ret_bytes = done;
	return 0;
}

int blob_verify(struct blob *blob)
{
	SCOPED_LOCK(&blob->lock);
	if (blob->damaged)
		return -EBADMSG;
	restart_hash(blob);
	int r = 0;
	for (size_t i = 0; i < blob->chunks.count && r == 0; i++)
		r = load_locked(blob, i);
	return r;
}

/* Whether the cached text is what the payload has at that place. */
static int compare_cached(const struct blob *b, uint64_t offset, const struct payload *payload)
{
	_cleanup_free_ uint8_t *piece = malloc(b->text.size);
	if (!piece)
		return -ENOMEM;
	size_t n = 0;
	int r = payload_read(payload, b->disk, offset, piece, b->text.size, &n);
	if (r < 0)
		return r;
	return n == b->text.size && memcmp(piece, b->text.data, n) == 0 ? 0 : -EBADMSG;
}

int blob_compare(struct blob *blob, const struct payload *payload)
{
	if (blob->damaged || blob->size_bytes != payload->size_bytes)
		return -EBADMSG;
	SCOPED_LOCK(&blob->lock);
	int r = 0;
	for (size_t i = 0; i < blob->chunks.count && r == 0; i++) {
		r = decode_locked(blob, i);
		if (r == 0)
			r = compare_cached(blob, blob->chunks.items[i].text_offset, payload);
	}
	return r;
}
