/* SPDX-License-Identifier: MIT */
/*
 * Checks a store that no process holds, and repairs what can be repaired without losing a good
 * byte. This is all of fsck.streamfs but its command line.
 */
#ifndef STREAMFS_CHECK_H
#define STREAMFS_CHECK_H

#include "streamfs/store.h"

struct sfs_check_options {
	bool repair;	      /* false: only look, write nothing */
	const char *blob_dir; /* as in sfs_store_options */
	/*
	 * Receives a line for each finding: "streams/NAME/shard-0000/…lz4: offset N: what is
	 * wrong", with the path below the store. A line "note: …" is no error and is not counted:
	 * a file that is not the store's, a blob that no record names. Required.
	 */
	void (*finding)(void *context, const char *line, bool repaired);
	/* Receives how many bytes of how many are verified, now and then. May be NULL. */
	void (*progress)(void *context, uint64_t done_bytes, uint64_t total_bytes);
	void *context;
};

struct sfs_check_summary {
	uint64_t streams, shards, segments, chunks, records, blobs;
	uint64_t repaired;   /* findings that were repaired */
	uint64_t unrepaired; /* findings that stay */
};

/*
 * Verifies every segment, chunk, index, watermark, blob and reference. Blocks for as long as
 * reading all of them takes. Repairs are durable when it returns, but for leftovers that it
 * removes. Returns 0 when the check ran to its end, whatever it found; -EBUSY, -EPROTONOSUPPORT,
 * -ENOENT as sfs_store_open(). `diag` may be NULL.
 */
SFS_API int sfs_store_check(const char *path, const struct sfs_check_options *options,
	struct sfs_diag *diag, struct sfs_check_summary *ret_summary);

#endif
