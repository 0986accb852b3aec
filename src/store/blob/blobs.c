/* SPDX-License-Identifier: MIT */
/*
 * Storing blobs. A blob is written beside its place, synced and renamed into it, so under its name
 * there is all of it or nothing.
 */
#include "blobs.h"

#include "blob.h"
#include "blob_sweep.h"
#include "blob_tree.h"
#include "chunk.h"
#include "cleanup.h"
#include "clock.h"
#include "container.h"
#include "lock.h"
#include "trace.h"

#include <bsd/stdlib.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_SIZE = 96 };

/* A digest of which puts are in flight. */
struct blob_put {
	RB_ENTRY(blob_put) link;
	uint8_t digest[DIGEST_BYTES];
	unsigned count;
};

static int compare_puts(const struct blob_put *a, const struct blob_put *b)
{
	return memcmp(a->digest, b->digest, sizeof a->digest);
}
RB_GENERATE_INTERNAL(put_tree, blob_put, link, compare_puts, __attribute__((unused)) static)

void blobs_init(struct blobs *blobs, const struct disk *disk, int dir)
{
	*blobs = (struct blobs){.disk = disk, .dir = dir};
	RB_INIT(&blobs->puts);
	LIST_INIT(&blobs->batches);
	pthread_mutex_init(&blobs->lock, NULL);
}

void blobs_fini(struct blobs *blobs)
{
	assert(RB_EMPTY(&blobs->puts) && LIST_EMPTY(&blobs->batches));
	if (blobs->dir >= 0)
		close(blobs->dir);
	blobs->dir = -1;
	pthread_mutex_destroy(&blobs->lock);
}

static struct blob_put *find_put_locked(struct blobs *blobs, const uint8_t digest[DIGEST_BYTES])
{
	ASSERT_LOCKED(&blobs->lock);
	struct blob_put like;
	memcpy(like.digest, digest, sizeof like.digest);
	return RB_FIND(put_tree, &blobs->puts, &like);
}

bool blobs_in_flight_locked(struct blobs *blobs, const uint8_t digest[DIGEST_BYTES])
{
	return find_put_locked(blobs, digest) != NULL;
}

/* From here on no sweep, under way or new, takes the blob. 0 or -ENOMEM. */
static int put_begin(struct blobs *blobs, const uint8_t digest[DIGEST_BYTES])
{
	SCOPED_LOCK(&blobs->lock);
	struct blob_put *put = find_put_locked(blobs, digest);
	if (!put) {
		put = calloc(1, sizeof *put);
		if (!put)
			return -ENOMEM;
		memcpy(put->digest, digest, sizeof put->digest);
		RB_INSERT(put_tree, &blobs->puts, put);
	}
	put->count++;
	struct blob_batch *batch;
	LIST_FOREACH(batch, &blobs->batches, link)
	{
		blob_batch_keep_locked(batch, digest);
	}
	return 0;
}

void blobs_watch_puts(struct blobs *blobs, struct blob_batch *batch)
{
	SCOPED_LOCK(&blobs->lock);
	LIST_INSERT_HEAD(&blobs->batches, batch, link);
	struct blob_put *put;
	RB_FOREACH(put, put_tree, &blobs->puts)
	{
		blob_batch_keep_locked(batch, put->digest);
	}
}

void blobs_unwatch_puts(struct blobs *blobs, struct blob_batch *batch)
{
	SCOPED_LOCK(&blobs->lock);
	LIST_REMOVE(batch, link);
}

void blobs_put_done(struct blobs *blobs, const uint8_t digest[DIGEST_BYTES])
{
	SCOPED_LOCK(&blobs->lock);
	struct blob_put *put = find_put_locked(blobs, digest);
	assert(put);
	if (--put->count)
		return;
	RB_REMOVE(put_tree, &blobs->puts, put);
	free(put);
}

/* A payload on its way to its place. */
struct put {
	const struct disk *disk;
	const struct payload *payload;
	bool compress;
	uint8_t digest[DIGEST_BYTES];
	char hex[DIGEST_HEX_SIZE];
	int fan; /* the XX directory */
};

static void cleanup_encoder(struct encoder **encoder)
{
	encoder_free(*encoder);
}

