/* SPDX-License-Identifier: MIT */
/*
 * The document of a consumer: consumers/NAME.json in the stream's directory, with its checkpoints.
 * It is replaced as a whole, so a crash leaves the old one or the new one.
 */
#ifndef STREAM_CONSUMER_DOCUMENT_H
#define STREAM_CONSUMER_DOCUMENT_H

#include "disk.h"
#include "streamfs/consumer.h"

#define CONSUMERS_DIR "consumers"
enum { CONSUMER_FILE_MAX = SFS_NAME_MAX + 8 };

struct checkpoint {
	uint32_t shard;
	uint64_t offset;
	uint64_t sequence; /* of the record that begins there; 0 where that was trimmed already */
};

/* The name of a consumer's document, and the consumer's name out of it. -EINVAL: no such name. */
void consumer_document_file(const char *name, char file[CONSUMER_FILE_MAX]);
int consumer_document_name(const char *file, char name[SFS_NAME_MAX + 1]);

/*
 * Opens the directory of the consumers' documents. With `make`, it is made if it is missing, and
 * its entry is durable. Takes home.path_lock. -ENOENT: there is none, or the stream was removed.
 */
int consumer_documents_open(struct sfs_stream *stream, bool make, int *ret_dir);

/* Reads the checkpoints, by rising shard. The caller frees them. -EBADMSG, with `diag`. */
int consumer_document_load(const struct disk *disk, int dir, const char *file,
	struct sfs_diag *diag, struct checkpoint **ret_checkpoints, size_t *ret_count);
/* Durable when it returns. If it fails, either document may stand. */
int consumer_document_save(const struct disk *disk, int dir, const char *name,
	const struct checkpoint *checkpoints, size_t count);

#endif
