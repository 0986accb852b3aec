/* SPDX-License-Identifier: MIT */
/*
 * The directory of a stream's blobs: <first two hex digits>/<digest>.lz4, and what crashes left
 * behind there. The two-digit directories fan the blobs out.
 */
#ifndef BLOB_BLOB_TREE_H
#define BLOB_BLOB_TREE_H

#include "blobs.h"

struct blob_walk {
	struct blobs *blobs;
	/* For each name in a fan directory, which is open as `fan`. */
	int (*file)(struct blob_walk *walk, int fan, const char *name);
	/* For each other name in the blob directory. NULL: they are passed over. */
	int (*stray)(struct blob_walk *walk, const char *name);
	/* When all of a fan directory was walked. NULL: nothing is done then. */
	int (*leave)(struct blob_walk *walk, const char *name);
	char fan_name[3];
};

/*
 * Calls these until one returns non-zero, which is then the result. -ECANCELED: blobs->stop was
 * set. Without a directory there is nothing to walk.
 */
int blob_tree_walk(struct blob_walk *walk);

/* Whether a name in the walk's fan directory is a blob's, and of which digest. */
bool blob_tree_is_blob(
	const struct blob_walk *walk, const char *name, uint8_t digest[DIGEST_BYTES]);
/* Whether a put made this file on the way to a blob. */
bool blob_tree_is_temporary(const char *name);
/* Whether a name begins with a digest and a dot, and with which. */
bool blob_tree_digest(const char *name, uint8_t digest[DIGEST_BYTES]);

#endif
