/* SPDX-License-Identifier: MIT */
/*
 * The consumers of a stream: consumers/NAME.json in its directory, a small document each, read when
 * the first of them is asked for and replaced as a whole. Checkpoints that are set at one time are
 * written together. The functions of streamfs/consumer.h, and what the rest of the store needs.
 *
 * Thread-safe. Files are reached through a descriptor of the directory, not by the stream's name,
 * so that neither a wait nor the disk holds up a change of the stream.
 */
#ifndef STORE_CONSUMERS_H
#define STORE_CONSUMERS_H

#include "disk.h"
#include "streamfs/consumer.h"

#include <bsd/sys/queue.h>
#include <pthread.h>
#include <stdbool.h>

struct consumers {
	pthread_mutex_t lock; /* guards all below, and what is in them */
	pthread_cond_t changed;
	bool loaded;
	LIST_HEAD(, consumer) all;
};

struct checkpoint {
	uint32_t shard;
	uint64_t offset;
	uint64_t sequence; /* of the record that begins there; 0 where that was trimmed already */
};

/* How far a consumer is behind in one shard. */
struct consumer_lag {
	uint32_t shard;
	uint64_t offset; /* the checkpoint */
	uint64_t records, bytes;
	double seconds; /* since the first record came that it has not processed; 0: none */
};

void consumers_init(struct consumers *consumers);
void consumers_fini(struct consumers *consumers);

/*
 * Calls `each` for every consumer and every shard that can be read, until it returns non-zero,
 * which is the result. A damaged consumer is called for once, with lag NULL.
 */
int consumers_each_lag(struct sfs_stream *stream,
	int (*each)(void *context, const char *name, const struct consumer_lag *lag),
	void *context);

/* Reads a document's checkpoints; the caller's to free. -EBADMSG, with `diag`. */
int consumer_document_load(const struct disk *disk, int dir, const char *file,
	struct sfs_diag *diag, struct checkpoint **ret_checkpoints, size_t *ret_count);
/* The consumer's name out of its document's. False: not a document's name. */
bool consumer_file_name(const char *file, char name[SFS_NAME_MAX + 1]);

#endif
