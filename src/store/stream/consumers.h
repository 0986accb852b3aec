/* SPDX-License-Identifier: MIT */
/*
 * The consumers of a stream, as streamfs/consumer.h has them. What always holds:
 *
 *   1. Once `loaded`, there is an object for each document, and a document for each object, but for
 *      the moment of a change, which holds `lock`.
 *   2. `checkpoints` is what the document has, durably, by rising shard number. What is being
 *      written stands elsewhere until it is durable.
 *   3. One thread writes a consumer's document at a time. A consumer with changes under way is
 *      neither removed nor renamed.
 *   4. A checkpoint was, when it was set, within the durable text of its shard: no crash puts a
 *      checkpoint past the end.
 *   5. A consumer whose document cannot be read (`error`) is listed, and can be removed or renamed.
 *      Its checkpoints are neither read nor replaced.
 *
 * A crash leaves each change done or not done: a document is old or new, a consumer is there or
 * not, a name is the old one or the new one.
 *
 * Thread-safe. Documents are reached through a descriptor of their directory, not by the stream's
 * name, so that neither a wait nor the disk holds up a change of the stream.
 */
#ifndef STREAM_CONSUMERS_H
#define STREAM_CONSUMERS_H

#include "buf.h"
#include "consumer_document.h"

#include <bsd/sys/queue.h>
#include <pthread.h>
#include <stdbool.h>

/* A checkpoint that is to be written. It belongs to the thread that waits for `done`. */
struct checkpoint_change {
	STAILQ_ENTRY(checkpoint_change) link;
	struct checkpoint checkpoint;
	bool done;
	int result;
};

struct consumer {
	LIST_ENTRY(consumer) link;
	char name[SFS_NAME_MAX + 1];
	int error; /* its document could not be read; else 0 */
	struct checkpoint *checkpoints;
	size_t count;
	STAILQ_HEAD(, checkpoint_change) changes; /* in the order in which they came */
	bool writing;
};

struct consumers {
	pthread_mutex_t lock;	/* guards all below, and what is in them */
	pthread_cond_t changed; /* a document was written */
	bool loaded;
	LIST_HEAD(, consumer) all;
};

void consumers_init(struct consumers *consumers);
void consumers_fini(struct consumers *consumers);

/* Finds a consumer; the first call reads all documents. The caller holds the lock. -ENOENT. */
int consumers_find_locked(
	struct sfs_stream *stream, const char *name, struct consumer **ret_consumer);

/* Appends the names of all consumers, each with its NUL. Takes the lock. */
int consumers_names(struct sfs_stream *stream, struct buf *names);

#endif
