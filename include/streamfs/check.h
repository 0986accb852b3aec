/* SPDX-License-Identifier: MIT */
/*
 * Checks a store that no daemon holds, and repairs what can be repaired without losing a good
 * byte. The whole of fsck.streamfs but its command line.
 */
#ifndef STREAMFS_CHECK_H
#define STREAMFS_CHECK_H

#include "streamfs/store.h"

struct sfs_check_options {
	bool repair;	      /* false: only look, write nothing */
	const char *blob_dir; /* as in sfs_store_options */
	/*
	 * A line per finding: "streams/NAME/shard-0000/…lz4: offset N: what is wrong", the path
	 * below the store. "note: …" tells of what is no error (a file that is not the store's, a
	 * blob that no record names) and is not counted. Required.
	 */
	void (*finding)(void *context, const char *line, bool repaired);
	/* Bytes verified of bytes to verify, now and then. May be NULL. */
	void (*progress)(void *context, uint64_t done_bytes, uint64_t total_bytes);
	void *context;
};

struct sfs_check_summary {
	uint64_t streams, shards, segments, chunks, records, blobs;
	uint64_t repaired;   /* findings that were repaired */
	uint64_t unrepaired; /* findings that stay */
};

/*
 * Verifies every segment, chunk, index, watermark, blob and reference. Returns 0 when the check
 * ran to its end, whatever it found; -EBUSY, -EPROTONOSUPPORT, -ENOENT as sfs_store_open().
 */
SFS_API int sfs_store_check(const char *path, const struct sfs_check_options *options,
	struct sfs_diag *diag, struct sfs_check_summary *ret_summary);

#endif
