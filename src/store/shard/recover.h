/* SPDX-License-Identifier: MIT */
/* Recovery of a shard: the work of shard_open(). */
#ifndef SHARD_RECOVER_H
#define SHARD_RECOVER_H

struct sfs_shard;

/*
 * Finds out from the shard's directory what its text is, and makes the shard ready for reads and
 * appends. -EBADMSG: the directory is missing or holds the data of another shard. An error of the
 * disk leaves the shard as it was; the caller may try again. The caller holds home.lock shared and
 * append_lock. Blocks.
 */
int shard_recover(struct sfs_shard *shard);

#endif
