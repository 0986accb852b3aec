/* SPDX-License-Identifier: MIT */
#include "committer.h"

#include "cleanup.h"
#include "upload.h"

struct committer {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	STAILQ_HEAD(, upload) queue; /* lock; what no thread has taken yet */
	unsigned queued;	     /* lock */
	unsigned idle;		     /* lock; threads that wait for one */
	unsigned count;		     /* lock; of threads */
	bool stopping;		     /* lock */
	pthread_t threads[COMMITTER_THREADS_MAX];
};

static void run_commit(struct upload *upload)
{
	int r = upload_commit(upload, upload->commit.settle);
	upload->commit.done(upload->commit.context, upload, r);
	upload_unref(upload);
}

static struct upload *next_upload(struct committer *committer)
{
	SCOPED_LOCK(&committer->lock);
	committer->idle++;
	while (STAILQ_EMPTY(&committer->queue) && !committer->stopping)
		pthread_cond_wait(&committer->changed, &committer->lock);
	committer->idle--;
	struct upload *upload = STAILQ_FIRST(&committer->queue);
	if (upload) {
		STAILQ_REMOVE_HEAD(&committer->queue, commit.queue);
		committer->queued--;
	}
	return upload;
}

static void *run(void *context)
{
	struct committer *committer = context;
	struct upload *upload;
	while ((upload = next_upload(committer)))
		run_commit(upload);
	return NULL;
}

struct committer *committer_new(void)
{
	struct committer *committer = calloc(1, sizeof(*committer));
	if (!committer)
		return NULL;
	pthread_mutex_init(&committer->lock, NULL);
	pthread_cond_init(&committer->changed, NULL);
	STAILQ_INIT(&committer->queue);
	return committer;
}

void committer_free(struct committer *committer)
{
	if (!committer)
		return;
	pthread_mutex_lock(&committer->lock);
	committer->stopping = true;
	pthread_cond_broadcast(&committer->changed);
	pthread_mutex_unlock(&committer->lock);
	for (unsigned i = 0; i < committer->count; i++)
		pthread_join(committer->threads[i], NULL);
	pthread_cond_destroy(&committer->changed);
	pthread_mutex_destroy(&committer->lock);
	free(committer);
}

/* Sees to it that there is a thread to take one more. False: there is none at all. */
static bool ready_thread_locked(struct committer *committer)
{
	if (committer->idle > committer->queued || committer->count == COMMITTER_THREADS_MAX)
		return true;
	if (pthread_create(&committer->threads[committer->count], NULL, run, committer) == 0)
		committer->count++;
	return committer->count > 0;
}

static bool enqueue(struct committer *committer, struct upload *upload)
{
	SCOPED_LOCK(&committer->lock);
	if (!ready_thread_locked(committer))
		return false;
	STAILQ_INSERT_TAIL(&committer->queue, upload, commit.queue);
	committer->queued++;
	pthread_cond_signal(&committer->changed);
	return true;
}

void committer_submit(struct committer *committer, struct upload *upload, bool settle,
	void (*done)(void *context, struct upload *upload, int result), void *context)
{
	upload->commit.settle = settle;
	upload->commit.done = done;
	upload->commit.context = context;
	bool small = !committer || upload_size(upload) <= COMMITTER_SMALL_BYTES;
	if (small || !enqueue(committer, upload))
		run_commit(upload);
}
