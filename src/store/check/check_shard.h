/* SPDX-License-Identifier: MIT */
/* The check of one shard: its directory, its watermark, and then its segments. */
#ifndef STORE_CHECK_SHARD_H
#define STORE_CHECK_SHARD_H

#include "check_blob.h"
#include "leftovers.h"

/* Marks in `blobs` what the records name, and adds temporary files to `leftovers`. */
int check_shard(struct checker *checker, struct sfs_shard *shard, struct blob_check *blobs,
	struct leftovers *leftovers);

#endif
