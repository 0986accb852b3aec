/* SPDX-License-Identifier: MIT */
/* What streamfs/blob.h offers: the blobs of a stream, listed and read. */
#include "streamfs/blob.h"

#include "blob.h"
#include "cleanup.h"
#include "stream.h"
#include "stream_blobs.h"

static int open_blobs(struct sfs_stream *stream)
{
	SCOPED_RDLOCK(&stream->home.lock);
	return stream_blobs_open(stream, false);
}

int sfs_blob_list(
	struct sfs_stream *stream, int (*each)(void *context, const char *digest), void *context)
{
	int r = open_blobs(stream);
	return r < 0 ? r : blobs_list(&stream->blobs, each, context);
}

struct sfs_blob {
	struct sfs_stream *stream;
	struct blob *blob;
};

int sfs_blob_open(struct sfs_stream *stream, const char *digest, struct sfs_blob **ret_blob)
{
	int r = open_blobs(stream);
	if (r < 0)
		return r;
	struct sfs_blob *blob = calloc(1, sizeof *blob);
	if (!blob)
		return -ENOMEM;
	r = blob_open(&stream->blobs, digest, &blob->blob);
	if (r < 0) {
		free(blob);
		return r;
	}
	blob->stream = sfs_stream_ref(stream);
	*ret_blob = blob;
	return 0;
}

void sfs_blob_close(struct sfs_blob *blob)
{
	if (!blob)
		return;
	blob_close(blob->blob);
	sfs_stream_unref(blob->stream);
	free(blob);
}

uint64_t sfs_blob_size(const struct sfs_blob *blob)
{
	return blob_size(blob->blob);
}

uint64_t sfs_blob_stored(const struct sfs_blob *blob)
{
	return blob_stored(blob->blob);
}

uint64_t sfs_blob_time_ms(const struct sfs_blob *blob)
{
	return blob_time_ms(blob->blob);
}

int sfs_blob_read(
	struct sfs_blob *blob, uint64_t offset, void *buffer, size_t bytes, size_t *ret_bytes)
{
	return blob_read(blob->blob, offset, buffer, bytes, ret_bytes);
}
