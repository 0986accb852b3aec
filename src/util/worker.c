/* SPDX-License-Identifier: MIT */
#include "worker.h"

#include "cleanup.h"

#include <assert.h>
#include <signal.h>
#include <string.h>

struct worker {
	struct worker_options options;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	STAILQ_HEAD(, work) queue; /* lock; what no thread has taken yet */
	unsigned queued;	   /* lock */
	unsigned idle;		   /* lock; threads that wait for an item */
	unsigned count;		   /* lock; of threads, until it is stopping */
	bool stopping;		   /* lock */
	pthread_t threads[WORKER_THREADS_MAX];
};

/* NULL: the end. */
static struct work *take(struct worker *worker, bool *ret_stopping)
{
	SCOPED_LOCK(&worker->lock);
	worker->idle++;
	while (STAILQ_EMPTY(&worker->queue) && !worker->stopping)
		pthread_cond_wait(&worker->changed, &worker->lock);
	worker->idle--;
	struct work *work = STAILQ_FIRST(&worker->queue);
	if (work) {
		STAILQ_REMOVE_HEAD(&worker->queue, link);
		worker->queued--;
	}
	*ret_stopping = worker->stopping;
	return work;
}

static void *serve(void *context)
{
	struct worker *worker = context;
	const struct worker_options *o = &worker->options;
	struct work *work;
	bool stopping;
	pthread_setname_np(pthread_self(), o->name);
	while ((work = take(worker, &stopping))) {
		if (stopping && o->drop)
			o->drop(o->context, work);
		else
			o->run(o->context, work);
	}
	return NULL;
}

static int add_thread_locked(struct worker *worker)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int r = pthread_create(&worker->threads[worker->count], NULL, serve, worker);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r == 0)
		worker->count++;
	return -r;
}

int worker_start(const struct worker_options *options, struct worker **ret_worker)
{
	assert(options->threads <= WORKER_THREADS_MAX);
	assert(strlen(options->name) <= WORKER_NAME_MAX);
	struct worker *worker = calloc(1, sizeof *worker);
	if (!worker)
		return -ENOMEM;
	worker->options = *options;
	if (worker->options.threads == 0)
		worker->options.threads = 1;
	pthread_mutex_init(&worker->lock, NULL);
	pthread_cond_init(&worker->changed, NULL);
	STAILQ_INIT(&worker->queue);
	pthread_mutex_lock(&worker->lock);
	int r = add_thread_locked(worker);
	pthread_mutex_unlock(&worker->lock);
	if (r < 0) {
		worker_free(worker);
		return r;
	}
	*ret_worker = worker;
	return 0;
}

bool worker_submit(struct worker *worker, struct work *work)
{
	SCOPED_LOCK(&worker->lock);
	if (worker->stopping)
		return false;
	STAILQ_INSERT_TAIL(&worker->queue, work, link);
	worker->queued++;
	/* Without another thread the item waits for those that there are. */
	if (worker->queued > worker->idle && worker->count < worker->options.threads)
		(void)add_thread_locked(worker);
	pthread_cond_signal(&worker->changed);
	return true;
}

void worker_stop(struct worker *worker)
{
	pthread_mutex_lock(&worker->lock);
	bool first = !worker->stopping;
	worker->stopping = true;
	pthread_cond_broadcast(&worker->changed);
	pthread_mutex_unlock(&worker->lock);
	for (unsigned i = 0; first && i < worker->count; i++)
		pthread_join(worker->threads[i], NULL);
}

void worker_free(struct worker *worker)
{
	if (!worker)
		return;
	worker_stop(worker);
	pthread_cond_destroy(&worker->changed);
	pthread_mutex_destroy(&worker->lock);
	free(worker);
}
