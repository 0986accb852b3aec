/* SPDX-License-Identifier: MIT */
/*
 * Commits uploads. Hashing and compressing a large payload takes seconds, so it is left to a few
 * threads of its own, and however many are closed at once, all that serve requests go on serving.
 * A small one is committed at once, in the thread that asks.
 */
#ifndef FS_COMMITTER_H
#define FS_COMMITTER_H

#include <stdbool.h>

#include "worker.h"

enum { COMMITTER_THREADS_MAX = 4, COMMITTER_SMALL_BYTES = 1024 * 1024 };

struct committer;
struct upload;

/* What an upload holds for the committer's sake. */
struct commit {
	struct work work;
	bool settle;
	void (*done)(void *context, struct upload *upload, int result);
	void *context;
};

struct committer *committer_new(void); /* NULL: no memory, or no thread */
/* Finishes what is queued. NULL is fine. */
void committer_free(struct committer *committer);

/*
 * Commits an upload that upload_begin_commit() has given to the caller, and gives its reference
 * back; calls `done` once in between, from whatever thread. Without a committer (NULL) everything
 * is small.
 */
void committer_submit(struct committer *committer, struct upload *upload, bool settle,
	void (*done)(void *context, struct upload *upload, int result), void *context);

#endif