/* The file in the making. */
struct writing {
	struct encoder *encoder;
	uint8_t *piece;
	int fd;
	uint64_t file_offset; /* behind what is written */
	struct chunk_order order;
};

/* Writes the piece of the payload from order.start.offset on as one chunk. */
static int write_chunk(const struct put *put, struct writing *file)
{
	uint64_t offset = file->order.start.offset, left = put->payload->size_bytes - offset;
	size_t want = left < CHUNK_TEXT_TARGET ? (size_t)left : CHUNK_TEXT_TARGET, n = 0;
	int r = payload_read(put->payload, put->disk, offset, file->piece, want, &n);
	if (r < 0)
		return r;
	if (n < want)
		return -EIO;
	const struct chunk_input input = {
		.text = file->piece,
		.text_bytes = n,
		/* So that a file cut between two chunks does not look whole. */
		.flags = (uint16_t)((offset ? CHUNK_CONTINUES : 0) |
				    (n < left ? CHUNK_OPEN_END : 0)),
		.compress = put->compress,
	};
	r = chunk_encode(file->encoder, &input);
	if (r < 0)
		return r;
	struct iovec iov[2];
	struct chunk chunk;
	chunk_seal(file->encoder, &file->order, &chunk, iov);
	r = disk_writev(put->disk, file->fd, file->file_offset, iov, 2);
	if (r < 0)
		return r;
	file->file_offset += chunk_stored_bytes(&chunk);
	file->order.start.offset += n;
	return 0;
}

static int write_chunks(const struct put *put, int fd)
{
	_cleanup_(cleanup_encoder) struct encoder *encoder = encoder_new();
	_cleanup_free_ uint8_t *piece = malloc(CHUNK_TEXT_TARGET);
	if (!encoder || !piece)
		return -ENOMEM;
	uint64_t now = clock_wall_ms();
	struct writing file = {
		.encoder = encoder,
		.piece = piece,
		.fd = fd,
		.order = {.owner = digest_owner(put->digest),
			.arrival_ms = now,
			.last_arrival_ms = now},
	};
	int r = 0;
	while (r == 0 && file.order.start.offset < put->payload->size_bytes)
		r = write_chunk(put, &file);
	return r;
}

static int write_temporary(const struct put *put, const char *name)
{
	_cleanup_close_ int fd = -1;
	int r = disk_open(put->disk, put->fan, name, O_WRONLY | O_CREAT | O_EXCL, &fd);
	if (r == 0)
		r = write_chunks(put, fd);
	if (r == 0)
		r = disk_sync(put->disk, fd);
	return r;
}

static int write_blob(const struct put *put)
{
	char temporary[NAME_SIZE + 32], name[NAME_SIZE];
	uint64_t unique; /* equal payloads may be stored at the same time */
	arc4random_buf(&unique, sizeof unique);
	snprintf(name, sizeof name, "%s.lz4", put->hex);
	snprintf(temporary, sizeof temporary, "%s.%016" PRIx64 DISK_TMP_SUFFIX, name, unique);
	int r = write_temporary(put, temporary);
	if (r == 0)
		r = disk_rename(put->disk, put->fan, temporary, put->fan, name);
	if (r < 0)
		(void)disk_unlink(put->disk, put->fan, temporary);
	return r;
}

