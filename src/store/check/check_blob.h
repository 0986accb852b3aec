/* SPDX-License-Identifier: MIT */
/*
 * The check of a stream's blobs: each against its own name, and all against the claim checks that
 * name them. check_blobs() comes first, then the records mark what they name, then
 * check_orphans().
 */
#ifndef STORE_CHECK_BLOB_H
#define STORE_CHECK_BLOB_H

#include "checker.h"
#include "stream.h"

/* What a blob's file was found to be. */
struct blob_seen {
	uint8_t digest[32]; /* first: they are sorted and looked up by it */
	uint64_t payload_bytes;
	bool sound;
	bool named; /* by a claim check; the records set it */
};

struct blob_check {
	struct checker *checker;
	struct sfs_stream *stream;
	bool complete;			 /* each blob was seen: what is not in `seen` is missing */
	char path[SFS_NAME_MAX + 80];	 /* the blobs' directory, as findings name it */
	VECTOR(, struct blob_seen) seen; /* by rising digest */
};

void blob_check_init(struct blob_check *blobs, struct checker *checker, struct sfs_stream *stream);
void blob_check_fini(struct blob_check *blobs);

/* Verifies each blob of the stream and keeps in mind what there is. */
int check_blobs(struct blob_check *blobs);
/* The blob of a digest; NULL: none was seen. */
struct blob_seen *blob_check_find(const struct blob_check *blobs, const uint8_t digest[32]);
/*
 * Reports the blobs that no record names; with repair, the ordinary sweep removes the old ones. For
 * a stream that is sound: what cannot be read might name any of them.
 */
int check_orphans(struct blob_check *blobs);

#endif
