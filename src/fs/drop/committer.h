/* SPDX-License-Identifier: MIT */
/*
 * Commits uploads. To hash and compress a large payload takes seconds. The committer does it in
 * threads of its own, so it blocks no thread that serves requests. A small upload is committed at
 * once, in the caller's thread.
 */
#ifndef FS_COMMITTER_H
#define FS_COMMITTER_H

#include <stdbool.h>

enum { COMMITTER_THREADS_MAX = 4, COMMITTER_SMALL_BYTES = 1024 * 1024 };

struct committer;
struct upload;

struct committer *committer_new(void); /* NULL: no memory, or no thread */
/* Finishes what is queued. NULL is fine. */
void committer_free(struct committer *committer);

/*
 * Commits an upload after upload_begin_commit(), calls `done` once, from any thread, and gives the
 * reference back. Without a committer (NULL) every upload counts as small.
 */
void committer_submit(struct committer *committer, struct upload *upload, bool settle,
	void (*done)(void *context, struct upload *upload, int result), void *context);

#endif