/* Takes a blob that is there, if it is what would be written. */
static int adopt(struct blobs *blobs, const struct put *put)
{
	struct blob *blob;
	int r = blob_open(blobs, put->hex, &blob);
	if (r < 0)
		return r;
	r = blob_compare(blob, put->payload);
	blob_close(blob);
	if (r < 0)
		return r;
	char name[NAME_SIZE];
	snprintf(name, sizeof name, "%s.lz4", put->hex);
	return utimensat(put->fan, name, NULL, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

/*
 * Opens a blob's XX directory, made where it is missing. Its entry is synced when it is made and
 * once in this object's life: the process that made it may have ended before the sync.
 */
static int open_fan(
	struct blobs *blobs, const uint8_t digest[DIGEST_BYTES], const char *hex, int *ret_fan)
{
	char name[] = {hex[0], hex[1], 0};
	uint32_t bit = 1u << digest[0] % 32, *durable = &blobs->fans_durable[digest[0] / 32];
	SCOPED_LOCK(&blobs->lock);
	int r = disk_mkdir(blobs->disk, blobs->dir, name);
	if (r == 0)
		*durable &= ~bit;
	if ((r == 0 || r == -EEXIST) && !(*durable & bit)) {
		r = disk_sync_dir(blobs->disk, blobs->dir);
		if (r == 0)
			*durable |= bit;
	}
	if (r < 0 && r != -EEXIST)
		return r;
	return disk_open(blobs->disk, blobs->dir, name, O_RDONLY | O_DIRECTORY, ret_fan);
}

static int store(struct blobs *blobs, struct put *put)
{
	_cleanup_close_ int fan = -1;
	int r = open_fan(blobs, put->digest, put->hex, &fan);
	if (r < 0)
		return r;
	put->fan = fan;
	/* Whatever keeps it from being adopted: with the payload at hand, write it anew. */
	bool adopted = adopt(blobs, put) == 0;
	if (!adopted)
		r = write_blob(put);
	TRACE(blob, "%.12s... of %" PRIu64 " bytes %s: error %d", put->hex,
		put->payload->size_bytes, adopted ? "adopted" : "written", -r);
	return r < 0 ? r : disk_sync_dir(blobs->disk, fan);
}

int blobs_put(struct blobs *blobs, const struct payload *payload, enum compression compression,
	uint8_t ret_digest[DIGEST_BYTES])
{
	struct put put = {
		.disk = blobs->disk,
		.payload = payload,
		.compress = compression == COMPRESSION_LZ4,
		.fan = -1,
	};
	assert(blobs->dir >= 0);
	int r = payload_digest(payload, blobs->disk, put.digest);
	if (r < 0)
		return r;
	digest_to_hex(put.digest, put.hex);
	r = put_begin(blobs, put.digest);
	if (r < 0)
		return r;
	r = store(blobs, &put);
	if (r < 0)
		blobs_put_done(blobs, put.digest);
	else
		memcpy(ret_digest, put.digest, sizeof put.digest);
	return r;
}

int blobs_check_stop(const struct blobs *blobs)
{
	const atomic_bool *stop = blobs->stop;
	return stop && atomic_load(stop) ? -ECANCELED : 0;
}

struct list {
	struct blob_walk walk;
	int (*each)(void *context, const char *digest_hex);
	void *context;
};

static int list_file(struct blob_walk *walk, int fan, const char *name)
{
	struct list *list = CONTAINER_OF(walk, struct list, walk);
	uint8_t digest[DIGEST_BYTES];
	char hex[DIGEST_HEX_SIZE];
	(void)fan;
	if (!blob_tree_is_blob(walk, name, digest))
		return 0;
	digest_to_hex(digest, hex);
	return list->each(list->context, hex);
}

int blobs_list(
	struct blobs *blobs, int (*each)(void *context, const char *digest_hex), void *context)
{
	struct list list = {
		.walk = {.blobs = blobs, .file = list_file},
		.each = each,
		.context = context,
	};
	return blob_tree_walk(&list.walk);
}

static int remove_file(struct blob_walk *walk, int fan, const char *name)
{
	uint8_t digest[DIGEST_BYTES];
	if (!blob_tree_is_blob(walk, name, digest) && !blob_tree_is_temporary(name))
		return 0;
	return disk_unlink(walk->blobs->disk, fan, name);
}

static int remove_stray(struct blob_walk *walk, const char *name)
{
	if (!blob_tree_is_temporary(name))
		return 0;
	return disk_unlink(walk->blobs->disk, walk->blobs->dir, name);
}

static int remove_fan(struct blob_walk *walk, const char *name)
{
	return disk_rmdir(walk->blobs->disk, walk->blobs->dir, name);
}

int blobs_remove_all(struct blobs *blobs)
{
	struct blob_walk walk = {
		.blobs = blobs,
		.file = remove_file,
		.stray = remove_stray,
		.leave = remove_fan,
	};
	SCOPED_LOCK(&blobs->lock);
	memset(blobs->fans_durable, 0, sizeof blobs->fans_durable);
	return blob_tree_walk(&walk);
}
