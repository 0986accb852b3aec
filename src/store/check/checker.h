/* SPDX-License-Identifier: MIT */
/*
 * One run of sfs_store_check(): what it was asked, how far it has come, and what it reports. The
 * files check_*.c walk the store and report here. One thread.
 *
 * The functions of this room return 0 when they ran to their end, whatever they found. -ENOMEM ends
 * the check. What the disk refuses to read is a finding like any other.
 */
#ifndef STORE_CHECKER_H
#define STORE_CHECKER_H

#include "store.h"
#include "vector.h"

#include "streamfs/check.h"

struct stream_id {
	uint64_t id;
	char name[SFS_NAME_MAX + 1];
};

struct checker {
	const struct sfs_check_options *options;
	struct sfs_store *store; /* locked, but without services: nothing of it is in use */
	bool has_document;	 /* streamfs.json could be read */
	struct sfs_check_summary summary;
	uint64_t done_bytes, shown_bytes, total_bytes; /* shown: by the last call of progress() */
	VECTOR(, struct stream_id) stream_ids;	       /* of the streams that were read */
};

/* Reports a line about damage, and counts it. Paths in it are below the store. */
void checker_finding(struct checker *checker, bool repaired, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Reports a line about what is no error; not counted. */
void checker_note(struct checker *checker, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* For an error of a call on a file: a finding, except that -ENOMEM is returned. */
int checker_trouble(struct checker *checker, const char *path, int error);
/* Counts stored bytes that were checked. */
void checker_progress(struct checker *checker, uint64_t bytes);

static inline const struct disk *checker_disk(const struct checker *checker)
{
	return &checker->store->env.disk;
}

/* The descriptor of streams/. */
static inline int checker_streams(const struct checker *checker)
{
	return checker->store->env.streams_dir;
}

#endif
