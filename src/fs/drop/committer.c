/* SPDX-License-Identifier: MIT */
#include "committer.h"

#include <stdlib.h>

#include "container.h"
#include "upload.h"

struct committer {
	struct worker *worker;
};

static void run_commit(struct upload *upload)
{
	int r = upload_commit(upload, upload->commit.settle);
	upload->commit.done(upload->commit.context, upload, r);
	upload_unref(upload);
}

static void run_work(void *context, struct work *work)
{
	(void)context;
	run_commit(CONTAINER_OF(work, struct upload, commit.work));
}

struct committer *committer_new(void)
{
	const struct worker_options options = {
		.name = "committer", .threads = COMMITTER_THREADS_MAX, .run = run_work};
	struct committer *committer = calloc(1, sizeof(*committer));
	if (!committer)
		return NULL;
	if (worker_start(&options, &committer->worker) < 0) {
		free(committer);
		return NULL;
	}
	return committer;
}

void committer_free(struct committer *committer)
{
	if (!committer)
		return;
	worker_free(committer->worker);
	free(committer);
}

void committer_submit(struct committer *committer, struct upload *upload, bool settle,
	void (*done)(void *context, struct upload *upload, int result), void *context)
{
	struct commit *commit = &upload->commit;
	commit->settle = settle;
	commit->done = done;
	commit->context = context;
	bool small = !committer || upload_size(upload) <= COMMITTER_SMALL_BYTES;
	if (small || !worker_submit(committer->worker, &commit->work))
		run_commit(upload);
}
